#pragma once
// What both states of a session share: reading commands, saying replies, and when it is over.
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "pop3/command.h"
#include "pop3/session.h"

namespace poplar::pop3 {

/// The replies below end in CRLF. Not one is built from what the client sent.
class Conversation {
public:
    Conversation(net::Connection& connection, const Options& options, std::string_view session_id)
        : connection_(connection), options_(options), session_id_(session_id) {}

    /// The next command that is one, or nothing: then the session is over. What is no command is answered here and
    /// counted. Its texts are valid until the next read.
    Task<std::optional<Command>> next_command(net::Connection::Seconds idle);
    /// As next_command, until `deadline` at the latest.
    Task<std::optional<Command>> next_command(net::Connection::Seconds idle,
                                              std::chrono::steady_clock::time_point deadline);
    /// One line of an AUTH exchange (RFC 5034 s4); nothing: the session is over, or the line was too long, which has
    /// been answered.
    Task<std::optional<std::string_view>> next_response(std::chrono::steady_clock::time_point deadline);

    /// Failing to send ends the session.
    Task<> say(std::string_view reply);
    template <class... Args>
    Task<> say(fmt::format_string<Args...> format, Args&&... args)
        requires(sizeof...(Args) > 0)
    {
        reply_.clear();
        fmt::format_to(std::back_inserter(reply_), format, std::forward<Args>(args)...);
        return say(std::string_view(reply_));
    }
    /// `-ERR` with the response code (RFC 2449 s8, RFC 3206 s4) that tells the client whether to try again.
    Task<> say_failure(const Error& error, std::string_view what);
    /// For a command that is out of place or malformed: says so, and ends a session that has had too many of them.
    Task<> refuse(std::string_view reply);
    /// RFC 2449 s5.
    Task<> say_capabilities(bool authorized);

    /// `reason` is for the log; the first one counts.
    void end(std::string_view reason) {
        if (reason_.empty()) reason_ = reason;
    }
    bool over() const { return !reason_.empty(); }
    std::string_view reason() const { return reason_; }

    /// Whether a password may be sent now (configuration: auth.allow_plaintext).
    bool plaintext_allowed() const;
    /// What STLS would use now; null if it is not to be had or not needed any more.
    std::shared_ptr<const net::TlsContext> offered_tls() const;

    net::Connection& connection() { return connection_; }
    const Options& options() const { return options_; }
    std::string_view session_id() const { return session_id_; }

private:
    Task<> end_of_reading(Errc code);

    net::Connection& connection_;
    const Options& options_;
    std::string_view session_id_;
    std::string_view reason_;
    std::string reply_;
    unsigned bad_commands_ = 0;
};

}  // namespace poplar::pop3
