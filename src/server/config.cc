#include "server/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "net/file_descriptor.h"
#include "net/listener.h"
#include "server/services.h"
#include "server/settings.h"

namespace poplar::server {

namespace {

std::string machine_name() {
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
    return name;
}

/// Whether a listener at `one` takes the connections to `other`.
bool covers(const net::Address& one, const net::Address& other) {
    using Family = net::Address::Family;
    if (one.family == Family::local || other.family == Family::local)
        return one.family == other.family && one.path == other.path;
    if (one.port != other.port || one.port == 0) return false;
    return one.host == other.host || one.host == "::" || (one.host == "0.0.0.0" && other.family == Family::ipv4);
}

// Finds addresses that are given twice. At the start they would fail with "address already in use", as if another
// program had them.
void check_listeners(const Config& config, std::vector<std::string>& errors) {
    std::vector<std::pair<std::string, net::Address>> seen;
    if (auto admin = net::parse_address("unix:" + config.admin_socket)) seen.emplace_back("admin_socket", *admin);
    auto see = [&](const std::string& key, const std::string& text) {
        auto address = net::parse_address(text);
        if (!address) return;
        auto other = std::ranges::find_if(seen, [&](const auto& earlier) {
            return covers(earlier.second, *address) || covers(*address, earlier.second);
        });
        if (other != seen.end())
            errors.push_back(config.error_at(
                key, fmt::format("{}: {} has {} already", address->text(), other->first, other->second.text())));
        seen.emplace_back(key, std::move(*address));
    };
    for (const auto& row : listener_rows())
        for (const auto& text : config.listen.at(std::string(row.name))) see("listen." + std::string(row.name), text);
    for (const auto& listener : config.listeners) see("listener", listener.address);
}

// Holds one [[listener]] against what it needs beside keys that are right by themselves.
void check_listener(const Config& config, const ListenerSettings& listener, std::vector<std::string>& errors) {
    auto wrong = [&](std::string_view what) { errors.push_back(config.error_at("listener", what)); };
    const auto row = std::ranges::find(listener_rows(), listener.protocol, &ListenerRow::name);
    if (row == listener_rows().end() || listener.address.empty())
        return wrong("each [[listener]] needs a protocol and an address");
    if (row->tls && !config.lines.contains("tls"))
        wrong(fmt::format("{} needs a certificate: add a [tls] section", listener.address));
    if (!listener.xclient.empty() && row->smtp_options == nullptr)
        wrong(fmt::format("{}: xclient is for smtp, submission and lmtp", listener.address));
    // RFC 2033 s5
    if (auto address = net::parse_address(listener.address);
        listener.protocol == "lmtp" && address && address->port == 25)
        wrong("LMTP must not be served on port 25, which is SMTP's");
}

void check_directories(const Config& config, std::vector<std::string>& errors) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < config.directories.size(); ++i) {
        const auto& one = config.directories[i];
        auto wrong = [&](std::string_view what) {
            errors.push_back(config.error_at("directory", fmt::format("number {}: {}", i + 1, what)));
        };
        if (auto what = directory::outside::check(one); !what.empty()) wrong(what);
        for (const auto& domain : one.domains)
            if (!seen.insert(domain).second) wrong(domain + " has a directory already");
    }
}

// Rules about several keys.
void check_together(const Config& config, std::vector<std::string>& errors) {
    const auto& tls = config.tls;
    if (!tls.certificate.empty() && tls.private_key.empty())
        errors.push_back(config.error_at("tls.certificate", "needs tls.private_key too"));
    if (tls.certificate.empty() && !tls.private_key.empty())
        errors.push_back(config.error_at("tls.private_key", "needs tls.certificate too"));
    if (config.lines.contains("tls") && tls.certificate.empty() && tls.private_key.empty())
        errors.push_back(config.error_at("tls", "needs certificate and private_key"));
    if (!tls.client_ca.empty() && tls.certificate.empty())
        errors.push_back(config.error_at("tls.client_ca", "needs tls.certificate too"));
    const auto& tokens = config.sasl.tokens;
    bool wants_tokens = !tokens.issuer.empty() || !tokens.audience.empty() || !tokens.scope.empty() ||
                        !tokens.configuration_url.empty() || !tokens.introspection_user.empty();
    if (wants_tokens && !tokens.enabled())
        errors.push_back(config.error_at("oauth", "needs keys, discovery or introspection_url"));
    if (tokens.enabled() && tokens.audience.empty())
        errors.push_back(config.error_at("oauth",
                                         "needs audience, the name that the issuer has for this service; "
                                         "\"*\" takes tokens for any service of that issuer"));
    for (const auto& row : listener_rows())
        if (row.tls && !config.listen.at(std::string(row.name)).empty() && !config.lines.contains("tls"))
            errors.push_back(
                config.error_at("listen." + std::string(row.name), "needs a certificate: add a [tls] section"));
    for (const auto& listener : config.listeners) check_listener(config, listener, errors);
    check_directories(config, errors);
    check_listeners(config, errors);
    // RFC 2033 s5
    for (const auto& where : config.listen.at("lmtp"))
        if (auto address = net::parse_address(where); address && address->port == 25)
            errors.push_back(config.error_at("listen.lmtp", "LMTP must not be served on port 25, which is SMTP's"));
    if (!config.group.empty() && config.user.empty()) errors.push_back(config.error_at("group", "needs user too"));
}

// The addresses of a real installation, if the file has no [listen] and no [[listener]].
void default_listeners(Config& config) {
    for (const auto& row : listener_rows())
        if (!row.tls || config.tls.configured()) config.listen[std::string(row.name)] = row.defaults;
}

}  // namespace

std::string Config::error_at(std::string_view key, std::string_view what) const {
    return config::error_at(file, lines, key, what);
}

std::expected<Config, ConfigErrors> parse_config(std::string_view text, const std::string& file) {
    Config config;
    ConfigErrors errors;
    config.file = file;
    bool is_toml = true;
    errors.lines = config::read(text, file, keys_of(config), config.lines, is_toml);
    if (!is_toml) return std::unexpected(std::move(errors));
    if (config.hostname.empty()) config.hostname = machine_name();
    if (!config.lines.contains("listen") && !config.lines.contains("listener")) default_listeners(config);
    config.engine.directory = config.data_dir;
    config.mailstore.inline_octets = config.engine.large_body;
    if (errors.lines.empty()) check_together(config, errors.lines);
    if (!errors.lines.empty()) return std::unexpected(std::move(errors));
    return config;
}

std::expected<Config, ConfigErrors> load_config(const std::string& file) {
    std::string text;
    auto unreadable = [&] {
        return std::unexpected(ConfigErrors{{fmt::format("{}: cannot be read: {}", file, std::strerror(errno))}});
    };
    net::FileDescriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!in) return unreadable();
    for (char chunk[16 * 1024];;) {
        auto got = ::read(in.get(), chunk, sizeof chunk);
        if (got < 0) return unreadable();
        if (got == 0) break;
        text.append(chunk, static_cast<std::size_t>(got));
    }
    return parse_config(text, file);
}

ConfigChanges compare(Config before, Config after) {
    ConfigChanges changes;
    const auto old = keys_of(before), fresh = keys_of(after);
    for (std::size_t i = 0; i < old.size(); ++i) {
        if (old[i].show() == fresh[i].show()) continue;
        const auto by = fresh[i].applied_by;
        (by.empty() ? changes.restart : changes.live).push_back(fresh[i].name);
        if (!by.empty()) changes.appliers.insert(by);
    }
    return changes;
}

}  // namespace poplar::server
