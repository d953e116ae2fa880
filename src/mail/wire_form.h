#pragma once
// Messages on their way in become POP3 wire form: every line ends in CRLF, a line that begins with "." gets one more
// (RFC 1939 s3, RFC 5321 s4.5.2), and the final "." is not part of it. So RETR sends what is stored.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::mail {

/// The treatment of a CR or LF that is not part of a CRLF (RFC 5321 s2.3.8 forbids them).
enum class BareNewlines {
    reject,     ///< the decoder goes on to the end, then tells (bare_newline())
    normalize,  ///< LF alone becomes CRLF; CR alone becomes a space, so that no new line comes into being
};

/// Sizes of what has passed through.
struct WireSizes {
    std::uint64_t octets = 0;       ///< unstuffed, CRLF counted as two
    std::uint64_t wire_octets = 0;  ///< with byte-stuffing
};

namespace detail {

/// Where in a line an encoder stands, and what it has seen so far.
struct LineState {
    enum class At : std::uint8_t {
        line_start,     ///< after a CRLF, or at the beginning
        after_bare_lf,  ///< a line begins for the reader, but not for SMTP
        in_line,
        after_cr,  ///< a CR is held back until it is known what follows
        dot,       ///< DATA: a "." at the line's start is held back
        dot_cr,    ///< DATA: so is the CR after it
        ended,     ///< DATA: the end of data has passed
    };
    explicit LineState(BareNewlines p) : policy(p) {}

    BareNewlines policy;
    At at = At::line_start;
    bool bare_newline = false;
    WireSizes sizes;
};
class Pass;

}  // namespace detail

/// Decodes the octets that follow an SMTP DATA command into wire form. The only end of data is CRLF "." CRLF, where
/// the first CRLF may be the one that ended the DATA line (RFC 5321 s4.1.1.4); "." on a line that a bare LF or CR
/// begins or ends is content. Incremental: the same octets give the same result however they are cut.
/// With BareNewlines::reject nothing more is appended once a bare CR or LF was seen; counting goes on.
class DataDecoder {
public:
    explicit DataDecoder(BareNewlines policy) : state_(policy) {}

    /// Consumes octets of `in` up to the end of data or all of it, and appends wire form to `out` (which the caller
    /// empties between calls; it grows by at most 2 * in.size() + 4). Returns how many octets were consumed.
    std::size_t decode(std::string_view in, std::string& out);

    /// The same for an empty `out`, but nothing is copied where nothing has to be changed, as in nearly all mail: what
    /// came out is a part of `in` then, else `out`.
    struct Decoded {
        std::string_view wire;
        std::size_t used;
    };
    Decoded decode_in_place(std::string_view in, std::string& out);

    /// The end of data has been consumed.
    bool at_end() const { return state_.at == detail::LineState::At::ended; }
    /// A bare CR or LF was seen.
    bool bare_newline() const { return state_.bare_newline; }
    const WireSizes& sizes() const { return state_.sizes; }

private:
    void decode(detail::Pass& pass);
    detail::LineState state_;
};

/// Encodes plain message octets (BDAT chunks, a file, a pipe) as wire form: stuffs, ends the last line if it has no
/// end. Incremental like DataDecoder, and with the same accessors. `out` grows by at most 2 * in.size() + 4.
class WireEncoder {
public:
    explicit WireEncoder(BareNewlines policy) : state_(policy) {}
    void encode(std::string_view in, std::string& out);
    void finish(std::string& out);  ///< after the last octet
    bool bare_newline() const { return state_.bare_newline; }
    const WireSizes& sizes() const { return state_.sizes; }

private:
    detail::LineState state_;
};

/// Takes wire form and appends plain octets to `out`: the inverse of WireEncoder, incremental.
class WireDecoder {
public:
    void decode(std::string_view in, std::string& out);

private:
    bool line_start_ = true;
};

/// For TOP: how much of `wire` (the next chunk of a message in wire form) belongs to the header, the blank line and
/// the first `lines` lines of the body (RFC 1939 s7). Incremental over chunks.
class TopLimiter {
public:
    explicit TopLimiter(std::uint64_t lines) : lines_left_(lines) {}
    std::size_t take(std::string_view wire);  ///< octets of `wire` to send; done() once no more follows
    bool done() const { return in_body_ && lines_left_ == 0; }

private:
    std::uint64_t lines_left_;
    bool in_body_ = false;
    enum class Line : std::uint8_t { empty, cr, text } line_ = Line::empty;  ///< what the current header line has
};

}  // namespace poplar::mail
