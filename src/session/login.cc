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
      channel_(connection, services.allow_plaintext, terms.service),
      session_id_(session_id) {}

namespace {

Task<Result<Attempt>> refused(Refusal::Why why) { co_return Attempt(std::unexpect, Refusal{why}); }

}  // namespace

Task<Result<Attempt>> Login::password(std::string name, std::string password, std::string_view command) {
    if (!passwords_allowed()) return refused(Refusal::Why::needs_tls);
    const auto& peer = connection_.peer();
    auth::Credentials credentials{name, std::move(password), peer.address, peer.loopback, terms_.service};
    return prove(std::move(name), command, services_.authenticator.verify_password(std::move(credentials)));
}

// The mark is taken before the account is looked up, so that no change of it in between is missed.
Task<Result<Attempt>> Login::prove(std::string name, std::string_view mechanism, Task<Result<auth::Verified>> judge) {
    const auto seen = services_.open_sessions.mark();
    auto verified = co_await std::move(judge);
    if (!verified) co_return refuse(name, mechanism, refusal_of(std::move(verified.error())));
    co_return accept(name, mechanism, auth::Proof::password, seen, std::move(*verified));
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
    const auto which = auth::name_of(begun.mechanism());
    auto verdict = co_await exchange(begun, std::move(initial_response), dialogue);
    if (!verdict) co_return pass_on(verdict);
    if (!*verdict) co_return refuse(begun.name(), which, std::move(verdict->error()));
    co_return accept(begun.name(), which, auth::proof_of(begun.mechanism()), seen, std::move(**verdict));
}

Attempt Login::accept(std::string_view name, std::string_view mechanism, auth::Proof proof,
                      auth::OpenSessions::Mark seen, auth::Verified verified) {
    if (!auth::rights_of(proof).has(terms_.needed))
        return refuse(name, mechanism, {Refusal::Why::wrong, {Errc::denied, "this credential is not good for that"}});
    if (verified.missing)
        return refuse(name, mechanism,
                      {.why = Refusal::Why::needs_second_factor,
                       .error = {Errc::denied, std::string(auth::to_string(*verified.missing))},
                       .missing = *verified.missing});
    if (!verified.key && verified.account.settings.encryption == directory::Encryption::on &&
        terms_.needed == auth::Right::mail)
        return refuse(
            name, mechanism,
            {Refusal::Why::needs_mail_key, {Errc::denied, "the mail is encrypted, and this login can't open it"}});
    if (verified.mailbox && terms_.details == LoginTerms::Details::refused)
        return refuse(name, mechanism, {Refusal::Why::wrong, {Errc::denied, "no mailbox is named here"}});
    auto& account = verified.account;
    return Proved{account.id,
                  std::move(account.address),
                  account.settings,
                  std::move(verified.device),
                  std::move(verified.mailbox),
                  proof,
                  mechanism,
                  verified.second_factor,
                  verified.shown,
                  seen,
                  std::move(verified.key)};
}

Attempt Login::refuse(std::string_view name, std::string_view mechanism, Refusal why) {
    using Why = Refusal::Why;
    const bool right = why.why == Why::needs_second_factor;
    if (right || why.why == Why::needs_mail_key || why.why == Why::wrong || why.why == Why::unavailable ||
        why.why == Why::bad_response)
        connection_.log(log::Level::info, terms_.failure_event,
                        {{"session", session_id_},
                         {"peer", connection_.peer().address},
                         {"name", name},
                         {"mechanism", mechanism},
                         {"error", right                            ? "second_factor"
                                   : why.why == Why::needs_mail_key ? "mail_key"
                                                                    : to_string(why.error.code())},
                         {"reason", why.error.detail()}});
    if (right || why.why == Why::wrong || why.why == Why::needs_mail_key) ++failures_;
    return std::unexpected(std::move(why));
}

std::optional<auth::Access> Login::admit(Proved& proved, Executor executor) {
    auto oust = [&lines = lines_] { lines.oust(); };
    auto& device = proved.device;
    auto whose = device ? auth::OpenSessions::Whose(proved.account, device->id) : proved.account;
    auth::OpenSessions::Newcomer newcomer(whose, proved.address.substr(proved.address.rfind('@') + 1), proved.shown);
    auto place = services_.open_sessions.enter(std::move(newcomer), std::move(executor), proved.seen, std::move(oust));
    if (!place) return std::nullopt;
    const auto* tls = connection_.tls();
    connection_.log(log::Level::info, terms_.login_event,
                    {{"session", session_id_},
                     {"peer", connection_.peer().address},
                     {"account", proved.address},
                     {"device", device ? std::string_view(device->name) : ""},
                     {"tls", tls ? std::string_view(tls->version) : "no"},
                     {"cipher", tls ? std::string_view(tls->cipher) : ""},  // RFC 8314 s4
                     {"mechanism", proved.mechanism},
                     {"second_factor", proved.second_factor}});
    activity::Origin from{.peer = connection_.peer().address, .protocol = std::string(auth::to_string(terms_.service))};
    if (device) from.device = device->id, from.device_name = device->name;
    activity::Visit visit(services_.ledger, proved.account, std::move(from));
    visit.note(activity::Kind::login, proved.mechanism);
    connection_.session().account = proved.address;
    if (device) connection_.session().device = device->name;
    std::unique_ptr<auth::DeviceInUse> in_use;
    if (device) {
        auto use = services_.device_uses.begin(proved.account, device->id, connection_.peer().address, terms_.service);
        in_use = std::make_unique<auth::DeviceInUse>(std::move(*device), std::move(use));
    }
    return auth::Access{proved.account,    proved.address,   proved.proof,     auth::rights_of(proved.proof),
                        std::move(in_use), std::move(place), std::move(visit), services_.deletions};
}

}  // namespace poplar::session
