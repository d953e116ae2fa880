#pragma once
// The lines of one client's session, whatever its protocol: at hand or awaited, how many of them may be bad, and how
// the session ends.
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ascii.h"
#include "base/asio.h"
#include "base/error.h"
#include "base/steady.h"
#include "net/connection.h"

namespace poplar::session {

// Reasons of an end, for the log, that have a meaning beyond it.
inline constexpr std::string_view kQuit = "quit";      ///< the client asked for it
inline constexpr std::string_view kFailed = "failed";  ///< something was thrown (Lines::guard)

/// A browser that is made to talk to us: a form's body could hold commands. A long request line is refused for its
/// length, but each request has a Host field (RFC 9112 s3, s3.2).
inline bool is_http(std::string_view line) { return line.contains(" HTTP/") || ascii::starts_with(line, "host:"); }

/// To be used on the connection's thread, which the connection outlives.
class Lines {
public:
    using Seconds = net::Connection::Seconds;

    /// `bad_commands`: the last of so many ends the session.
    Lines(net::Connection& connection, std::uint32_t bad_commands)
        : connection_(&connection), bad_commands_allowed_(bad_commands) {}
    Lines(const Lines&) = delete;

    struct Line {
        std::string_view text;  ///< without its end
        std::size_t whole;      ///< octets with it
    };
    /// The next line, if all of it has come and it is at most `limit` octets long with its end. It stays the next one
    /// until consume(). Valid until the next read.
    std::optional<Line> at_hand(std::size_t limit, net::LineEnd end = net::LineEnd::crlf_or_lf) const {
        if (ousted_ || cut_) return std::nullopt;
        const auto received = connection_->at_hand();
        const auto line = net::find_line(received, end);
        if (!line || line->whole > limit) return std::nullopt;
        return Line{received.substr(0, line->text), line->whole};
    }
    void consume(const Line& line) { connection_->consume(line.whole); }

    /// From now on lines come from there: the same connection, seen through something. It must outlive this.
    void go_on_with(net::Connection& connection) { connection_ = &connection; }

    /// As Connection::read_line, but fails after `deadline` even if the client always has another line ready. One more
    /// error: conflict (oust() was called).
    Task<Result<std::string_view>> read(std::size_t limit, Seconds idle, net::LineEnd end = net::LineEnd::crlf_or_lf,
                                        SteadyTime deadline = SteadyTime::max());

    /// Counts a command that is malformed or out of place. False: that was the last one.
    bool allow_bad_command() { return ++bad_commands_ < bad_commands_allowed_; }
    /// The session begins anew, as another client's.
    void forgive_bad_commands() { bad_commands_ = 0; }

    /// The failure with which a session ends that has told its client why: `co_return lines.end("bad_commands")`.
    /// `reason` is for the log and stays valid.
    std::unexpected<Error> end(std::string_view reason);
    /// Ends the session because its account has changed since the login. If it waits for a command, read() fails at
    /// once; if it has a command under way, the connection is cut.
    void oust();
    /// Ends the session because an operator wants it so: the connection is cut.
    void cut();

    /// Awaits a session's whole run. An exception (no memory, or a mistake of ours) ends this session alone: it is
    /// logged as `event`, and the session's reason is kFailed.
    Task<Result<>> guard(Task<Result<>> run, std::string_view event, std::string_view session_id);
    /// For the log: why the run ended so.
    std::string_view reason(const Result<>& ended) const;
    /// kQuit, and nothing else, says that the client sends nothing more.
    net::Parting parting() const { return reason_ == kQuit ? net::Parting::agreed : net::Parting::abrupt; }

private:
    net::Connection* connection_;
    std::string_view reason_;
    const std::uint32_t bad_commands_allowed_;
    std::uint32_t bad_commands_ = 0;
    bool reading_ = false, ousted_ = false, cut_ = false;
};

}  // namespace poplar::session
