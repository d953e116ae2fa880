#pragma once
// One walk over a message: its header fields, its MIME parts at all levels, their bodies (RFC 5322, RFC 2045, RFC
// 2046), told to a listener in the order of the octets. Code that wants to know something of a message's structure is a
// listener; Downgrader (mail/downgrade.h) is one.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mail/content_type.h"

namespace poplar::mail {

/// Each octet is told once, by one of field(), long_field(), frame() and body(). Texts are good during the call only.
class MimeListener {
public:
    /// A part begins with this octet: the message itself at level 0; at a level below, one of a multipart's parts, or
    /// the message in a message/rfc822.
    virtual void part_begins(std::uint64_t /*offset*/, std::size_t /*level*/) {}
    /// A header field of the part that began last, or of a report in it, with its line ends, folded as it is.
    virtual void field(std::string_view /*field*/) {}
    /// Some of a field that is too long to be told whole (MimeWalk::kFieldLimit).
    virtual void long_field(std::string_view /*octets*/) {}
    /// The header is over, and the body begins with this octet. False: no matter what `type` is, all of the body is
    /// told by body(), as that of a leaf is. Called once a part.
    virtual bool header_ends(const ContentType& /*type*/, std::uint64_t /*offset*/) { return true; }
    /// Octets of a part's body; of a multipart's, those before its first part and behind its last.
    virtual void body(std::string_view /*octets*/) {}
    /// Octets of no field and no body: the empty line behind a header, and lines that delimit parts.
    virtual void frame(std::string_view /*octets*/) {}
    /// The part that began last, of those that have not ended, ends before this octet. The line end in front of a
    /// delimiter is not the part's (RFC 2046 s5.1.1): body() has told it, and the offset does not count it.
    virtual void part_ends(std::uint64_t /*offset*/) {}

protected:
    ~MimeListener() = default;
};

/// Incremental: the same octets are told the same however they are cut, but for where body() and long_field() are. In
/// wire form or plain; any octets are allowed. A header ends at the empty line or before the first line that is no
/// field. Memory: a field at most, and nothing at all for fields that don't straddle two calls; a boundary for each
/// multipart that the octets at hand are in.
class MimeWalk {
public:
    static constexpr std::size_t kFieldLimit = 64 * 1024;
    static constexpr std::size_t kMultiparts = 32;  ///< within each other; what is in more is a leaf
    struct Bounds {
        std::size_t levels = 64;     ///< what would begin below is a leaf
        std::size_t parts = 10'000;  ///< behind the last, all is body
    };

    /// The listener must outlive it.
    explicit MimeWalk(MimeListener& listener) : MimeWalk(listener, Bounds()) {}
    MimeWalk(MimeListener& listener, Bounds bounds) : listener_(listener), bounds_(bounds) {}
    MimeWalk(const MimeWalk&) = delete;

    void feed(std::string_view octets);
    void finish();  ///< after the last octet

private:
    enum class In : std::uint8_t { start, header, body, rest };
    struct Boundary {
        std::array<char, ContentType::kMaxBoundary> octets;
        std::uint8_t size;
        bool digest;
        std::size_t level;  // of the multipart
    };
    struct Delimiter {
        std::size_t boundary;  // in boundaries_
        bool closes;
    };
    // Octets of a line that may delimit parts, padding and CRLF included.
    static constexpr std::size_t kLongestDelimiter = 100;

    void begin();
    std::string_view header(std::string_view in);
    std::string_view body(std::string_view in);
    struct Lines {
        std::size_t field, line;  ///< where those that have not ended yet begin
        bool header_ended;
    };
    Lines lines(std::string_view in, std::size_t line, std::size_t searched);
    void tell_field(std::string_view field);
    void tell_long_field(std::string_view octets);
    void tell_frame(std::string_view octets);
    void tell_body(std::string_view octets);
    void count(std::string_view told);
    void forget_line_end();
    std::size_t long_field(std::string_view in);
    void begin_part(ContentType::Kind kind, std::size_t level);
    void begin_header(ContentType::Kind kind);
    void end_header();
    void end_parts(std::size_t level, std::uint64_t offset);
    const Delimiter* find_delimiter(std::string_view line);
    void pass_delimiter(Delimiter delimiter, std::string_view line);
    In around() const { return boundaries_.empty() ? In::rest : In::body; }  // what a header stands in

    MimeListener& listener_;
    const Bounds bounds_;
    std::uint64_t told_ = 0;  // octets
    std::size_t level_ = 0, parts_ = 0;

    In in_ = In::start;
    ContentType type_;  // of the part whose header this is
    bool type_seen_ = false;
    bool fields_ = false;         // groups of fields in a body: an empty line ends no header
    bool long_field_ = false;     // in a field over the limit
    bool line_start_ = true;      // body, long_field_: what comes next begins a line
    std::string carry_;           // of a header: a field that has not ended yet
    std::size_t carry_line_ = 0;  // where in it its last line begins

    std::uint8_t partial_size_ = 0;  // of a body's line that may be a delimiter and has not ended
    std::array<char, kLongestDelimiter> partial_;
    Delimiter found_{};
    std::uint8_t line_end_ = 0;  // octets of the line end that the part's body ends with, as far as it was told
    bool ends_in_cr_ = false;
    std::vector<Boundary> boundaries_;  // of the multiparts around, at most kMultiparts
};

}  // namespace poplar::mail
