// CAPABILITY, STARTTLS, LOGIN, AUTHENTICATE, UNAUTHENTICATE.
#include "auth/sasl.h"
#include "base/log.h"
#include "imap/notifications.h"
#include "mail/address.h"
#include "session/sasl.h"

namespace poplar::imap {

// RFC 9051 s6.2.2: "+ " before what the server says.
class Client::Dialogue final : public session::Dialogue {
public:
    explicit Dialogue(Client& client) : client_(client) {}

    Task<Result<std::string>> ask(std::string challenge) override {
        if (auto said = co_await client_.say_continue(challenge); !said) co_return pass_on(said);
        auto line = co_await client_.read_line(client_.options_.login_limit);
        if (!line) co_return pass_on(line);
        std::string response(*line);
        // A literal's octets must not become commands.
        const auto mark = literal_at_end(response);
        if (mark && !mark->waits)
            if (auto skipped = co_await client_.skip_command(mark->octets); !skipped) co_return pass_on(skipped);
        co_return response;
    }

private:
    Client& client_;
};

std::shared_ptr<const net::TlsContext> Client::offered_tls() const {
    return connection_.tls() || compressed_ || !options_.tls ? nullptr : options_.tls();
}

// RFC 9051 s6.1.1, s7.2.2. What nobody can do before the login is told after it.
std::string Client::capabilities() const {
    std::string all = "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE";
    if (!access_) {
        if (offered_tls()) all += " STARTTLS";
        if (!login_.passwords_allowed()) all += " LOGINDISABLED";
        for (auto mechanism : login_.mechanisms()) all.append(" AUTH=").append(auth::name_of(mechanism));
        return all;
    }
    all +=
        " NAMESPACE IDLE UIDPLUS MOVE CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE UNSELECT "
        "CONDSTORE QRESYNC ESEARCH SEARCHRES WITHIN SORT SORT=DISPLAY THREAD=ORDEREDSUBJECT THREAD=REFERENCES "
        "UTF8=ACCEPT BINARY STATUS=SIZE OBJECTID PREVIEW QUOTA "
        "QUOTA=RES-STORAGE QUOTA=RES-MESSAGE UNAUTHENTICATE INPROGRESS MULTIAPPEND REPLACE CATENATE PARTIAL METADATA "
        "UIDONLY NOTIFY";
    if (options_.compression && !compressed_) all += " COMPRESS=DEFLATE";
    fmt::format_to(std::back_inserter(all), " APPENDLIMIT={}", options_.append_limit);
    return all;
}

Task<Result<>> Client::capability(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    untagged("CAPABILITY {}", capabilities());
    co_return co_await ok("done");
}

// RFC 9051 s6.2.1: nothing that was said before the handshake is believed after it.
Task<Result<>> Client::starttls(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    if (connection_.tls()) co_return co_await bad("TLS is active already");
    auto context = offered_tls();
    if (!context) co_return co_await bad("TLS is not available");
    if (auto said = co_await ok("begin TLS"); !said) co_return said;
    auto shaken = co_await connection_.start_tls(*context, options_.tls_handshake);
    if (shaken) co_return Result<>();
    connection_.log(
        log::Level::info, "imap.tls_failed",
        {{"session", session_id_}, {"peer", connection_.peer().address}, {"reason", shaken.error().detail()}});
    co_return lines_.end("tls_failed");
}

Task<Result<>> Client::login(Cursor in) {
    auto name = in.astring();
    if (!name || !in.space()) co_return co_await bad_arguments();
    auto password = in.astring();
    if (!password || !in.at_end()) co_return co_await bad_arguments();
    if (!login_.passwords_allowed())
        co_return co_await no(offered_tls() ? "[PRIVACYREQUIRED] use STARTTLS first: no passwords in the clear"
                                            : "[PRIVACYREQUIRED] no passwords in the clear");
    if (!mail::is_utf8(*name) || !mail::is_utf8(*password)) co_return co_await bad("not valid UTF-8");
    co_return co_await log_in(login_.password(std::move(*name), std::move(*password), "LOGIN"));
}

// RFC 9051 s6.2.2; the initial response is RFC 4959's.
Task<Result<>> Client::authenticate(Cursor in) {
    auto mechanism = parse_keyword(in);
    if (!mechanism) co_return co_await bad_arguments();
    std::optional<std::string> initial_response;
    if (in.space()) {
        initial_response = std::string(in.rest());
        if (initial_response->empty()) co_return co_await bad_arguments();
    } else if (!in.at_end()) {
        co_return co_await bad_arguments();
    }
    Dialogue dialogue(*this);
    auto attempting = login_.sasl(std::move(*mechanism), std::move(initial_response), dialogue);
    co_return co_await log_in(std::move(attempting));
}

Task<Result<>> Client::log_in(Task<Result<session::Attempt>> attempting) {
    auto attempted = co_await std::move(attempting);
    if (!attempted) co_return pass_on(attempted);
    if (!*attempted) co_return co_await refuse_login(std::move(attempted->error()));
    auto& proved = **attempted;
    auto access = login_.admit(proved, co_await asio::this_coro::executor);
    if (!access) co_return co_await no("[UNAVAILABLE] the account has changed, log in again");
    access_.emplace(std::move(*access));
    mail_key_ = std::move(proved.key);
    done_.account = access_->address;
    lines_.forgive_bad_commands();
    co_return co_await ok(fmt::format("[CAPABILITY {}] welcome", capabilities()));
}

// RFC 9051 s7.1. A wrong name and a wrong password look the same.
Task<Result<>> Client::refuse_login(session::Refusal why) {
    using Why = session::Refusal::Why;
    using Missing = auth::MissingFactor;
    std::string text = "[AUTHENTICATIONFAILED] wrong name or password";
    switch (why.why) {
        case Why::wrong: break;
        case Why::needs_mail_key:  // RFC 5530: ALERT's text has to be shown
            text = "[ALERT] the mail is encrypted, and this login can't open it: log in with the account's password";
            break;
        case Why::unavailable: co_return co_await no("[UNAVAILABLE] can't check the password now, try again later");
        case Why::bad_response: co_return co_await bad("not a valid response for this mechanism");
        case Why::not_base64: co_return co_await bad("not valid base64");
        case Why::cancelled: co_return co_await bad("cancelled");
        // Whether a literal follows, whose octets must not become commands, is not known.
        case Why::too_long: co_return co_await bye("[TOOBIG] the response is too long", "too_long");
        case Why::unknown_mechanism: co_return co_await no("[CANNOT] unknown mechanism");
        case Why::needs_certificate:
            co_return co_await no("[CANNOT] this mechanism needs a client certificate with a mail address");
        case Why::needs_tls: co_return co_await no("[PRIVACYREQUIRED] this mechanism needs TLS");
        case Why::needs_second_factor:
            switch (why.missing) {
                case Missing::code: text = "a code is needed: type the password with the code behind it"; break;
                case Missing::wrong_code: text = "the code is wrong or was used already, wait for the next one"; break;
                case Missing::too_many_codes: text = "too many codes were wrong, try again in some hours"; break;
                case Missing::approval:
                    text =
                        "you were not here before: type the password with the code behind it that was mailed to you, "
                        "or have this network accepted";
                    break;
                case Missing::device: text = "use the password of a device here, not the account's"; break;
                case Missing::denied: text = "logins from this network were denied"; break;
                case Missing::other: text = "the account needs a second factor, which this login does not show"; break;
            }
            // RFC 5530: ALERT's text has to be shown, so that the user learns what is missing.
            text.insert(0, why.missing == Missing::too_many_codes ? "[UNAVAILABLE] " : "[ALERT] ");
            break;
    }
    if (auto said = co_await no(std::move(text)); !said) co_return said;
    if (login_.exhausted()) co_return co_await bye("too many logins failed", "login_failures");
    co_return Result<>();
}

// RFC 8437 s3: as before the login, but TLS stays.
Task<Result<>> Client::unauthenticate(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    forget_login();
    if (auto said = co_await ok("who is next?"); !said || !compressed_) co_return said;
    if (auto ended = co_await compressed_->end(idle_limit()); !ended) co_return ended;
    lines_.go_on_with(connection_);
    compressed_.reset();
    co_return Result<>();
}

void Client::forget_login() {
    note_use();
    done_.fetched = 0;
    selected_.reset();
    notify_.reset();
    access_.reset();
    mail_key_.reset();
    rev2_ = utf8_ = condstore_ = qresync_ = uids_only_ = false;
    login_deadline_ = SteadyClock::now() + options_.login_total;
    connection_.session().account.clear();
    connection_.session().device.clear();
}

}  // namespace poplar::imap
