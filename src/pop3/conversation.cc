#include "pop3/conversation.h"

#include <algorithm>

namespace poplar::pop3 {

namespace {

using SteadyClock = std::chrono::steady_clock;
using Seconds = net::Connection::Seconds;

// RFC 3206 s4: SYS/TEMP may work later, SYS/PERM needs the operator.
std::string_view response_code(Errc code) {
    switch (code) {
        case Errc::corrupt:
        case Errc::not_found: return "[SYS/PERM] ";
        default: return "[SYS/TEMP] ";
    }
}

Seconds until(SteadyClock::time_point deadline) {
    return std::max(Seconds(0), std::chrono::ceil<Seconds>(deadline - SteadyClock::now()));
}

}  // namespace

Task<std::optional<Command>> Conversation::next_command(Seconds idle) {
    while (!over()) {
        auto line = co_await connection_.read_line(options_.line_limit, idle);
        if (!line && line.error().code() == Errc::too_large) {
            co_await refuse("-ERR line too long\r\n");
            continue;
        }
        if (!line) {
            co_await end_of_reading(line.error().code());
            break;
        }
        auto command = parse_command(*line);
        if (command) co_return std::move(*command);
        if (command.error().code() == Errc::not_found) {
            co_await refuse("-ERR unknown command\r\n");
        } else {
            auto reply = fmt::format("-ERR {}\r\n", command.error().detail());
            co_await refuse(reply);
        }
    }
    co_return std::nullopt;
}

// A peer that always has another command ready never makes a read wait, so the read's own limit would not end it.
Task<std::optional<Command>> Conversation::next_command(Seconds idle, SteadyClock::time_point deadline) {
    if (SteadyClock::now() >= deadline) {
        end("timed_out");
        co_return std::nullopt;
    }
    co_return co_await next_command(std::min(idle, until(deadline)));
}

Task<std::optional<std::string_view>> Conversation::next_response(SteadyClock::time_point deadline) {
    auto line = co_await connection_.read_line(options_.response_limit, std::min(options_.login_idle, until(deadline)));
    if (line) co_return *line;
    if (line.error().code() == Errc::too_large)
        co_await refuse("-ERR line too long\r\n");
    else
        co_await end_of_reading(line.error().code());
    co_return std::nullopt;
}

Task<> Conversation::end_of_reading(Errc code) {
    switch (code) {
        case Errc::cancelled:
            co_await say("-ERR [SYS/TEMP] server is shutting down, try again later\r\n");
            end("stopping");
            break;
        // RFC 1939 s3: the autologout timer closes the connection without a word.
        case Errc::timed_out: end("timed_out"); break;
        default: end("closed"); break;
    }
}

Task<> Conversation::say(std::string_view reply) {
    auto sent = co_await connection_.write(reply);
    if (!sent) end(sent.error().code() == Errc::timed_out ? "timed_out" : "closed");
}

Task<> Conversation::say_failure(const Error& error, std::string_view what) {
    return say("-ERR {}{}\r\n", response_code(error.code()), what);
}

Task<> Conversation::refuse(std::string_view reply) {
    co_await say(reply);
    if (++bad_commands_ < options_.bad_commands) co_return;
    co_await say("-ERR too many bad commands, goodbye\r\n");
    end("bad_commands");
}

bool Conversation::plaintext_allowed() const {
    if (connection_.tls()) return true;
    switch (options_.allow_plaintext) {
        case AllowPlaintext::never: return false;
        case AllowPlaintext::loopback: return connection_.peer().loopback;
        case AllowPlaintext::always: return true;
    }
    return false;
}

std::shared_ptr<const net::TlsContext> Conversation::offered_tls() const {
    if (connection_.tls() || !options_.tls) return nullptr;
    return options_.tls();
}

// What is available before the login is announced in both states (RFC 2449 s5), except STLS (RFC 2595 s8).
Task<> Conversation::say_capabilities(bool authorized) {
    bool passwords = plaintext_allowed(), stls = !authorized && offered_tls();
    bool named = !options_.implementation.empty();
    return say(
        "+OK capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n{}{}{}{}{}.\r\n",
        passwords ? "USER\r\nSASL PLAIN\r\n" : "", stls ? "STLS\r\n" : "", named ? "IMPLEMENTATION " : "",
        options_.implementation, named ? "\r\n" : "");
}

}  // namespace poplar::pop3
