#include "directory/passwd_file.h"

#include <unistr.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace poplar::directory {

namespace {

constexpr std::size_t kLineLimit = 8192;

/// Takes the field before the next ":" off `line`; the last field has none.
std::string_view take_field(std::string_view& line) {
    std::size_t colon = line.find(':');
    auto field = line.substr(0, colon);
    line.remove_prefix(colon == std::string_view::npos ? line.size() : colon + 1);
    return field;
}

bool is_utf8(std::string_view text) {
    return u8_check(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()) == nullptr;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }

// Dovecot's names for what only says where and as whom that server keeps the mail.
constexpr std::array<std::string_view, 7> kPlaces = {"uid",        "gid",         "home",       "userdb_uid",
                                                     "userdb_gid", "userdb_home", "userdb_mail"};

/// `uid:gid:gecos:home:shell:extra`, the last with colons of its own. Dovecot uses neither gecos nor shell.
Result<> read_other_fields(std::string_view line, std::span<const std::string> ignored, PasswdEntry& entry) {
    for (std::string_view name : {"uid", "gid", "", "home", ""})
        if (auto value = take_field(line); !value.empty() && !name.empty()) entry.unused.emplace_back(name);
    std::vector<std::string> unknown;
    while (!line.empty()) {
        auto field = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(field.size() + 1, line.size()));
        std::string name(field.substr(0, field.find('=')));
        if (name.empty()) continue;
        if (name == "allow_nets") entry.allow_nets = field.substr(std::min(name.size() + 1, field.size()));
        // Its value does not matter: Dovecot, too, only asks whether it is there.
        if (name == "nologin")
            entry.account.password.clear();
        else if (std::ranges::find(kPlaces, name) != kPlaces.end() || std::ranges::find(ignored, name) != ignored.end())
            entry.unused.push_back(std::move(name));
        else
            unknown.push_back(std::move(name));
    }
    if (unknown.empty()) return {};
    return fail(Errc::invalid, fmt::format("passwd-file: no such field here: {}; without {} the account might do what "
                                           "it must not (--ignore-field NAME imports it all the same)",
                                           fmt::join(unknown, ", "), unknown.size() == 1 ? "it" : "them"));
}

}  // namespace

Result<std::optional<PasswdEntry>> parse_passwd_line(std::string_view line, std::string_view default_domain,
                                                     std::string_view default_scheme,
                                                     std::span<const std::string> ignored) {
    if (line.size() > kLineLimit) return fail(Errc::invalid, "passwd-file: a line longer than 8192 octets");
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos || line.starts_with('#')) return std::nullopt;

    auto user = take_field(line);
    auto password = take_field(line);
    if (user.empty()) return fail(Errc::invalid, "passwd-file: no user name");
    if (std::ranges::any_of(user, is_control) || std::ranges::any_of(password, is_control))
        return fail(Errc::invalid, "passwd-file: a control character in the user name or the password");
    // Clients send UTF-8 (RFC 4616 s2), so a {PLAIN} password in another code would never match.
    if (!is_utf8(user) || !is_utf8(password))
        return fail(Errc::invalid, "passwd-file: the user name or the password is not UTF-8");

    PasswdEntry entry{{std::string(user), {}}, {}, {}};
    auto& account = entry.account;
    if (user.find('@') == std::string_view::npos) {
        if (default_domain.empty()) return fail(Errc::invalid, "passwd-file: a user name without a domain");
        account.address.append("@").append(default_domain);
    }
    if (!password.empty()) {
        bool has_scheme = password.starts_with('{') && password.find('}') != std::string_view::npos;
        if (!has_scheme) account.password.append("{").append(default_scheme).append("}");
        account.password.append(password);
        // shadow(5) marks locked accounts so: nobody can log in, but their mail still comes.
        if (account.password.starts_with("{CRYPT}!") || account.password.starts_with("{CRYPT}*"))
            account.password.clear();
    }
    if (auto read = read_other_fields(line, ignored, entry); !read) return pass_on(read);
    return entry;
}

}  // namespace poplar::directory
