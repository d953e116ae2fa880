#pragma once
// Messages with UTF-8 in their headers (RFC 6532) for clients that take ASCII only: RFC 6857.
//
// Every header field with octets over 0x7f that are UTF-8 is rewritten: the message's own, those of its MIME parts at
// all levels, of messages in it, and of delivery reports. All else passes unchanged: bodies, 8-bit ones too, what is
// signed (RFC 1847 s2.1), and fields that are not UTF-8. A header ends at the empty line or before the first line that
// is no field. No letter is lost: what comes out says all that came in.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mail/content_type.h"

namespace poplar::mail {

/// Rewrites a message in wire form as it passes, or only counts what that would give. Incremental: the same octets give
/// the same result however they are cut. Memory: a field at most (kFieldLimit; a longer one passes as it is), and
/// nothing at all for fields that don't straddle two calls. Parts below kDepth levels pass as they are.
///
/// Sizes that this gave are stored with messages (docs/storage-format.md): a change to what comes out needs a new
/// version of the message record.
class Downgrader {
public:
    static constexpr std::size_t kFieldLimit = 64 * 1024;
    static constexpr std::size_t kDepth = 32;

    /// Appends to `out`, which the caller empties between calls; null: only counts.
    explicit Downgrader(std::string* out = nullptr) : out_(out) {}

    void feed(std::string_view wire);
    void finish();  ///< after the last octet

    /// A field so far was UTF-8 and not ASCII: a client without UTF-8 needs the other form.
    bool needed() const { return needed_; }
    /// Octets that came out less those that went in: as many with byte-stuffing as without.
    std::int64_t growth() const { return growth_; }

private:
    enum class In : std::uint8_t { header, body, rest };
    struct Boundary {
        std::array<char, ContentType::kMaxBoundary> octets;
        std::uint8_t size;
        bool digest;
    };
    static constexpr std::size_t kLongestDelimiter =
        100;  // octets of a line that may be one, padding and CRLF included

    std::string_view header(std::string_view in);
    std::string_view body(std::string_view in);
    struct Lines {
        std::size_t field, line;  ///< where those that have not ended yet begin
        bool header_ended;
    };
    Lines lines(std::string_view in, std::size_t line, std::size_t searched);
    void finish_field(std::string_view field);
    void pass_long(std::string_view text);
    std::size_t long_field(std::string_view in);
    void begin_header(ContentType::Kind kind);
    void end_header();
    bool delimiter(std::string_view line);
    In around() const { return boundaries_.empty() ? In::rest : In::body; }  // what a header stands in
    void leave_parts_below(std::size_t level) {
        boundaries_.erase(boundaries_.begin() + static_cast<std::ptrdiff_t>(level), boundaries_.end());
    }
    void pass(std::string_view text) {
        if (out_ != nullptr) out_->append(text);
    }

    std::string* out_;
    std::int64_t growth_ = 0;
    bool needed_ = false;

    In in_ = In::header;
    ContentType type_;  // of the entity whose header this is
    bool type_seen_ = false;
    bool fields_ = false;         // groups of fields: an empty line ends no header
    bool long_field_ = false;     // in a field over the limit
    bool line_start_ = true;      // body, long_field_: what comes next begins a line
    std::string carry_;           // of a header: a field that has not ended yet
    std::size_t carry_line_ = 0;  // where in it its last line begins

    std::uint8_t partial_size_ = 0;  // of a body's line that may be a delimiter and has not ended; over the limit: none
    std::array<char, kLongestDelimiter> partial_;
    std::vector<Boundary> boundaries_;  // of the multiparts around, at most kDepth
};

}  // namespace poplar::mail
