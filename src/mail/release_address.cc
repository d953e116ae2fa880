#include "mail/release_address.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"

namespace poplar::mail {

namespace {
constexpr std::string_view kWord = "release-";
constexpr std::size_t kMostDigits = 3;
}  // namespace

std::string release_address(std::string_view account, char separator, std::string_view token, std::size_t number) {
    const auto at = std::min(account.rfind('@'), account.size());
    return fmt::format("{}{}{}{}{}{}", account.substr(0, at), separator, kWord, token,
                       number == 0 ? "" : fmt::format("-{}", number), account.substr(at));
}

std::string release_fact(std::string_view token) { return fmt::format("junk/release/{}", token); }

std::optional<Release> parse_release_address(std::string_view address) {
    const auto local = ascii::to_lower(address.substr(0, address.rfind('@')));
    const auto begin = local.rfind(kWord);
    if (begin == std::string::npos || begin < 2) return std::nullopt;  // a name and its separator stand in front
    auto rest = std::string_view(local).substr(begin + kWord.size());
    Release out;
    out.token = rest.substr(0, kReleaseTokenLength);
    if (out.token.size() != kReleaseTokenLength || !std::ranges::all_of(out.token, ascii::is_alnum))
        return std::nullopt;
    rest.remove_prefix(kReleaseTokenLength);
    if (rest.empty()) return out;
    rest.remove_prefix(1);
    if (rest.empty() || rest.size() > kMostDigits || local[begin + kWord.size() + kReleaseTokenLength] != '-')
        return std::nullopt;
    for (const char c : rest) {
        if (!ascii::is_digit(c)) return std::nullopt;
        out.number = out.number * 10 + static_cast<std::size_t>(c - '0');
    }
    if (out.number == 0) return std::nullopt;
    return out;
}

}  // namespace poplar::mail
