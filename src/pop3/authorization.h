#pragma once
#include <memory>
#include <optional>
#include <string>

#include "mailstore/mail_store.h"
#include "pop3/conversation.h"

namespace poplar::pop3 {

/// Somebody is logged in and holds the maildrop.
struct Login {
    std::string account;  ///< its address
    mailstore::AccountId id;
    std::unique_ptr<mailstore::Maildrop> maildrop;
    Policy policy;
    auth::OpenSessions::Entry entry;
};

/// The AUTHORIZATION state (RFC 1939 s4): from the greeting to a login.
class Authorization {
public:
    Authorization(Conversation& conversation, const Services& services)
        : conversation_(conversation), services_(services) {}

    /// Nothing: the session is over without a login.
    Task<std::optional<Login>> run();

private:
    Task<> on(User user);
    Task<> on(Pass pass);
    Task<> on(Apop apop);
    Task<> on(Auth auth);
    Task<> on(Stls);
    Task<> on(Capa);
    Task<> on(Lang lang);
    Task<> on(Utf8);
    Task<> on(Quit);
    template <class Other>
    Task<> on(Other) {
        return conversation_.refuse("log in first");
    }

    Task<> exchange(std::unique_ptr<auth::Exchange> mechanism, std::optional<std::string> initial_response);
    Task<> log_in(std::string name, std::string password);
    Task<> apop(std::string name, std::string digest);
    /// What became of an attempt to log in.
    Task<> conclude(std::string name, std::string_view mechanism, Result<directory::Account> account);
    /// Opens the maildrop for somebody who has proved who they are, by whatever mechanism.
    Task<> admit(directory::Account account, std::string_view mechanism);
    Task<> too_early(const directory::Account& account);
    Task<> failed(std::string_view name, std::string_view mechanism, const Error& why);
    Task<> refuse_plaintext();

    Conversation& conversation_;
    const Services& services_;
    SteadyTime deadline_{};
    auth::OpenSessions::Mark mark_ = 0;  // taken before the command that may log in was looked at
    std::string timestamp_;              // of APOP, in the greeting; empty: there is no APOP
    std::string name_;                   // of USER, until PASS
    std::size_t user_line_ = 0;          // which of the session's command lines that was
    unsigned failures_ = 0;
    std::optional<Login> login_;
};

}  // namespace poplar::pop3
