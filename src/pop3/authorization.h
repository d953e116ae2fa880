#pragma once
#include <memory>
#include <optional>
#include <string>

#include "auth/access.h"
#include "mailstore/mail_store.h"
#include "pop3/conversation.h"

namespace poplar::pop3 {

/// Somebody is logged in and holds the maildrop.
struct Login {
    auth::Access access;
    std::unique_ptr<mailstore::Maildrop> maildrop;
    Policy policy;
};

/// The AUTHORIZATION state (RFC 1939 s4): from the greeting to a login.
class Authorization {
public:
    Authorization(Conversation& conversation, const Services& services)
        : conversation_(conversation), services_(services) {}

    /// The failure ends the session.
    Task<Result<Login>> run();

private:
    Task<Result<>> on(User user);
    Task<Result<>> on(Pass pass);
    Task<Result<>> on(Apop apop);
    Task<Result<>> on(Auth auth);
    Task<Result<>> on(Stls);
    Task<Result<>> on(Capa);
    Task<Result<>> on(Lang lang);
    Task<Result<>> on(Utf8);
    Task<Result<>> on(Quit);
    template <class Other>
    Task<Result<>> on(Other) {
        return conversation_.refuse("log in first");
    }

    Task<Result<>> exchange(std::string mechanism, std::optional<std::string> initial_response);
    /// Awaits the proof, by whatever mechanism, and opens the maildrop; else says why not.
    Task<Result<>> log_in(Task<Result<session::Attempt>> attempting);
    Task<Result<>> too_early(std::string_view account);
    Task<Result<>> unopened(std::string_view account, const Error& why);
    Task<Result<>> no_mailbox(std::string_view account, std::string_view mailbox, std::string_view reason);
    Task<Result<>> refuse(session::Refusal why);
    Task<Result<>> ask_for_factor(auth::MissingFactor missing);
    Task<Result<>> refuse_plaintext();

    Conversation& conversation_;
    const Services& services_;
    SteadyTime deadline_{};
    std::string timestamp_;      // of APOP, in the greeting; empty: there is no APOP
    std::string name_;           // of USER, until PASS
    std::size_t user_line_ = 0;  // the line_count() of that USER
    std::optional<Login> login_;
};

}  // namespace poplar::pop3
