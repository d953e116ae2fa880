#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::mail {

/// Octets that may stand before a field's colon: as many as a line may have (RFC 5322 s2.1.1).
inline constexpr std::size_t kLongestFieldName = 998;

/// The field name that `line` begins with, or "" if it begins no field (RFC 5322 s2.2): at least one printable
/// character, then ":", before which white space may stand (s4.5). Continued lines are no business of this.
std::string_view field_name(std::string_view line);

/// Walks a message's header (RFC 5322 s2.2) as it passes, in wire form or plain, without keeping it: counts what the
/// limits and the loop check need, and sees where it ends: at the blank line, or before the first line that is no
/// field. Incremental; any bytes are allowed.
class HeaderWalk {
public:
    void feed(std::string_view bytes);
    bool in_body() const { return at_ == At::body; }  ///< the header is over
    /// It is over, but without a blank line: the body begins at header_octets().
    bool lacks_blank_line() const { return lacks_blank_line_; }
    /// Octets fed of a line that may be a field and may be none; at most kLongestFieldName.
    std::size_t undecided() const { return undecided_; }
    std::uint64_t header_octets() const { return octets_; }     ///< so far, CRLFs and the blank line included
    std::uint32_t field_count() const { return fields_; }       ///< header fields so far
    std::uint32_t received_count() const { return received_; }  ///< Received fields: the hop count (RFC 5321 s6.3)
    bool has_8bit() const { return has_8bit_; }                 ///< an octet over 0x7f in the header (RFC 6532)

private:
    enum class At : std::uint8_t { line_start, line_cr, name, after_name, text, body };
    std::size_t pass_name(std::string_view bytes);
    void step(unsigned char c);
    void end_name(unsigned char c);
    void end_at_text();

    At at_ = At::line_start;
    bool has_8bit_ = false, lacks_blank_line_ = false;
    std::uint8_t matched_ = 0;  ///< octets of "received" that the name so far is; over its length: another name
    std::uint32_t fields_ = 0, received_ = 0, undecided_ = 0;
    std::uint64_t octets_ = 0;
};

/// One field of a complete header: `name` as written, `value` unfolded (RFC 5322 s2.2.3), not decoded.
struct HeaderField {
    std::string name, value;
};
/// Splits a header (plain octets, CRLF line ends), up to its end as HeaderWalk sees it. At most `limit` fields.
std::vector<HeaderField> parse_header(std::string_view header, std::size_t limit = 1000);

/// Decodes RFC 2047 encoded-words in an unstructured value to UTF-8, for showing to people. Never fails: what can't be
/// decoded stays as it is; octets that are not UTF-8 become U+FFFD, control characters a space. Only charsets seen in
/// mail are looked up (the C library's iconv has had crashes in the rare ones).
std::string decode_for_display(std::string_view value);

}  // namespace poplar::mail
