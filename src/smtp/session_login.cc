// AUTH: one SASL exchange, and the reply to whoever was not let in (RFC 4954).
#include "session/sasl.h"
#include "smtp/session_parts.h"

namespace poplar::smtp {

namespace {

std::string_view factor_words(auth::MissingFactor missing) {
    using Missing = auth::MissingFactor;
    switch (missing) {
        case Missing::code: return "A code is needed: type the password with the code behind it";
        case Missing::wrong_code: return "The code is wrong or was used already, wait for the next one";
        case Missing::too_many_codes: return "Too many codes were wrong, try again in some hours";
        case Missing::approval:
            return "You were not here before: type the password with the code behind it that was mailed to you";
        case Missing::device: return "Use the password of a device here, not the account's";
        case Missing::denied: return "Logins from this network were denied";
        case Missing::other: break;
    }
    return "The account needs a second factor, which this login does not show";
}

}  // namespace

// RFC 4954 s4: "334 " before what the server says.
class Session::Dialogue final : public session::Dialogue {
public:
    explicit Dialogue(Session& session) : session_(session) {}

    Task<Result<std::string>> ask(std::string challenge) override {
        append(session_.said_, {334, "", ""}, challenge);
        if (auto told = co_await session_.tell(); !told) co_return pass_on(told);
        const auto& options = session_.options_;
        auto line =
            co_await session_.lines_.read(options.limits.line_octets, options.timeouts.command, session_.line_end());
        if (!line) co_return pass_on(line);
        co_return std::string(*line);
    }

private:
    Session& session_;
};

Task<Result<>> Session::on(Auth auth) {
    if (!login_) co_return bad(replies::kNotImplemented);
    if (helo_.empty()) co_return bad(replies::kNoHelo);
    if (access_) co_return bad(replies::kLoggedInAlready);  // RFC 4954 s4
    if (transaction_) co_return bad(replies::kNestedMail);
    Dialogue dialogue(*this);
    auto attempted = co_await login_->sasl(std::move(auth.mechanism), std::move(auth.initial_response), dialogue);
    if (!attempted) co_return pass_on(attempted);
    if (!*attempted) co_return refuse_login(attempted->error());
    auto& proved = **attempted;
    delivery::Submitter submitter{proved.account, proved.address, proved.settings.may_send_as};
    auto access = login_->admit(proved, co_await asio::this_coro::executor);
    if (!access) co_return say(replies::kAccountChanged);
    access_.emplace(std::move(*access));
    submitter_ = std::move(submitter);
    co_return say(replies::kLoggedIn);
}

Result<> Session::refuse_login(const session::Refusal& why) {
    using Why = session::Refusal::Why;
    auto refused = [this](Reply reply) -> Result<> {
        if (!login_->exhausted()) return say(reply);
        append(said_, reply);
        return hang_up(replies::kTooManyLogins);
    };
    switch (why.why) {
        case Why::wrong: break;
        case Why::needs_second_factor: {
            auto reply = replies::kNeedsFactor;
            reply.text = factor_words(why.missing);
            return refused(reply);
        }
        case Why::needs_mail_key: break;  // not for submission, which reads no mail
        case Why::unavailable: return say(replies::kLoginUnavailable);
        case Why::bad_response: return bad(replies::kBadResponse);
        case Why::not_base64: return bad(replies::kNotBase64);
        case Why::cancelled: return bad(replies::kLoginCancelled);
        case Why::too_long: return bad(replies::kResponseTooLong);
        case Why::unknown_mechanism: return bad(replies::kUnknownMechanism);
        case Why::needs_certificate: return bad(replies::kNeedsCertificate);
        case Why::needs_tls: return bad(replies::kLoginNeedsTls);
    }
    return refused(replies::kWrongLogin);
}

}  // namespace poplar::smtp
