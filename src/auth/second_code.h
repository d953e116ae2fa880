#pragma once
// Codes of a second factor, as a client that only knows a password sends them: behind the password. Six digits are an
// authenticator's; twelve symbols are a recovery code or the code of a mail about a new site. The last of these is a
// letter, so what is typed can be split in one way at most. Pure functions.
#include <optional>
#include <string>
#include <string_view>

namespace poplar::auth {

inline constexpr std::size_t kTotpDigits = 6;

/// A new code of twelve symbols (59 random bits), in lower case, without hyphens.
std::string make_word_code();
/// As it is shown: "abcd-efgh-jkmn".
std::string grouped_code(std::string_view code);

struct PasswordAndCode {
    std::string password, code;  ///< the code in digits, or as make_word_code() writes it
};
/// Splits a password with a code behind it: symbols in either case, hyphens anywhere between them. Nothing: it does not
/// end like that, or there is nothing before the code.
std::optional<PasswordAndCode> split_code(std::string_view typed);

inline bool is_totp_code(std::string_view code) { return code.size() == kTotpDigits; }

}  // namespace poplar::auth
