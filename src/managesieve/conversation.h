#pragma once
// Commands in, replies out, whatever the state. A failure of anything here ends the session.
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "managesieve/command.h"
#include "managesieve/session.h"
#include "session/lines.h"
#include "session/login.h"
#include "session/sasl.h"

namespace poplar::managesieve {

class Conversation final : public session::Dialogue {
public:
    Conversation(net::Connection& connection, const Options& options, const session::LoginServices& logins,
                 std::string_view session_id);

    /// Before the login everything has to be done until `deadline`, and literals are small; `literal_limit`: octets of
    /// one behind it.
    void begin_login();
    void end_login(std::uint64_t literal_limit);

    /// The next command. Lines that are none are answered here and counted.
    Task<Result<Command>> next_command();
    /// Dialogue: a challenge and its answer (RFC 5804 s2.1).
    Task<Result<std::string>> ask(std::string challenge) override;

    Task<Result<>> say(std::string reply);
    /// `OK "text"`, `NO (CODE) "text"`, ...: `code` is without its parentheses, "" for none.
    Task<Result<>> say_ok(std::string_view text, std::string_view code = {});
    Task<Result<>> say_no(std::string_view text, std::string_view code = {});
    /// Tells the client that its session ends, and ends it; `reason` is for the log.
    Task<Result<>> say_bye(std::string_view text, std::string_view reason, std::string_view code = {});
    /// For a command that is malformed or out of place: `NO`. Ends the session if it has had too many of them.
    Task<Result<>> refuse(std::string_view text, std::string_view code = {});
    /// Tells the client why its session ends, if it has not been told.
    Task<> say_why(Errc ended);

    session::Lines& lines() { return lines_; }
    session::Login& login() { return login_; }
    net::Connection& connection() { return connection_; }
    const Options& options() const { return options_; }
    std::string_view session_id() const { return session_id_; }
    /// The context that STARTTLS would use now; null if there is none, or TLS is on already.
    std::shared_ptr<const net::TlsContext> offered_tls() const;

private:
    /// Reads lines and literals until the reader has all.
    template <class Reader>
    Task<Result<>> gather(Reader& reader);
    /// Nothing: it was too large, or the octets were not wanted.
    Task<Result<std::optional<std::string>>> read_literal(std::uint64_t octets, bool wanted);

    net::Connection& connection_;
    const Options& options_;
    session::Lines lines_;
    session::Login login_;
    std::string_view session_id_;
    std::string reply_;
    SteadyTime deadline_ = SteadyTime::max();
    std::chrono::seconds idle_;
    std::uint64_t literal_limit_, discard_limit_;
    bool http_ = false;
};

}  // namespace poplar::managesieve
