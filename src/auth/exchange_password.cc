// PLAIN and LOGIN: the password itself.
#include "auth/exchanges.h"
#include "auth/sasl.h"

namespace poplar::auth {

namespace {

class PasswordExchange : public Exchange {
protected:
    using Exchange::Exchange;

    Task<Result<Step>> check(std::string password) {
        Credentials credentials{name_, std::move(password), std::string(channel_.peer()), channel_.peer_is_loopback(),
                                channel_.service()};
        auto account = co_await authenticator_.verify_password(std::move(credentials));
        if (!account) co_return pass_on(account);
        co_return std::move(*account);
    }
};

// RFC 4616 s2.
class Plain final : public PasswordExchange {
public:
    Plain(Authenticator& authenticator, const Channel& channel)
        : PasswordExchange(Mechanism::plain, authenticator, channel) {}

    Task<Result<Step>> respond(std::string response) override {
        auto message = parse_plain(response);
        if (!message) co_return fail(Errc::invalid, "not a valid PLAIN response");
        name_ = std::move(message->authentication_id);
        // Nobody may act for somebody else yet.
        if (!message->authorization_id.empty() && message->authorization_id != name_) {
            auto other = fail(Errc::denied, "the authorization identity is another one");
            auto account = co_await authenticator_.conclude(claim(), std::nullopt, std::move(other));
            co_return pass_on(account);
        }
        co_return co_await check(std::move(message->password));
    }
};

/// draft-murchison-sasl-login, which never became an RFC. The name may come with the command.
class Login final : public PasswordExchange {
public:
    Login(Authenticator& authenticator, const Channel& channel)
        : PasswordExchange(Mechanism::login, authenticator, channel) {}

    Task<Result<Step>> respond(std::string response) override {
        // The same limits as PLAIN's.
        std::string as_plain = '\0' + (have_name_ ? name_ : response) + '\0' + (have_name_ ? response : "password");
        if (!parse_plain(as_plain)) co_return fail(Errc::invalid, "not a valid LOGIN response");
        if (have_name_) co_return co_await check(std::move(response));
        name_ = std::move(response);
        have_name_ = true;
        co_return Challenge{"Password:"};
    }

private:
    Challenge opening() override { return {"Username:"}; }
    bool have_name_ = false;
};

}  // namespace

ExchangePtr make_plain(Authenticator& authenticator, const Channel& channel) {
    return std::make_unique<Plain>(authenticator, channel);
}

ExchangePtr make_login(Authenticator& authenticator, const Channel& channel) {
    return std::make_unique<Login>(authenticator, channel);
}

}  // namespace poplar::auth
