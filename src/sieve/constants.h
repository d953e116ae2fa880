#pragma once
// Rules for arguments that both the checker (where they are constant) and the interpreter hold them against. Each
// returns "" or what is wrong.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "mail/address.h"

namespace poplar::sieve {

/// A field name as it may stand in a header (RFC 5322 s2.2).
bool is_field_name(std::string_view name);
/// Fields whose values are addresses as far as anybody knows: not those that are known to be something else.
bool may_hold_addresses(std::string_view field);

enum class EnvelopePart : std::uint8_t {
    from,
    to,
    auth,  // RFC 5228 s5.4
    notify,
    orcpt,
    ret,
    envid,  // RFC 6009 s4
    bytimeabsolute,
    bytimerelative,
    bymode,
    bytrace  // RFC 6009 s5
};
std::optional<EnvelopePart> find_envelope_part(std::string_view name);
constexpr bool is_address(EnvelopePart part) { return part <= EnvelopePart::auth; }
constexpr bool is_of_dsn(EnvelopePart part) { return part >= EnvelopePart::notify && part <= EnvelopePart::envid; }
constexpr bool is_of_deliver_by(EnvelopePart part) { return part >= EnvelopePart::bytimeabsolute; }

/// "+0130" as minutes east of UTC.
std::optional<std::chrono::minutes> parse_zone(std::string_view text);

/// An address as `redirect` takes it: `a@b`, or with a name, `Name <a@b>`.
std::optional<mail::Address> parse_one_address(std::string_view text);

/// Values of tags that may be only some words.
std::string wrong_importance(std::string_view text);
std::string wrong_notify_conditions(std::string_view text);  ///< RFC 6009 s6
std::string wrong_ret(std::string_view text);
std::string wrong_by_mode(std::string_view text);
std::string wrong_option(std::string_view text);  ///< RFC 5435 s3.5
std::string wrong_mailbox(std::string_view name);
std::string wrong_header_value(std::string_view text);  ///< RFC 5293 s4

}  // namespace poplar::sieve
