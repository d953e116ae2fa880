#pragma once
#include <string>
#include <string_view>

namespace poplar::mail {

/// A header field of UTF-8 as the field that says the same in ASCII (RFC 6857 s3); only a boundary stays as it is, as
/// the lines between the parts do. `field` is one field in wire form with its line ends; what comes out is so too,
/// begins with the same octet, and none of its further lines begins with ".", so that byte-stuffing stays right. Pure;
/// what comes out has at most twenty times the octets of `field`.
std::string downgrade_field(std::string_view field);

}  // namespace poplar::mail
