#include "imap/compression.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>

#include "base/turn.h"

namespace poplar::imap {

namespace {

// RFC 4978 s4: negative, for DEFLATE without a header. Peers may use the largest window. Our own is smaller: 8 KB, and
// 64 KB for all of it, find nearly all that responses repeat.
constexpr int kTheirWindow = -15, kOurWindow = -13, kOurMemory = 6, kLevel = 1;
constexpr std::size_t kAtOnce = 16 * 1024;    // octets that are compressed without a look at the clock
constexpr std::size_t kKeptWhileIdle = 1024;  // a larger buffer is given back before a wait for the peer

}  // namespace

struct CompressedConnection::Streams {
    Streams() {
        if (inflateInit2(&in, kTheirWindow) != Z_OK) throw std::bad_alloc();
        if (deflateInit2(&out, kLevel, Z_DEFLATED, kOurWindow, kOurMemory, Z_DEFAULT_STRATEGY) == Z_OK) return;
        inflateEnd(&in);
        throw std::bad_alloc();
    }
    ~Streams() {
        inflateEnd(&in);
        deflateEnd(&out);
    }
    Streams(const Streams&) = delete;
    z_stream in{}, out{};
};

CompressedConnection::CompressedConnection(net::Connection& inner, net::Wakeable* wakeable)
    : inner_(inner), wakeable_(wakeable), streams_(std::make_unique<Streams>()) {}
CompressedConnection::~CompressedConnection() = default;

void CompressedConnection::drop_consumed() {
    plain_.erase(0, std::exchange(begin_, 0));
    if (plain_.capacity() > kKeptWhileIdle && plain_.empty()) plain_ = std::string();
}

Result<> CompressedConnection::check() const {
    if (ended_) return fail(Errc::closed, "the peer ended its compression");
    if (broken_) return fail(Errc::closed, "the peer's octets are not compressed as was agreed");
    return {};
}

// All of them are not used, if they inflate to more than fits. What comes before something broken is read still.
std::size_t CompressedConnection::inflate(std::string_view octets) {
    auto& in = streams_->in;
    in.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
    in.avail_in = static_cast<uInt>(std::min<std::size_t>(octets.size(), kInflated));
    const auto offered = in.avail_in;
    const auto before = plain_.size();
    plain_.resize(before + kInflated);
    in.next_out = reinterpret_cast<Bytef*>(plain_.data() + before);
    in.avail_out = kInflated;
    const auto outcome = ::inflate(&in, Z_SYNC_FLUSH);
    plain_.resize(before + kInflated - in.avail_out);
    more_inside_ = in.avail_out == 0;
    ended_ = outcome == Z_STREAM_END;
    broken_ = outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR;
    if (ended_ || broken_) more_inside_ = false;
    return offered - in.avail_in;
}

Task<Result<>> CompressedConnection::fill(SteadyTime deadline) {
    drop_consumed();
    const auto before = plain_.size();
    while (plain_.size() == before) {
        if (auto sound = check(); !sound) co_return sound;
        std::string_view octets;
        if (!more_inside_) {
            if (auto sent = co_await send_pending(); !sent) co_return sent;
            const auto left = std::chrono::ceil<Seconds>(deadline - SteadyClock::now());
            if (left <= left.zero()) co_return fail(Errc::timed_out, "the peer was too slow");
            auto some = co_await inner_.read_some(left);
            if (!some) co_return pass_on(some);
            octets = *some;
        }
        const auto used = inflate(octets);
        if (!octets.empty()) inner_.consume(used);
        if (turn::over()) co_await turn::let_others();
    }
    co_return Result<>();
}

Task<Result<std::string_view>> CompressedConnection::read_line(std::size_t limit, Seconds idle, net::LineEnd end) {
    const auto deadline = SteadyClock::now() + idle;
    bool too_long = false;
    std::size_t searched = 0;
    for (;;) {
        const auto rest = unconsumed();
        if (const auto line = net::find_line(rest, end, searched)) {
            begin_ += line->whole;
            if (turn::over()) co_await turn::let_others();
            if (too_long || line->whole > limit) co_return fail(Errc::too_large, "line too long");
            co_return rest.substr(0, line->text);
        }
        if (too_long || rest.size() >= limit) {
            too_long = true;
            begin_ = plain_.size() - (rest.ends_with('\r') ? 1 : 0);  // its LF may be next
        }
        searched = unconsumed().size();
        if (auto more = co_await fill(deadline); !more) co_return pass_on(more);
    }
}

Task<Result<std::string_view>> CompressedConnection::read_some(Seconds idle, std::span<char>) {
    if (unconsumed().empty())
        if (auto more = co_await fill(SteadyClock::now() + idle); !more) co_return pass_on(more);
    co_return unconsumed();
}

std::string_view CompressedConnection::at_hand() const { return turn::over() ? std::string_view() : unconsumed(); }

Task<Result<>> CompressedConnection::deflate(std::string_view octets, int how) {
    std::array<char, 4096> block;
    auto& out = streams_->out;
    out.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
    out.avail_in = static_cast<uInt>(octets.size());
    do {
        out.next_out = reinterpret_cast<Bytef*>(block.data());
        out.avail_out = block.size();
        // It fails only where there is nothing to do.
        (void)::deflate(&out, how);
        const std::string_view made(block.data(), block.size() - out.avail_out);
        if (made.empty()) break;
        if (auto written = co_await inner_.write(made); !written) co_return written;
    } while (out.avail_out == 0);
    co_return Result<>();
}

Task<Result<>> CompressedConnection::write(std::string_view bytes) {
    pending_ = pending_ || !bytes.empty();
    while (!bytes.empty()) {
        const auto some = bytes.substr(0, kAtOnce);
        bytes.remove_prefix(some.size());
        if (auto written = co_await deflate(some, Z_NO_FLUSH); !written) co_return written;
        if (turn::over()) co_await turn::let_others();
    }
    co_return Result<>();
}

Task<Result<>> CompressedConnection::send_pending() {
    if (!std::exchange(pending_, false)) co_return Result<>();
    co_return co_await deflate({}, Z_SYNC_FLUSH);
}

Task<Result<>> CompressedConnection::flush() {
    if (auto sent = co_await send_pending(); !sent) co_return sent;
    co_return co_await inner_.flush();
}

Task<Result<>> CompressedConnection::pause(SteadyClock::duration time) {
    if (auto sent = co_await send_pending(); !sent) co_return sent;
    co_return co_await inner_.pause(time);
}

Task<Result<>> CompressedConnection::start_tls(const net::TlsContext&, Seconds) {
    co_return fail(Errc::invalid, "compression is active");
}

Task<> CompressedConnection::close(net::Parting parting) {
    (void)co_await send_pending();
    co_await inner_.close(parting);
}

Task<Result<bool>> CompressedConnection::await_octets(Seconds idle) {
    const auto deadline = SteadyClock::now() + idle;
    drop_consumed();
    while (plain_.empty()) {
        if (auto sound = check(); !sound) co_return pass_on(sound);
        if (!more_inside_) {
            if (auto sent = co_await send_pending(); !sent) co_return pass_on(sent);
            const auto left = std::chrono::ceil<Seconds>(deadline - SteadyClock::now());
            if (left <= left.zero()) co_return fail(Errc::timed_out, "the peer was too slow");
            auto awaited = co_await wakeable_->await_octets(left);
            if (!awaited || !*awaited) co_return awaited;
        }
        // There is something now, so that this does not wait; but it may inflate to nothing.
        const auto octets = more_inside_ ? std::string_view() : inner_.at_hand();
        if (octets.empty() && !more_inside_) {
            if (auto filled = co_await fill(deadline); !filled) co_return pass_on(filled);
            break;
        }
        const auto used = inflate(octets);
        if (!octets.empty()) inner_.consume(used);
    }
    co_return true;
}

void CompressedConnection::wake() {
    if (wakeable_) wakeable_->wake();
}

// A peer that ends its compression sends a last block, of a few octets. One that does not, though it should, goes on
// with a tag, which begins with no control character as such a block does.
Task<Result<>> CompressedConnection::end(Seconds idle) {
    if (auto sent = co_await deflate({}, Z_FINISH); !sent) co_return sent;
    pending_ = false;
    const auto deadline = SteadyClock::now() + idle;
    while (!ended_) {
        const auto left = std::chrono::ceil<Seconds>(deadline - SteadyClock::now());
        if (left <= left.zero()) co_return fail(Errc::timed_out, "the peer was too slow");
        auto some = co_await inner_.read_some(left);
        if (!some) co_return pass_on(some);
        if (some->front() >= ' ') break;
        inner_.consume(inflate(*some));
        if (broken_) co_return check();
        if (!unconsumed().empty()) co_return fail(Errc::closed, "the peer went on within its compression");
    }
    co_return Result<>();
}

}  // namespace poplar::imap
