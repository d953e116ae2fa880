// OAUTHBEARER (RFC 7628) and XOAUTH2: a token that somebody else has given out.
#include "auth/exchanges.h"
#include "auth/token.h"

namespace poplar::auth {

namespace {

class Bearer final : public Exchange {
public:
    Bearer(Mechanism mechanism, Authenticator& authenticator, const Channel& channel,
           std::shared_ptr<TokenVerifier> tokens, std::string failure)
        : Exchange(mechanism, authenticator, channel), tokens_(std::move(tokens)), failure_(std::move(failure)) {}

    Task<Result<Step>> respond(std::string response) override {
        // RFC 7628 s3.2.3: whatever the client says to the error, the exchange fails.
        if (denied_) co_return std::unexpected(std::move(*denied_));
        auto message = mechanism() == Mechanism::oauthbearer ? parse_oauthbearer(response) : parse_xoauth2(response);
        if (!message) co_return fail(Errc::invalid, "not a valid message for this mechanism");
        name_ = message->name;
        auto account = co_await judge(std::move(*message));
        if (account) co_return std::move(*account);
        if (account.error().code() != Errc::denied) co_return pass_on(account);
        denied_ = std::move(account.error());
        co_return Challenge{failure_};
    }

private:
    Task<Result<Verified>> judge(BearerMessage message) {
        auto who = claim();
        std::optional<directory::Account> wanted, account;
        if (!message.name.empty()) {
            auto found = co_await authenticator_.find(message.name);
            if (!found) co_return pass_on(found);
            wanted = std::move(*found);
        }
        auto turn = co_await authenticator_.wait_for_turn(who, wanted);
        if (!turn) co_return pass_on(turn);
        auto holder = co_await tokens_->holder_of(std::move(message.token));
        if (!holder && holder.error().code() != Errc::denied) co_return pass_on(holder);
        Result<> judgement;
        if (!holder) {
            judgement = pass_on(holder);
        } else {
            auto found = co_await authenticator_.find(holder->name, Authenticator::NamedBy::proof);
            if (!found) co_return pass_on(found);
            account = std::move(*found);
            if (name_.empty()) name_ = who.name = holder->name;
            who.vouched = holder->second_factor;
            bool same = message.name.empty() || (wanted && account && wanted->id == account->id);
            if (!same) judgement = fail(Errc::denied, "the token is for another account");
        }
        if (!message.name.empty()) account = std::move(wanted);  // whose failures are counted
        co_return co_await authenticator_.conclude(std::move(who), std::move(account), std::move(judgement));
    }

    std::shared_ptr<TokenVerifier> tokens_;
    std::string failure_;
    std::optional<Error> denied_;
};

}  // namespace

ExchangePtr make_bearer(Mechanism mechanism, Authenticator& authenticator, const Channel& channel,
                        std::shared_ptr<TokenVerifier> tokens, std::string failure) {
    return std::make_unique<Bearer>(mechanism, authenticator, channel, std::move(tokens), std::move(failure));
}

}  // namespace poplar::auth
