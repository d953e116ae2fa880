#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "mailstore/message.h"

namespace poplar::mailstore {

inline constexpr std::size_t kLongestName = 512;  ///< octets of UTF-8
inline constexpr std::string_view kInboxName = "INBOX";

/// A mailbox's name as it is kept: UTF-8 in NFC, its parts divided by "/", the first part "INBOX" in capitals however
/// it was written (RFC 9051 s5.1). Errors: invalid (not UTF-8, empty or too long, an empty part, a control character,
/// or one of LIST's wildcards, by which nobody could find it).
Result<std::string> canonical_name(std::string_view name);
/// The name above it: "a/b" of "a/b/c", "" of "a".
std::string_view parent_of(std::string_view name);

/// Whether two names differ in nothing but case (Unicode's). False for what is not UTF-8.
bool is_same_in_any_case(std::string_view a, std::string_view b);

/// The name of a special use: "drafts", ...; "" for none.
std::string_view to_string(SpecialUse use);
std::optional<SpecialUse> parse_special_use(std::string_view text);

/// A mailbox that an account gets once anybody looks at it by more than POP: "Sent:sent", or "Lists" without a use.
struct DefaultMailbox {
    std::string name;
    SpecialUse use = SpecialUse::none;
};
/// Errors: invalid.
Result<DefaultMailbox> parse_default_mailbox(std::string_view text);

}  // namespace poplar::mailstore
