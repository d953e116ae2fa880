#include "session/login.h"

#include "base/log.h"
#include "net/connection.h"
#include "session/lines.h"
#include "session/sasl.h"

namespace poplar::session {

Login::Login(const LoginServices& services, const LoginTerms& terms, net::Connection& connection, Lines& lines,
             std::string_view session_id)
    : services_(services),
      terms_(terms),
      connection_(connection),
      lines_(lines),
      channel_(connection, services.allow_plaintext),
      session_id_(session_id) {}

Task<Attempt> Login::password(std::string name, std::string password, std::string_view command) {
    if (!passwords_allowed()) co_return std::unexpected(Refusal{Refusal::Why::needs_tls});
    const auto& peer = connection_.peer();
    auth::Credentials credentials{name, std::move(password), peer.address, peer.loopback};
    auto judge = services_.authenticator.verify_password(std::move(credentials));
    co_return co_await prove(std::move(name), command, std::move(judge));
}

// The mark is taken before the account is looked up, so that no change of it in between is missed.
Task<Attempt> Login::prove(std::string name, std::string_view mechanism, Task<Result<directory::Account>> judge) {
    const auto seen = services_.open_sessions.mark();
    auto account = co_await std::move(judge);
    Verdict verdict;
    if (account)
        verdict = std::move(*account);
    else
        verdict = std::unexpected(refusal_of(std::move(account.error())));
    co_return conclude(name, mechanism, auth::Proof::password, seen, std::move(verdict));
}

Task<Result<Attempt>> Login::sasl(std::string name, std::optional<std::string> initial_response, Dialogue& dialogue) {
    const auto seen = services_.open_sessions.mark();
    auto mechanism = services_.sasl.begin(name, channel_);
    if (!mechanism) {
        switch (mechanism.error().code()) {
            case Errc::denied: co_return Attempt(std::unexpect, Refusal{Refusal::Why::needs_tls});
            case Errc::conflict: co_return Attempt(std::unexpect, Refusal{Refusal::Why::needs_certificate});
            default: co_return Attempt(std::unexpect, Refusal{Refusal::Why::unknown_mechanism});
        }
    }
    auto& begun = **mechanism;
    auto verdict = co_await exchange(begun, std::move(initial_response), dialogue);
    if (!verdict) co_return pass_on(verdict);
    co_return conclude(begun.name(), auth::name_of(begun.mechanism()), auth::proof_of(begun.mechanism()), seen,
                       std::move(*verdict));
}

Attempt Login::conclude(std::string_view name, std::string_view mechanism, auth::Proof proof,
                        auth::OpenSessions::Mark seen, Verdict verdict) {
    using Why = Refusal::Why;
    if (verdict && !auth::rights_of(proof).has(terms_.needed))
        verdict = std::unexpected(Refusal{Why::wrong, {Errc::denied, "this credential is not good for that"}});
    if (verdict) return Proved{std::move(*verdict), proof, mechanism, seen};
    const auto& refusal = verdict.error();
    const bool judged =
        refusal.why == Why::wrong || refusal.why == Why::unavailable || refusal.why == Why::bad_response;
    if (judged) log_failure(name, mechanism, refusal.error);
    if (refusal.why == Why::wrong) ++failures_;
    return std::unexpected(std::move(verdict.error()));
}

void Login::log_failure(std::string_view name, std::string_view mechanism, const Error& why) {
    connection_.log(log::Level::info, terms_.failure_event,
                    {{"session", session_id_},
                     {"peer", connection_.peer().address},
                     {"name", name},
                     {"mechanism", mechanism},
                     {"error", to_string(why.code())},
                     {"reason", why.detail()}});
}

std::optional<auth::Access> Login::admit(const Proved& proved, Executor executor) {
    const auto& account = proved.account;
    auto oust = [&lines = lines_] { lines.oust(); };
    auto place = services_.open_sessions.enter(account.id, std::move(executor), proved.seen, std::move(oust));
    if (!place) return std::nullopt;
    const auto* tls = connection_.tls();
    connection_.log(log::Level::info, terms_.login_event,
                    {{"session", session_id_},
                     {"peer", connection_.peer().address},
                     {"account", account.address},
                     {"tls", tls ? std::string_view(tls->version) : "no"},
                     {"cipher", tls ? std::string_view(tls->cipher) : ""},  // RFC 8314 s4
                     {"mechanism", proved.mechanism}});
    return auth::Access{account.id, account.address, proved.proof, auth::rights_of(proved.proof), std::move(place)};
}

}  // namespace poplar::session
