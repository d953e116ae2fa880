#pragma once
// What both states of a session share: reading commands, saying replies, and when it is over.
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "pop3/command.h"
#include "pop3/session.h"
#include "pop3/texts.h"

namespace poplar::pop3 {

inline constexpr std::string_view kQuit = "quit";  ///< the reason of an end that the client asked for

/// The connection as SASL's mechanisms see it.
class SaslChannel final : public auth::Channel {
public:
    SaslChannel(net::Connection& connection, const Options& options) : connection_(connection), options_(options) {}
    std::string_view peer() const override { return connection_.peer().address; }
    bool peer_is_loopback() const override { return connection_.peer().loopback; }
    bool encrypted() const override { return connection_.tls() != nullptr; }
    bool passwords_allowed() const override;
    std::string binding(std::string_view type) const override { return connection_.channel_binding(type); }
    std::span<const std::string> certificate_addresses() const override;

private:
    net::Connection& connection_;
    const Options& options_;
};

/// Replies end in CRLF. Not one is built from what the client sent. What a person may read in them is a Text, in the
/// language of the session (pop3/texts.h says how to add one).
class Conversation {
public:
    Conversation(net::Connection& connection, const Options& options, const auth::Sasl& sasl,
                 std::string_view session_id)
        : connection_(connection),
          options_(options),
          sasl_(sasl),
          channel_(connection, options),
          session_id_(session_id) {}

    /// The next command that is one, or nothing: then the session is over. What is no command is answered here and
    /// counted. Its texts are valid until the next read.
    Task<std::optional<Command>> next_command(net::Connection::Seconds idle);
    /// The same, without the cost of a wait, if one has come already; nothing: ask next_command().
    std::optional<Command> command_at_hand();
    /// As next_command, before the login: until `deadline` at the latest, and AUTH may be as long as a response.
    Task<std::optional<Command>> next_command(net::Connection::Seconds idle, SteadyTime deadline);
    /// One line of an AUTH exchange (RFC 5034 s4); nothing: the session is over, or the line was too long, which has
    /// been answered.
    Task<std::optional<std::string_view>> next_response(SteadyTime deadline);

    /// `+OK text`. Here and below: failing to send ends the session.
    Task<> say_ok(Text text);
    template <class... Args>
    Task<> say_ok(std::type_identity_t<Phrase<Args...>> phrase, Args&&... args)
        requires(sizeof...(Args) > 0)
    {
        fmt::memory_buffer line;  // quicker than a string that grows
        fmt::format_to(fmt::appender(line), fmt::runtime(text(phrase.text)), std::forward<Args>(args)...);
        reply_.assign("+OK ").append(line.data(), line.size()).append("\r\n");
        return say(std::string_view(reply_));
    }
    /// The same line, for say_all: valid until the next reply.
    std::string_view ok_line(Phrase<std::uint64_t> phrase, std::uint64_t number);
    /// `+OK first`, then `lines`, each with its CRLF, then the final ".".
    Task<> say_list(Text first, std::string_view lines);
    /// `-ERR text`, or `-ERR [CODE] text` (RFC 2449 s8): `code` is with its brackets.
    Task<> say_error(Text text);
    Task<> say_error(std::string_view code, Text text);
    /// `-ERR` with the response code (RFC 2449 s8, RFC 3206 s4) that tells the client whether to try again.
    Task<> say_failure(const Error& error, Text what);
    /// For a command that is out of place or malformed: `-ERR text`, and the end of a session that has had too many.
    Task<> refuse(Text text);
    /// A reply without text, such as `+OK 2 320`, or part of one.
    Task<> say(std::string_view reply);
    Task<> say_all(std::span<const std::string_view> pieces);
    /// say_all(), if that need not wait; else false, and nothing has been said.
    bool say_at_once(std::span<const std::string_view> pieces) { return connection_.try_write_all(pieces); }
    template <class... Args>
    Task<> say(fmt::format_string<Args...> format, Args&&... args)
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
    Task<> say_capabilities(State state, std::string_view policy);

    /// In the language of the session; arguments are not filled in.
    std::string_view text(Text text) const { return text.in(language_); }
    /// LANG (RFC 6856 s3.2); "": the list.
    Task<> change_language(std::string_view range);
    void forget_language() { language_ = Language::english; }
    /// UTF-8 mode (RFC 6856 s2.1).
    void enable_utf8() { utf8_ = true; }
    bool utf8() const { return utf8_; }
    /// Whether messages with UTF-8 in their headers are downgraded, or refused.
    bool downgrades() const { return !utf8_ && options_.without_utf8 == WithoutUtf8::downgrade; }
    bool refuses_utf8() const { return !utf8_ && options_.without_utf8 == WithoutUtf8::refuse; }

    /// `reason` is for the log; the first one counts.
    void end(std::string_view reason) {
        if (reason_.empty()) reason_ = reason;
    }
    bool over() const { return !reason_.empty(); }
    /// Command lines read so far, whether they were commands or not.
    std::size_t lines() const { return lines_; }
    /// From outside: the account is not what it was when it logged in. A session that waits for a command is told so,
    /// at once; one that has a command under way is cut.
    void oust();
    std::string_view reason() const { return reason_; }
    net::Parting parting() const { return reason_ == kQuit ? net::Parting::agreed : net::Parting::abrupt; }

    /// Whether a password may be sent now (configuration: auth.allow_plaintext).
    bool plaintext_allowed() const { return channel_.passwords_allowed(); }
    /// The SASL mechanisms to be had now.
    std::vector<auth::Mechanism> mechanisms() const { return sasl_.offered(channel_); }
    const auth::Channel& channel() const { return channel_; }
    /// What STLS would use now; null if it is not to be had or not needed any more.
    std::shared_ptr<const net::TlsContext> offered_tls() const;

    net::Connection& connection() { return connection_; }
    const Options& options() const { return options_; }
    std::string_view session_id() const { return session_id_; }

private:
    Task<std::optional<Command>> read_command(net::Connection::Seconds idle, std::size_t limit);
    Task<> end_of_reading(Errc code);
    void end_of_writing(Errc code);

    net::Connection& connection_;
    const Options& options_;
    const auth::Sasl& sasl_;
    const SaslChannel channel_;
    std::string_view session_id_;
    std::string_view reason_;
    std::string reply_;
    bool reading_ = false, ousted_ = false;
    Language language_ = Language::english;
    bool utf8_ = false;
    std::size_t lines_ = 0;
    unsigned bad_commands_ = 0;
};

}  // namespace poplar::pop3
