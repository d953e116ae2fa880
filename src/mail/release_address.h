#pragma once
// Addresses that bring mail back from junk when somebody writes to them: "jane+release-TOKEN@example.org" for all that
// a digest lists, "jane+release-TOKEN-3@" for its third message. The token is a secret of the account.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace poplar::mail {

inline constexpr std::size_t kReleaseTokenLength = 26;  ///< of letters and digits of random_text()

/// `number`: counts from 1; 0 for all. `separator` is what stands between an account's name and a detail.
std::string release_address(std::string_view account, char separator, std::string_view token, std::size_t number);

struct Release {
    std::string token;
    std::size_t number = 0;  ///< 0: all
    bool operator==(const Release&) const = default;
};
/// The name of the account's fact whose value has the unique-ids, in the digest's order, with spaces between them.
std::string release_fact(std::string_view token);
/// Nothing: it is any other address. In any case of letters, because a client may change that.
std::optional<Release> parse_release_address(std::string_view address);

}  // namespace poplar::mail
