// Both encoders copy their input in slices: a well-behaved peer's octets are wire form already, so a slice usually is
// the whole chunk. A slice ends where something has to be changed, held back or left out. Most of it is looked at in
// blocks of several lines.
#include "mail/wire_form.h"

#include <bit>
#include <cstring>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace poplar::mail {
namespace {

using detail::LineState;
using At = LineState::At;

#if defined(__SSE2__)
__m128i octets(const char* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
__m128i equal(__m128i octets, char c) { return _mm_cmpeq_epi8(octets, _mm_set1_epi8(c)); }
#endif

/// The first CR or LF in [p, end), or `end`.
const char* find_newline(const char* p, const char* end) {
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        const __m128i here = octets(p);
        const int hits = _mm_movemask_epi8(_mm_or_si128(equal(here, '\r'), equal(here, '\n')));
        if (hits != 0) return p + std::countr_zero(static_cast<unsigned>(hits));
    }
#endif
    while (p != end && *p != '\r' && *p != '\n') ++p;
    return p;
}

/// The end of the blocks from `p` on in which every LF has a CR before it, every CR an LF behind it, and no line begins
/// with ".". The octet before `p` is looked at; a CR may be the last.
const char* skip_plain_blocks(const char* p, [[maybe_unused]] const char* end) {
#if defined(__SSE2__)
    constexpr int kBlock = 64;
    for (; end - p >= kBlock; p += kBlock) {
        __m128i odd = _mm_setzero_si128();
        for (int i = 0; i < kBlock; i += 16) {
            const __m128i here = octets(p + i), before = octets(p + i - 1);
            odd = _mm_or_si128(odd, _mm_xor_si128(equal(here, '\n'), equal(before, '\r')));
            odd = _mm_or_si128(odd, _mm_and_si128(equal(here, '.'), equal(before, '\n')));
        }
        if (_mm_movemask_epi8(odd) != 0) break;
    }
#endif
    return p;
}

}  // namespace

/// One call's way through its input: the state it goes on from, the input, and the slice not yet appended.
class detail::Pass {
public:
    enum class Copy { always, when_changed };
    Pass(LineState& state, std::string_view in, std::string& out, Copy copy = Copy::always)
        : state_(state),
          out_(out),
          copy_(copy),
          out_before_(out.size()),
          begin_(in.data()),
          p_(begin_),
          end_(p_ + in.size()),
          slice_(p_) {
        if (rejected()) out_kept_ = out_before_;
    }

    bool more() const { return p_ != end_; }
    char next() const { return *p_; }
    const char* position() const { return p_; }

    /// Goes on over many lines in which nothing is to be changed, from within a line or its beginning; false if it
    /// doesn't see any.
    bool skip_lines() {
        if (p_ == begin_) return false;  // the octet before is not here
        const char* const after = skip_plain_blocks(p_, end_);
        if (after == p_) return false;
        p_ = after[-1] == '\r' ? after - 1 : after;
        state_.at = p_[-1] == '\n' ? At::line_start : At::in_line;
        return true;
    }
    /// Goes on to the next CR or LF; false if the input ends first.
    bool skip_text() {
        p_ = find_newline(p_, end_);
        return p_ != end_;
    }
    /// Goes on behind a whole CRLF, which stays in the slice.
    bool skip_crlf() {
        if (end_ - p_ < 2 || p_[0] != '\r' || p_[1] != '\n') return false;
        p_ += 2;
        state_.at = At::line_start;
        return true;
    }
    /// Goes on behind the ".." that begins a byte-stuffed line, which stays in the slice: SMTP and POP3 stuff alike
    /// (RFC 5321 s4.5.2, RFC 1939 s3).
    bool skip_stuffing() {
        if (end_ - p_ < 2 || p_[0] != '.' || p_[1] != '.') return false;
        p_ += 2;
        ++stuffed_;
        state_.at = At::in_line;
        return true;
    }
    /// Takes the next octet out of the slice.
    void drop() {
        append_slice();
        slice_ = ++p_;
    }
    /// Puts octets of ours between what was consumed and what comes.
    void insert(std::string_view octets) {
        append_slice();
        copy_whole();
        out_.append(octets);
    }
    /// Inserts a "." that begins a line of the message, byte-stuffed.
    void insert_dot() {
        insert("..");
        ++stuffed_;
    }
    // RFC 5321 s2.3.8: CR and LF come together only. The policy says what becomes of one alone.
    void bare_lf() {
        saw_bare_newline();
        drop();
        insert("\r\n");
        state_.at = At::after_bare_lf;
    }
    /// For a CR that was held back and has no LF behind it.
    void bare_cr() {
        saw_bare_newline();
        insert(" ");
        state_.at = At::in_line;
    }
    /// Appends what is left and accounts for it all. Returns what came out.
    std::string_view finish() {
        append_slice();
        const std::uint64_t grown = out_.size() - out_before_ + whole_.size();
        state_.sizes.wire_octets += grown;
        state_.sizes.octets += grown - stuffed_;
        if (rejected()) {
            whole_ = {};
            out_.resize(out_kept_);
        }
        return whole_.empty() ? std::string_view(out_).substr(out_before_) : whole_;
    }

private:
    bool rejected() const { return state_.bare_newline && state_.policy == BareNewlines::reject; }
    void append_slice() {
        const std::string_view slice(slice_, p_);
        slice_ = p_;
        if (slice.empty()) return;
        if (copy_ == Copy::when_changed && whole_.empty() && out_.size() == out_before_) {
            whole_ = slice;
            return;
        }
        copy_whole();
        out_.append(slice);
    }
    void copy_whole() {
        if (whole_.empty()) return;
        constexpr std::size_t kInserted = 64;  // octets that are still to come, mostly
        out_.reserve(out_.size() + whole_.size() + static_cast<std::size_t>(end_ - p_) + kInserted);
        out_.append(std::exchange(whole_, {}));
    }
    void saw_bare_newline() {
        if (state_.bare_newline) return;
        append_slice();
        copy_whole();
        state_.bare_newline = true;
        out_kept_ = out_.size();
    }

    LineState& state_;
    std::string& out_;
    const Copy copy_;
    std::string_view whole_;  ///< all that came out so far, while that is one slice and need not be copied
    const std::size_t out_before_;
    std::size_t out_kept_ = 0;  ///< once rejected(): how much of `out_` stays
    std::uint64_t stuffed_ = 0;
    const char* const begin_;
    const char* p_;
    const char* const end_;
    const char* slice_;
};

namespace {

using detail::Pass;

/// The text of a line and its end, or that of many lines, the same for both encoders.
void pass_line(Pass& pass, LineState& state) {
    if (pass.skip_lines()) return;
    state.at = At::in_line;
    if (!pass.skip_text() || pass.skip_crlf()) return;
    if (pass.next() == '\n') return pass.bare_lf();
    pass.drop();
    state.at = At::after_cr;
}

void pass_after_cr(Pass& pass, LineState& state) {
    if (pass.next() != '\n') return pass.bare_cr();
    pass.drop();
    pass.insert("\r\n");
    state.at = At::line_start;
}

}  // namespace

std::size_t DataDecoder::decode(std::string_view in, std::string& out) {
    Pass pass(state_, in, out);
    decode(pass);
    pass.finish();
    return static_cast<std::size_t>(pass.position() - in.data());
}

DataDecoder::Decoded DataDecoder::decode_in_place(std::string_view in, std::string& out) {
    Pass pass(state_, in, out, Pass::Copy::when_changed);
    decode(pass);
    const auto wire = pass.finish();
    return {wire, static_cast<std::size_t>(pass.position() - in.data())};
}

// RFC 5321 s4.1.1.4, s4.5.2: CRLF.CRLF ends the mail, and no other mixture of these does.
void DataDecoder::decode(detail::Pass& pass) {
    while (pass.more() && state_.at != At::ended) {
        const char next = pass.next();
        switch (state_.at) {
            case At::line_start:
                if (next != '.') {
                    pass_line(pass, state_);
                    break;
                }
                if (pass.skip_stuffing()) break;
                pass.drop();
                state_.at = At::dot;
                break;
            case At::after_bare_lf:  // no line of SMTP begins here: its "." was not stuffed and ends nothing
                if (next == '.') {
                    pass.drop();
                    pass.insert_dot();
                }
                state_.at = At::in_line;
                break;
            case At::in_line: pass_line(pass, state_); break;
            case At::after_cr: pass_after_cr(pass, state_); break;
            case At::dot:
                if (next == '\r') {
                    pass.drop();
                    state_.at = At::dot_cr;
                } else if (next == '.') {  // RFC 5321 s4.5.2: the first "." is deleted; the next is content
                    pass.drop();
                    pass.insert_dot();
                    state_.at = At::in_line;
                } else if (next == '\n') {  // "." alone before a bare LF: content
                    pass.insert_dot();
                    state_.at = At::in_line;
                } else {
                    state_.at = At::in_line;
                }
                break;
            case At::dot_cr:
                if (next == '\n') {  // RFC 5321 s4.1.1.4: the CRLF in front belongs to the message
                    pass.drop();
                    state_.at = At::ended;
                } else {
                    pass.insert_dot();
                    pass.bare_cr();
                }
                break;
            case At::ended: break;
        }
    }
}

// RFC 1939 s3: a line that begins with "." gets another one.
void WireEncoder::encode(std::string_view in, std::string& out) {
    Pass pass(state_, in, out);
    while (pass.more()) {
        switch (state_.at) {
            case At::after_cr: pass_after_cr(pass, state_); break;
            case At::line_start:
            case At::after_bare_lf:
                if (pass.next() == '.') {
                    pass.drop();
                    pass.insert_dot();
                    state_.at = At::in_line;
                    break;
                }
                pass_line(pass, state_);
                break;
            default: pass_line(pass, state_); break;
        }
    }
    pass.finish();
}

// RFC 5321 s2.3.8: the last line has an end, too.
void WireEncoder::finish(std::string& out) {
    Pass pass(state_, {}, out);
    if (state_.at == At::after_cr) pass.bare_cr();
    if (state_.at == At::in_line) {
        pass.insert("\r\n");
        state_.at = At::line_start;
    }
    pass.finish();
}

// RFC 1939 s3: the "." that was put before is taken off.
void WireDecoder::decode(std::string_view in, std::string& out) {
    while (!in.empty()) {
        if (line_start_ && in.front() == '.') in.remove_prefix(1);
        line_start_ = false;
        // One slice up to the next stuffed line.
        std::size_t size = 0;
        while (size < in.size()) {
            const void* newline = std::memchr(in.data() + size, '\n', in.size() - size);
            if (newline == nullptr) {
                size = in.size();
                break;
            }
            size = static_cast<std::size_t>(static_cast<const char*>(newline) - in.data()) + 1;
            line_start_ = size == in.size() || in[size] == '.';
            if (line_start_) break;
        }
        out.append(in.substr(0, size));
        in.remove_prefix(size);
    }
}

// RFC 1939 s7: the header, the empty line behind it (RFC 5322 s2.1), and so many lines of the body.
std::size_t TopLimiter::take(std::string_view wire) {
    std::size_t taken = 0;
    while (taken < wire.size() && !done()) {
        const std::string_view left = wire.substr(taken);
        const std::size_t newline = left.find('\n');
        const std::string_view line = left.substr(0, newline);
        taken += newline == std::string_view::npos ? left.size() : newline + 1;
        if (in_body_) {
            if (newline != std::string_view::npos) --lines_left_;
            continue;
        }
        if (!line.empty()) line_ = line_ == Line::empty && line == "\r" ? Line::cr : Line::text;
        if (newline == std::string_view::npos) continue;
        in_body_ = line_ != Line::text;
        line_ = Line::empty;
    }
    return taken;
}

}  // namespace poplar::mail
