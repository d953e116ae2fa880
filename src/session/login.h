#pragma once
// Takes a client from a proof to access, for every protocol. In two steps, because some protocols have to open
// something in between, and refuse the login if they can't:
//
//     auto proved = co_await login.password(name, password, "LOGIN");   // limits and delays are kept, failures logged
//     ...                                                               // a maildrop is opened, say
//     auto access = login.admit(*proved, executor);                     // in the list of sessions, and in the log
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/access.h"
#include "auth/exchange.h"
#include "base/asio.h"
#include "session/channel.h"
#include "session/refusal.h"

namespace poplar::session {

class Dialogue;  // session/sasl.h
class Lines;     // session/lines.h

/// Shared by the logins of all protocols.
struct LoginServices {
    auth::Authenticator& authenticator;
    const auth::Sasl& sasl;
    auth::OpenSessions& open_sessions;
    auth::DeviceUses& device_uses;
    activity::Ledger& ledger;
    AllowPlaintext allow_plaintext = AllowPlaintext::loopback;
    activity::MassDeletions* deletions = nullptr;  ///< counts them; null: nobody does
};

/// A protocol's terms for its logins. The names are the log's events.
struct LoginTerms {
    std::string_view login_event, failure_event;
    directory::Service service = directory::Service::pop3;
    auth::Right needed = auth::Right::mail;
    std::uint32_t failures = 3;  ///< of a connection; then exhausted()
    /// Whether a login name may have a detail: `user+detail` opens the mailbox of that name. Where a client chooses a
    /// mailbox later, or none, such a name is nobody's.
    enum class Details { refused, name_mailbox } details = Details::refused;
};

/// Somebody has shown who they are, and is not in yet.
struct Proved {
    directory::AccountId account;
    std::string address;  ///< the account's
    directory::AccountSettings settings;
    std::unique_ptr<directory::Device> device;  ///< whose password it was; null: a credential of the account's own
    std::optional<std::string> mailbox;         ///< the detail of the login name, where LoginTerms allow one
    auth::Proof proof;
    std::string_view mechanism, second_factor;  ///< for the log
    auth::Shown shown;
    auth::OpenSessions::Mark seen;
    encryption::MailKeyPtr key = {};  ///< as auth::Verified::key
};

using Attempt = std::expected<Proved, Refusal>;

/// The attempts of one connection. All that it is given outlives it.
class Login {
public:
    Login(const LoginServices& services, const LoginTerms& terms, net::Connection& connection, Lines& lines,
          std::string_view session_id);

    // A failure of these three ends the session.

    /// A password that came as it is, by a command of the protocol's own (USER and PASS, LOGIN).
    Task<Result<Attempt>> password(std::string name, std::string password, std::string_view command);
    /// A SASL mechanism by its name; `initial_response` as exchange() wants it.
    Task<Result<Attempt>> sasl(std::string mechanism, std::optional<std::string> initial_response, Dialogue& dialogue);
    /// Any other proof of a password (APOP): `judge` begins when this does.
    Task<Result<Attempt>> prove(std::string name, std::string_view mechanism, Task<Result<auth::Verified>> judge);

    /// Returns nothing if the account has changed since the proof: the client has to log in again. While the result
    /// lives, a change of the account calls Lines::oust() on `executor`, the session's.
    std::optional<auth::Access> admit(Proved& proved, Executor executor);

    /// So many attempts were wrong that the session has to end.
    bool exhausted() const { return failures_ >= terms_.failures; }
    bool passwords_allowed() const { return channel_.passwords_allowed(); }
    /// Those that sasl() would begin now, the strongest first.
    std::vector<auth::Mechanism> mechanisms() const { return services_.sasl.offered(channel_); }
    const auth::Channel& channel() const { return channel_; }

private:
    Attempt accept(std::string_view name, std::string_view mechanism, auth::Proof proof, auth::OpenSessions::Mark seen,
                   auth::Verified verified);
    Attempt refuse(std::string_view name, std::string_view mechanism, Refusal why);

    const LoginServices& services_;
    const LoginTerms terms_;
    net::Connection& connection_;
    Lines& lines_;
    const Channel channel_;
    std::string_view session_id_;
    std::uint32_t failures_ = 0;
};

}  // namespace poplar::session
