#pragma once
// A peer that follows a script, behind the same interface as a real connection.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/connection.h"

namespace poplar::test {

/// The outcome of a conversation; outlives the connection.
struct Transcript {
    std::string output;                ///< all that the session sent
    std::vector<std::string> flights;  ///< the same, as it was sent: one element for each flush that had something
    bool tls = false;                  ///< start_tls was called
    bool closed = false;               ///< by the session
    SteadyClock::duration paused{};    ///< by the session, in all
    std::size_t unread = 0;            ///< octets of the script that the session never consumed
};

/// Plays a script to a session. A script is a list of flights: all octets of a flight are there at once (or in blocks
/// of `cut` octets), the next flight comes only when everything before is consumed and the session waits for more.
/// After the last, reads fail with `end`. A real block of time never passes.
class ScriptConnection final : public net::Connection {
public:
    struct Script {
        std::vector<std::string> flights;
        std::size_t cut = 0;           ///< octets that arrive at once; 0: the whole flight
        std::chrono::seconds apart{};  ///< time that passes before each arrival
        Errc end = Errc::closed;       ///< what reads answer after the last flight
        bool tls_works = true;
        net::Peer peer{"192.0.2.7", 40000, false};
    };

    ScriptConnection(Script script, std::shared_ptr<Transcript> transcript)
        : script_(std::move(script)), transcript_(std::move(transcript)) {}
    ~ScriptConnection() override {
        transcript_->unread = buffer_.size() - used_ + flight_.size();
        for (auto i = next_; i < script_.flights.size(); ++i) transcript_->unread += script_.flights[i].size();
    }

    Task<Result<std::string_view>> read_line(std::size_t limit, Seconds idle, net::LineEnd end) override {
        drop_used();
        std::optional<net::LineBounds> line;
        if (aborted_) co_return fail(Errc::closed, "cut");
        while (!(line = net::find_line(buffer_, end)))
            if (auto more = co_await arrive(idle); !more) co_return pass_on(more);
        used_ = line->whole;
        if (used_ > limit) co_return fail(Errc::too_large, "line too long");
        co_return std::string_view(buffer_).substr(0, line->text);
    }

    Task<Result<std::string_view>> read_some(Seconds idle, std::span<char>) override {
        drop_used();
        if (buffer_.empty())
            if (auto more = co_await arrive(idle); !more) co_return pass_on(more);
        co_return std::string_view(buffer_);
    }
    void consume(std::size_t octets) override { used_ += octets; }
    std::string_view at_hand() const override {
        return aborted_ ? std::string_view() : std::string_view(buffer_).substr(used_);
    }

    Task<Result<>> write(std::string_view bytes) override {
        if (aborted_) co_return fail(Errc::closed, "cut");
        gathered_ += bytes;
        co_return Result<>();
    }
    bool try_write_all(std::span<const std::string_view> pieces) override {
        if (aborted_) return false;
        for (auto piece : pieces) gathered_ += piece;
        return true;
    }
    Task<Result<>> flush() override {
        send();
        co_return Result<>();
    }

    Task<Result<>> pause(SteadyClock::duration time) override {
        send();
        if (stopped_) co_return fail(Errc::cancelled, "stopping");
        transcript_->paused += time;
        SteadyClock::move(time);
        co_return Result<>();
    }

    Task<Result<>> start_tls(const net::TlsContext&, Seconds) override {
        send();
        transcript_->tls = true;
        buffer_.clear();  // what the peer sent before the handshake
        flight_.clear();
        used_ = 0;
        if (!script_.tls_works) co_return fail(Errc::closed, "handshake failed");
        tls_ = {"TLSv1.3", "TLS_AES_256_GCM_SHA384", false};
        encrypted_ = true;
        co_return Result<>();
    }
    const net::TlsInfo* tls() const override { return encrypted_ ? &tls_ : nullptr; }

    const net::Peer& peer() const override { return script_.peer; }
    void set_peer(net::Peer peer) override { script_.peer = std::move(peer); }
    std::string local_address() const override { return "192.0.2.1"; }
    Task<> close(net::Parting) override {
        if (!aborted_) send();
        transcript_->closed = true;
        co_return;
    }
    void stop_reading() override { stopped_ = true; }
    void abort() override { aborted_ = true; }

private:
    void drop_used() { buffer_.erase(0, std::exchange(used_, 0)); }

    // The next block of the script. Waiting sends what was gathered, as the interface promises.
    Task<Result<>> arrive(Seconds idle) {
        SteadyClock::move(std::min(script_.apart, idle));
        if (script_.apart > idle) co_return fail(Errc::timed_out, "the peer was too slow");
        if (flight_.empty()) {
            send();
            co_await asio::post(use_awaitable);
            if (stopped_) co_return fail(Errc::cancelled, "stopping");
            if (next_ == script_.flights.size()) co_return fail(script_.end, "end of the script");
            flight_ = script_.flights[next_++];
        }
        auto size = script_.cut == 0 ? flight_.size() : std::min(script_.cut, flight_.size());
        buffer_ += flight_.substr(0, size);
        flight_.erase(0, size);
        co_return Result<>();
    }

    void send() {
        if (gathered_.empty()) return;
        transcript_->output += gathered_;
        transcript_->flights.push_back(std::exchange(gathered_, {}));
    }

    Script script_;
    std::shared_ptr<Transcript> transcript_;
    std::size_t next_ = 0;
    std::string flight_;  // what is left of the flight that is arriving
    std::string buffer_;  // arrived
    std::size_t used_ = 0;
    std::string gathered_;
    net::TlsInfo tls_;
    bool encrypted_ = false, stopped_ = false, aborted_ = false;
};

}  // namespace poplar::test
