#pragma once
// Messages on their way in become POP3 wire form: every line ends in CRLF, a line that begins with "." gets one more
// (RFC 1939 s3, RFC 5321 s4.5.2), and the final "." is not part of it. What RETR sends is then what is stored.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::mail {

/// What to do with a CR or LF that is not part of a CRLF (RFC 5321 s2.3.8 forbids them).
enum class BareNewlines {
    reject,     ///< the decoder goes on to the end, then tells (bare_newline())
    normalize,  ///< LF alone becomes CRLF; CR alone becomes a space, so that no new line comes into being
};

/// Sizes of what has passed through.
struct WireSizes {
    std::uint64_t octets = 0;       ///< unstuffed, CRLF counted as two
    std::uint64_t wire_octets = 0;  ///< with byte-stuffing
};

/// Decodes the octets that follow an SMTP DATA command into wire form. The only end of data is CRLF "." CRLF, where
/// the first CRLF may be the one that ended the DATA line (RFC 5321 s4.1.1.4); "." on a line that a bare LF or CR
/// begins or ends is content. Incremental: the same octets give the same result however they are cut.
class DataDecoder {
public:
    explicit DataDecoder(BareNewlines policy) : policy_(policy) {}

    /// Consumes octets of `in` up to the end of data or all of it, and appends wire form to `out` (which the caller
    /// empties between calls; it grows by at most 2 * in.size() + 4). Returns how many octets were consumed.
    std::size_t decode(std::string_view in, std::string& out);

    bool at_end() const;         ///< the end of data has been consumed
    bool bare_newline() const;   ///< a bare CR or LF was seen
    std::size_t longest_line() const;  ///< octets, CRLF not counted (RFC 5321 s4.5.3.1.6: 998)
    bool has_8bit() const;       ///< an octet over 0x7f was seen
    const WireSizes& sizes() const { return sizes_; }

private:
    // (the implementer adds the state)
    BareNewlines policy_;
    WireSizes sizes_;
};

/// Encodes plain message octets (BDAT chunks, a file, a pipe) as wire form: stuffs, ends the last line if it has no
/// end. Incremental like DataDecoder.
class WireEncoder {
public:
    explicit WireEncoder(BareNewlines policy) : policy_(policy) {}
    void encode(std::string_view in, std::string& out);
    void finish(std::string& out);  ///< after the last octet
    bool bare_newline() const;
    std::size_t longest_line() const;
    bool has_8bit() const;
    const WireSizes& sizes() const { return sizes_; }

private:
    BareNewlines policy_;
    WireSizes sizes_;
};

/// Takes wire form and appends plain octets to `out`: the inverse of WireEncoder, incremental.
class WireDecoder {
public:
    void decode(std::string_view in, std::string& out);
};

/// For TOP: how much of `wire` (the next chunk of a message in wire form) belongs to the header, the blank line and
/// the first `lines` lines of the body (RFC 1939 s7). Incremental over chunks.
class TopLimiter {
public:
    explicit TopLimiter(std::uint64_t lines) : lines_left_(lines) {}
    std::size_t take(std::string_view wire);  ///< octets of `wire` to send; done() once no more follows
    bool done() const;

private:
    std::uint64_t lines_left_;
};

}  // namespace poplar::mail
