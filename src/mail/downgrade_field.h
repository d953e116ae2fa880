#pragma once
#include <string>
#include <string_view>

namespace poplar::mail {

/// A header field with octets over 0x7f as the ASCII field that says the same (RFC 6857 s3). `field` is one field in
/// wire form with its line ends, or lines that are no field; what comes out is so too, begins with the same octet, and
/// none of its further lines begins with ".", so that byte-stuffing stays right. Pure; what comes out has at most
/// twenty times the octets of `field`.
std::string downgrade_field(std::string_view field);

/// The same without looking into it: "?" for every octet over 0x7f.
void append_masked(std::string& out, std::string_view text);

/// The octets before white space and ":" if `field` begins with a field name (RFC 5322 s2.2), or "".
std::string_view field_name_of(std::string_view field);

}  // namespace poplar::mail
