#include "moving/account_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/ascii.h"

namespace poplar::moving {

namespace {

// The fields of a line; nothing: a quotation mark is out of place. No field goes over the line's end.
std::optional<std::vector<std::string>> fields_of(std::string_view line) {
    std::vector<std::string> fields(1);
    for (std::size_t at = 0; at < line.size(); ++at) {
        if (line[at] == ',') {
            fields.emplace_back();
        } else if (line[at] == '"' && fields.back().empty()) {
            for (++at;; ++at) {
                if (at >= line.size()) return std::nullopt;
                if (line[at] == '"' && line.substr(at + 1).starts_with('"'))
                    ++at;
                else if (line[at] == '"')
                    break;
                fields.back() += line[at];
            }
            if (at + 1 < line.size() && line[at + 1] != ',') return std::nullopt;
        } else {
            fields.back() += line[at];
        }
    }
    return fields;
}

}  // namespace

Result<std::vector<MovingAccount>> parse_account_list(std::string_view text, Passwords passwords) {
    std::vector<MovingAccount> accounts;
    std::set<std::string> addresses;
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // as programs for tables write it
    for (std::uint64_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (ascii::trim(line).empty() || line.starts_with('#')) continue;
        auto fields = fields_of(line);
        const std::size_t least = passwords == Passwords::in_list ? 3 : 1;
        if (!fields || fields->size() < least || fields->size() > 3)
            return fail(Errc::invalid, fmt::format("line {} is not \"address,source_user,source_password\"", number));
        fields->resize(3);
        MovingAccount one{std::string(ascii::trim((*fields)[0])), std::string(ascii::trim((*fields)[1])),
                          std::move((*fields)[2]), number};
        if (accounts.empty() && ascii::same(one.address, "address") && addresses.empty()) continue;
        if (one.user.empty()) one.user = one.address;
        if (one.address.empty() || (passwords == Passwords::in_list && one.password.empty()))
            return fail(Errc::invalid,
                        fmt::format("line {} has no {}", number, one.address.empty() ? "address" : "password"));
        if (!addresses.insert(ascii::to_lower(one.address) + '\n' + one.user).second)
            return fail(Errc::invalid, fmt::format("line {} is there twice", number));
        accounts.push_back(std::move(one));
    }
    return accounts;
}

}  // namespace poplar::moving
