#pragma once
// One client's session: its state, and a handler for each command. session.cc has the conversation, session_mail.cc
// the commands that bring a message, session_login.cc AUTH.
#include <expected>
#include <optional>
#include <variant>

#include "auth/access.h"
#include "session/lines.h"
#include "smtp/command.h"
#include "smtp/reply.h"
#include "smtp/session.h"
#include "smtp/transaction.h"

namespace poplar::smtp {

class Session {
public:
    Session(net::Connection& connection, const Services& services, const Options& options, std::string_view id)
        : connection_(connection),
          services_(services),
          options_(options),
          lines_(connection, options.limits.bad_commands),
          id_(id),
          is_front_(options.xclient.contains(connection.peer().address)),
          front_is_local_(connection.peer().loopback) {
        if (!submission() || !services.logins) return;
        const session::LoginTerms terms{.login_event = "smtp.login",
                                        .failure_event = "smtp.auth_failed",
                                        .service = directory::Service::submission,
                                        .needed = auth::Right::sending,
                                        .failures = options.limits.login_failures};
        login_.emplace(*services.logins, terms, connection, lines_, id);
    }

    /// Returns when the session has ended, for whatever reason.
    Task<Result<>> run();
    session::Lines& lines() { return lines_; }
    void log_end(std::string_view result);

private:
    Task<Result<>> converse();
    Task<Result<>> say_why(Errc ended);
    /// The result if the command is done, or the task that does it.
    using Step = std::variant<Result<>, Task<Result<>>>;
    Step obey(std::string_view line);

    Result<> on(const Hello& hello);
    Step on(Mail mail);
    Task<Result<>> on(Rcpt rcpt);
    Task<Result<>> on(Data);
    Task<Result<>> on(Bdat bdat);
    Task<Result<>> on(StartTls);
    Result<> on(const Xclient& client);
    Result<> on(Rset);
    Result<> on(Noop) { return idle(replies::kOk); }
    Result<> on(Vrfy) { return idle(replies::kCannotVerify); }
    Result<> on(Expn) { return idle(replies::kNotImplemented); }
    Result<> on(Help) { return idle(replies::kHelp); }
    Result<> on(Quit);
    Task<Result<>> on(Auth auth);

    class Dialogue;
    Result<> refuse_login(const session::Refusal& why);
    std::expected<std::chrono::seconds, Reply> wanted_hold(const Mail& mail) const;
    Task<Result<>> begin_submission(Mail mail, std::chrono::seconds hold);
    Task<Result<bool>> count_recipient(const Rcpt& rcpt, bool elsewhere);

    // These only gather replies in said_; tell(), which follows each command, sends them.
    Result<> greet();
    Result<> say(const Reply& reply, std::string_view more = {}) {
        append(said_, reply, more);
        return {};
    }
    std::unexpected<Error> hang_up(const Reply& reply);             // the last reply
    Result<> bad(const Reply& reply);                               // a command that counts as an error
    Result<> idle(const Reply& reply, std::string_view more = {});  // a command that brings no message nearer
    bool told_at_once();                                            // false: tell() is needed
    Task<Result<>> tell();
    void forget_said();
    Task<Result<>> await_place();
    Task<bool> is_listed(const Rcpt& rcpt);
    bool is_trusted() const;
    Task<Result<>> wait_before_greeting();
    Result<> refuse_recipient(const Rcpt& rcpt, Reply reply, std::string_view reason, std::string_view more = {});
    void log_refusal(const Rcpt& rcpt, Reply reply, std::string_view reason);
    Task<Result<>> refuse_chunk(Bdat bdat, Reply reply);
    Result<> finish_message(std::vector<Reply> answers);
    Result<> extensions();
    mail::Received trace() const;
    bool lmtp() const { return options_.protocol == Protocol::lmtp; }
    bool submission() const { return options_.protocol == Protocol::submission; }
    net::LineEnd line_end() const { return options_.bare_lf_commands ? net::LineEnd::crlf_or_lf : net::LineEnd::crlf; }

    net::Connection& connection_;
    const Services& services_;
    const Options& options_;
    session::Lines lines_;
    std::string_view id_;
    const bool is_front_, front_is_local_;  // of the peer that has connected, before any XCLIENT

    std::optional<session::Login> login_;           // of a submission session
    std::optional<auth::Access> access_;            // somebody has logged in
    std::optional<delivery::Submitter> submitter_;  // the same one
    std::string said_;                              // replies that were not sent yet
    std::string helo_;                              // empty before the client introduced itself
    bool extended_ = false;
    bool suspicious_ = false;  // bare newlines were refused: no more mail on this connection
    std::optional<Transaction> transaction_;
    std::uint32_t messages_ = 0, idle_commands_ = 0;
    std::uint32_t unknown_recipients_ = 0, refused_recipients_ = 0;
    std::optional<std::string> listed_;  // as Delivery::refusal_of_client; nothing: not asked yet
    bool sender_logged_ = false;         // a refusal of this transaction named the sender
};

}  // namespace poplar::smtp
