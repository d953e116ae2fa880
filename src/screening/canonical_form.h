#pragma once
// The forms in which a signature covers a message (RFC 6376 s3.4): relays may change what they leave out.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "screening/digest.h"

namespace poplar::screening {

enum class Canonical : std::uint8_t { simple, relaxed };

/// A header field, its name and folds included, in this form, with the CRLF at its end. RFC 6376 s3.4.1, s3.4.2.
std::string canonical_field(std::string_view field, Canonical form);

/// Hashes a body in one of the forms (RFC 6376 s3.4.3, s3.4.4) as it passes: plain octets, not stuffed; a CR or LF that
/// is not part of a CRLF is text. The same octets give the same hash however they are cut. Memory: none.
class BodyHash {
public:
    explicit BodyHash(Canonical form) : form_(form) {}
    void feed(std::string_view plain);
    /// After the last octet, once.
    std::string finish();
    std::uint64_t octets() const { return octets_; }  ///< of the canonical form; all of them after finish()

private:
    void text(std::string_view run);
    void put(std::string_view octets);
    void end_line();

    const Canonical form_;
    Sha256 hash_;
    std::string out_;  // canonical octets that were not hashed yet
    std::uint64_t octets_ = 0;
    std::uint64_t line_ends_ = 0;  // of lines that may turn out to be empty ones at the end
    bool carriage_return_ = false, space_ = false, any_ = false;
};

}  // namespace poplar::screening
