#include "mail/downgrade.h"

#include "mail/address.h"
#include "mail/downgrade_field.h"
#include "mail/field_writer.h"

namespace poplar::mail {

// RFC 6857 s3: each field is rewritten by itself, and one that is ASCII already stays (s3.1). One that is no UTF-8
// either is no header field of RFC 6532 s3.1, and nobody knows which letters it means.
void Downgrader::field(std::string_view field) {
    if (!has_8bit(field) || !is_utf8(field)) return pass(field);
    needed_ = true;
    const std::string ascii = downgrade_field(field);
    growth_ += static_cast<std::int64_t>(ascii.size()) - static_cast<std::int64_t>(field.size());
    pass(ascii);
}

void Downgrader::long_field(std::string_view octets) {
    needed_ |= has_8bit(octets);
    pass(octets);
}

// RFC 1847 s2.1: what is signed must not change by an octet.
bool Downgrader::header_ends(const ContentType& type, std::uint64_t) {
    return type.kind != ContentType::Kind::signed_multipart;
}

}  // namespace poplar::mail
