#pragma once
// Mail addresses: RFC 5321 s4.1.2 (Mailbox), RFC 6531 s3.3 (UTF-8), RFC 5890 (domains).
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::mail {

/// A mailbox address. `local` is unquoted (what a quoted-string stands for); `domain` is a name or an address literal
/// with its brackets; either may be UTF-8.
struct Address {
    std::string local, domain;
    bool operator==(const Address&) const = default;
};

/// `tolerant` is for senders: dots anywhere in an unquoted local part and "_" in a domain, both against RFC 5321 s4.1.2
/// and both in use, so that refusing them loses mail.
enum class Grammar { strict, tolerant };
/// Parses `local@domain`. Any bytes are allowed in `text`; the only error is invalid, its text fit for a log line.
/// Limits: 255 octets each. RFC 5321 s4.5.3.1.1 asks that 64 of a local part be taken, and return addresses that
/// servers make up (SRS, VERP) have more.
Result<Address> parse_address(std::string_view text, Grammar grammar = Grammar::strict);

/// `local@domain`, the local part quoted where RFC 5321 asks for it.
std::string to_string(const Address& address);

/// Well-formed UTF-8 (RFC 3629), any characters; ASCII and "" are.
bool is_utf8(std::string_view text);

/// True if either part has an octet over 0x7f: such an address needs SMTPUTF8 (RFC 6531).
bool needs_smtputf8(const Address& address);

/// The one spelling of a domain that is stored and compared: ASCII lower case, U-labels as A-labels (IDNA 2008), no
/// final dot. Errors: invalid.
Result<std::string> canonical_domain(std::string_view domain);

enum class LocalPartCase { fold, keep };
/// The one spelling of an address that is stored and compared: canonical domain, local part in Unicode NFC and (with
/// `fold`) case-folded. Errors: invalid.
Result<Address> canonical(const Address& address, LocalPartCase local_case = LocalPartCase::fold);

/// `user+detail` as (`user`, `detail`) at the first `separator` that is not the first octet; no detail: ("...", "").
struct LocalPart {
    std::string_view user, detail;
};
LocalPart split_detail(std::string_view local, char separator = '+');

}  // namespace poplar::mail
