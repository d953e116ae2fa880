#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::mail {

/// Walks a message's header (RFC 5322 s2.2) as it passes, in wire form or plain, without keeping it: counts what the
/// limits and the loop check need. Incremental; any bytes are allowed.
class HeaderWalk {
public:
    void feed(std::string_view bytes);
    bool in_body() const { return at_ == At::body; }            ///< the blank line has passed
    std::uint64_t header_octets() const { return octets_; }     ///< so far, CRLFs and the blank line included
    std::uint32_t field_count() const { return fields_; }       ///< header fields so far
    std::uint32_t received_count() const { return received_; }  ///< Received fields: the hop count (RFC 5321 s6.3)
    bool has_8bit() const { return has_8bit_; }                 ///< an octet over 0x7f in the header (RFC 6532)

private:
    enum class At : std::uint8_t { line_start, line_cr, name, after_name, text, body };
    void step(unsigned char c);
    void end_name(unsigned char c);

    At at_ = At::line_start;
    bool has_8bit_ = false;
    std::uint8_t matched_ = 0;  ///< octets of "received" that the name so far is; over its length: another name
    std::uint32_t fields_ = 0, received_ = 0;
    std::uint64_t octets_ = 0;
};

/// One field of a complete header: `name` as written, `value` unfolded (RFC 5322 s2.2.3), not decoded.
struct HeaderField {
    std::string name, value;
};
/// Splits a header (plain octets, CRLF line ends, up to the blank line or the end). Lines that are no field are
/// skipped. At most `limit` fields.
std::vector<HeaderField> parse_header(std::string_view header, std::size_t limit = 1000);

/// Decodes RFC 2047 encoded-words in an unstructured value to UTF-8, for showing to people. Never fails: what can't be
/// decoded stays as it is; octets that are not UTF-8 become U+FFFD, control characters a space. Only charsets seen in
/// mail are looked up (the C library's iconv has had crashes in the rare ones).
std::string decode_for_display(std::string_view value);

}  // namespace poplar::mail
