#pragma once
// Shared by both states of a session: commands in, replies out. A failure of anything here ends the session.
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "pop3/command.h"
#include "pop3/session.h"
#include "pop3/texts.h"
#include "session/lines.h"
#include "session/login.h"

namespace poplar::pop3 {

/// Replies end in CRLF. None contains anything that the client sent. Words for people are a Text, in the language of
/// the session (pop3/texts.h says how to add one).
class Conversation {
public:
    Conversation(net::Connection& connection, const Options& options, const session::LoginServices& logins,
                 std::string_view session_id);

    /// The next valid command. Lines that are none are answered here and counted. Its texts are valid until the next
    /// read.
    Task<Result<Command>> next_command();
    /// The same without a coroutine, if a command has come already; nothing: call next_command().
    std::optional<Command> command_at_hand();
    /// As next_command, before the login: until `deadline` at the latest, and AUTH may be as long as a response.
    Task<Result<Command>> next_command_by(SteadyTime deadline);
    /// One line of an AUTH exchange (RFC 5034 s4). Errors: as session::Lines::read.
    Task<Result<std::string_view>> next_response(SteadyTime deadline);

    /// `+OK text`.
    Task<Result<>> say_ok(Text text);
    template <class... Args>
    Task<Result<>> say_ok(std::type_identity_t<Phrase<Args...>> phrase, Args&&... args)
        requires(sizeof...(Args) > 0)
    {
        fmt::memory_buffer line;  // quicker than a string that grows
        fmt::format_to(fmt::appender(line), fmt::runtime(text(phrase.text)), std::forward<Args>(args)...);
        reply_.assign("+OK ").append(line.data(), line.size()).append("\r\n");
        return say(std::string_view(reply_));
    }
    /// The line of say_ok(), for say_all(). Valid until the next reply.
    std::string_view ok_line(Phrase<std::uint64_t> phrase, std::uint64_t number);
    /// `+OK first`, then `lines`, each with its CRLF, then the final ".".
    Task<Result<>> say_list(Text first, std::string_view lines);
    /// `-ERR text`, or `-ERR [CODE] text` (RFC 2449 s8): `code` is with its brackets.
    Task<Result<>> say_error(Text text);
    Task<Result<>> say_error(std::string_view code, Text text);
    /// `-ERR` with the response code (RFC 2449 s8, RFC 3206 s4) that tells the client whether to try again.
    Task<Result<>> say_failure(const Error& error, Text what);
    /// For a command that is out of place or malformed: `-ERR text`. Ends the session if it has had too many of them.
    Task<Result<>> refuse(Text text);
    /// A reply without text, such as `+OK 2 320`, or part of one. `reply` stays valid until it is said.
    Task<Result<>> say(std::string_view reply) { return connection_.write(reply); }
    Task<Result<>> say_all(std::span<const std::string_view> pieces) { return connection_.write_all(pieces); }
    /// say_all(), if that need not wait; else false, and nothing has been said.
    bool say_at_once(std::span<const std::string_view> pieces) { return connection_.try_write_all(pieces); }
    template <class... Args>
    Task<Result<>> say(fmt::format_string<Args...> format, Args&&... args)
        requires(sizeof...(Args) > 0)
    {
        fmt::memory_buffer reply;
        fmt::format_to(fmt::appender(reply), format, std::forward<Args>(args)...);
        reply_.assign(reply.data(), reply.size());
        return say(std::string_view(reply_));
    }
    /// RFC 2449 s5.
    enum class State { authorization, transaction };
    /// `policy` is the lines of Announced.
    Task<Result<>> say_capabilities(State state, std::string_view policy);
    /// Tells the client why its session ends, if it has not been told.
    Task<> say_why(Errc ended);

    /// In the language of the session; arguments are not filled in.
    std::string_view text(Text text) const { return text.in(language_); }
    /// LANG (RFC 6856 s3.2); "": the list.
    Task<Result<>> change_language(std::string_view range);
    void forget_language() { language_ = Language::english; }
    /// UTF-8 mode (RFC 6856 s2.1).
    void enable_utf8() { utf8_ = true; }
    bool utf8() const { return utf8_; }
    /// Whether messages with UTF-8 in their headers are downgraded, or refused.
    bool downgrades() const { return !utf8_ && options_.without_utf8 == WithoutUtf8::downgrade; }
    bool refuses_utf8() const { return !utf8_ && options_.without_utf8 == WithoutUtf8::refuse; }

    /// Command lines read so far, whether they were commands or not.
    std::size_t line_count() const { return line_count_; }
    session::Lines& lines() { return lines_; }
    session::Login& login() { return login_; }
    /// The context that STLS would use now; null if there is none, or TLS is on already.
    std::shared_ptr<const net::TlsContext> offered_tls() const;

    net::Connection& connection() { return connection_; }
    const Options& options() const { return options_; }
    std::string_view session_id() const { return session_id_; }

private:
    Task<Result<Command>> read_command(std::size_t limit, net::Connection::Seconds idle, SteadyTime deadline);
    Task<Result<>> refuse_line(std::string_view line, Text why);

    net::Connection& connection_;
    const Options& options_;
    session::Lines lines_;
    session::Login login_;
    std::string_view session_id_;
    std::string reply_;
    Language language_ = Language::english;
    bool utf8_ = false;
    std::size_t line_count_ = 0;
};

}  // namespace poplar::pop3
