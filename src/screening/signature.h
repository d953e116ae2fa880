#pragma once
// DKIM-Signature and ARC-Message-Signature fields: what they say, and the text that they sign (RFC 6376 s3.5, s3.7;
// RFC 8617 s4.1.2).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "screening/canonical_form.h"
#include "screening/header.h"
#include "screening/keys.h"

namespace poplar::screening {

struct Signature {
    enum class Kind : std::uint8_t { dkim, arc };

    Algorithm algorithm = Algorithm::rsa_sha256;
    Canonical header_form = Canonical::simple, body_form = Canonical::simple;
    std::string signature, body_hash;     ///< decoded
    std::string shown;                    ///< how the signature begins in base64: tells one of several (RFC 6008)
    std::string domain, selector;         ///< in lower case
    std::string identity;                 ///< i=, or "@" and the domain; of ARC: ""
    std::uint32_t instance = 0;           ///< of ARC
    std::vector<std::string> fields;      ///< that it covers, in lower case
    std::optional<std::uint64_t> length;  ///< of the body that it covers
    std::optional<std::uint64_t> time, expires;  ///< seconds since 1970

    /// Reads a field's value. Domain, selector and `shown` are filled in as far as they can be read also where it
    /// fails. Errors, with a reason that may be told: invalid (it breaks a rule), denied (SHA-1: RFC 8301 s3.1).
    static Result<> parse(std::string_view value, Kind kind, Signature& out);

    /// Where the record of its key is.
    std::string key_name() const { return selector + "._domainkey." + domain; }
};

/// The text that is signed: the fields of `names` from the bottom up, then `own` without its signature.
std::string signed_text(const Header& header, const std::vector<std::string>& names, Canonical form,
                        std::string_view own);

/// A field without the value of its b= tag.
std::string without_signature(std::string_view field);

/// Whether the text may be a selector or a domain in front of others: nothing in it ends a name before its end.
bool is_selector(std::string_view text);

/// Whether `domain` is `parent` or below it.
bool is_below(std::string_view domain, std::string_view parent);

}  // namespace poplar::screening
