// Logins as any protocol has them: here with frames like SMTP's (RFC 4954 s4) and ManageSieve's (RFC 5804 s2.1).
#include "session/login.h"

#include "auth/new_policy.h"
#include "auth/sasl.h"
#include "session/sasl.h"
#include "tests/auth/sasl_peer.h"
#include "tests/session/world.h"
#include "tests/support/set_settings.h"

namespace poplar::session {
namespace {

using auth::base64_encode;
using Why = Refusal::Why;
using namespace std::chrono_literals;
using namespace std::string_literals;

const std::string kName = base64_encode("fred@example.test"), kPassword = base64_encode("pass word");
const std::string kPlain = base64_encode("\0fred@example.test\0pass word"s);

/// `334 challenge`, and the answer in a line.
class LikeSmtp final : public Dialogue {
public:
    LikeSmtp(net::Connection& connection, Lines& lines) : connection_(connection), lines_(lines) {}
    Task<Result<std::string>> ask(std::string challenge) override {
        auto text = "334 " + challenge + "\r\n";
        if (auto said = co_await connection_.write(text); !said) co_return pass_on(said);
        auto line = co_await lines_.read(100, 1s);
        if (!line) co_return pass_on(line);
        co_return std::string(*line);
    }

private:
    net::Connection& connection_;
    Lines& lines_;
};

/// `"challenge"`, and the answer between quotation marks.
class LikeSieve final : public Dialogue {
public:
    LikeSieve(net::Connection& connection, Lines& lines) : connection_(connection), lines_(lines) {}
    Task<Result<std::string>> ask(std::string challenge) override {
        auto text = "\"" + challenge + "\"\r\n";
        if (auto said = co_await connection_.write(text); !said) co_return pass_on(said);
        auto line = co_await lines_.read(100, 1s);
        if (!line) co_return pass_on(line);
        co_return std::string(line->substr(1, line->size() - 2));
    }

private:
    net::Connection& connection_;
    Lines& lines_;
};

class SessionLogin : public test::SessionWorld {
protected:
    using Script = test::ScriptConnection::Script;

    void begin(Script script, LoginTerms terms = {"test.login", "test.auth_failed"}) {
        connection_ = connect(std::move(script));
        lines_.emplace(*connection_, 10);
        login_.emplace(services_, terms, *connection_, *lines_, "s1");
    }
    Attempt password(std::string name, std::string password) {
        auto attempt = test::run(login_->password(std::move(name), std::move(password), "LOGIN"));
        EXPECT_TRUE(attempt);
        return std::move(*attempt);
    }
    template <class Frame = LikeSmtp>
    Result<Attempt> sasl(std::string mechanism, std::optional<std::string> initial_response = {}) {
        Frame frame(*connection_, *lines_);
        return test::run(login_->sasl(std::move(mechanism), std::move(initial_response), frame));
    }
    std::string said() {
        (void)test::run(connection_->flush());
        return transcript_->output;
    }
    Why why(const Attempt& attempt) {
        EXPECT_FALSE(attempt);
        return attempt.error().why;
    }

    std::unique_ptr<test::ScriptConnection> connection_;
    std::optional<Lines> lines_;
    std::optional<Login> login_;
    asio::io_context context_{1};
};

TEST_F(SessionLogin, AProofIsAccessToOneAccount) {
    begin({});
    auto proved = password("fred@example.test", "pass word");
    ASSERT_TRUE(proved);
    EXPECT_EQ(open_sessions_.count(), 0u) << "not in yet";
    auto access = login_->admit(*proved, context_.get_executor());
    ASSERT_TRUE(access);
    EXPECT_EQ(access->account, fred_);
    EXPECT_EQ(access->address, "fred@example.test");
    EXPECT_EQ(access->credential, auth::Proof::password);
    for (auto right : {auth::Right::mail, auth::Right::filters, auth::Right::sending})
        EXPECT_TRUE(access->rights.has(right));
    EXPECT_EQ(open_sessions_.count(), 1u);
    access.reset();
    EXPECT_EQ(open_sessions_.count(), 0u);
}

TEST_F(SessionLogin, ARightPasswordWithoutItsSecondFactorIsRefusedAndCounted) {
    directory::AccountSettings settings{.second_factor = directory::FactorPolicy{directory::SecondFactor::required}};
    ASSERT_TRUE(test::run(test::set_settings(directory_, "fred@example.test", settings)));
    begin({}, {.login_event = "test.login", .failure_event = "test.failed", .failures = 2});
    auto refused = password("fred@example.test", "pass word");
    ASSERT_EQ(why(refused), Why::needs_second_factor);
    EXPECT_EQ(refused.error().missing, auth::MissingFactor::device);
    EXPECT_FALSE(login_->exhausted());
    EXPECT_EQ(why(*sasl("PLAIN", kPlain)), Why::needs_second_factor) << "by whatever mechanism";
    EXPECT_TRUE(login_->exhausted());
    EXPECT_EQ(open_sessions_.count(), 0u);
}

TEST_F(SessionLogin, ANameHasADetailWhereTheProtocolOpensMailboxesByIt) {
    begin({});
    EXPECT_EQ(why(password("fred+junk@example.test", "pass word")), Why::wrong);
    EXPECT_EQ(why(password("fred+junk@example.test", "wrong")), Why::wrong);
    begin({},
          {.login_event = "test.login", .failure_event = "test.failed", .details = LoginTerms::Details::name_mailbox});
    auto proved = password("fred+Junk@example.test", "pass word");
    ASSERT_TRUE(proved);
    EXPECT_EQ(proved->account, fred_);
    EXPECT_EQ(proved->mailbox, "Junk");
    EXPECT_EQ(password("fred@example.test", "pass word")->mailbox, std::nullopt);
    EXPECT_EQ(why(password("fred+Junk@example.test", "wrong")), Why::wrong);
}

TEST_F(SessionLogin, ThoseWhoAreInAreOustedWhenTheAccountChanges) {
    begin({});
    auto proved = password("fred@example.test", "pass word");
    ASSERT_TRUE(proved);
    auto access = login_->admit(*proved, context_.get_executor());
    EXPECT_EQ(open_sessions_.end(fred_), 1u);
    context_.run();
    EXPECT_EQ(lines_->reason(fail(Errc::closed, "")), "account_changed");
}

TEST_F(SessionLogin, WhoseAccountChangedMeanwhileIsNotLetIn) {
    begin({});
    auto proved = password("fred@example.test", "pass word");
    ASSERT_TRUE(proved);
    open_sessions_.end(fred_);
    EXPECT_FALSE(login_->admit(*proved, context_.get_executor()));
}

/// GNU SASL's client; before it answers the second challenge, something happens.
class ScramClient final : public Dialogue {
public:
    explicit ScramClient(std::function<Task<>()> between)
        : client_("SCRAM-SHA-256", {{GSASL_AUTHID, "carol@example.test"}, {GSASL_PASSWORD, "pencil"}}),
          between_(std::move(between)) {}
    Task<Result<std::string>> ask(std::string challenge) override {
        if (++asked_ == 2) co_await between_();
        co_return base64_encode(client_.answer(*auth::base64_decode(challenge)).value_or("*"));
    }

private:
    auth::GnuClient client_;
    std::function<Task<>()> between_;
    int asked_ = 0;
};

TEST_F(SessionLogin, ANewPolicyEndsTheSessionsThatItDoesNotLetIn) {
    begin({});
    auto prove = [&] { return password("fred@example.test", "pass word"); };
    auto proved = prove(), by_certificate = prove(), late = prove();
    ASSERT_TRUE(proved && by_certificate && late);
    auto access = login_->admit(*proved, context_.get_executor());
    by_certificate->shown.ways = static_cast<std::uint8_t>(directory::FactorWay::certificate);
    auto another = login_->admit(*by_certificate, context_.get_executor());
    ASSERT_TRUE(access && another);
    auto& factors = authenticator_.second_factors();
    auto set = [&](directory::SecondFactor need) {
        auto change = [need](std::optional<directory::FactorPolicy>& policy) -> Result<> {
            policy = directory::FactorPolicy{need};
            return {};
        };
        EXPECT_TRUE(test::run(directory_.change_second_factor("example.test", change)));
        return test::run(auth::end_unfit_sessions(open_sessions_, factors, directory_, "example.test"));
    };
    EXPECT_EQ(set(directory::SecondFactor::optional), 0u) << "fred has no authenticator";
    EXPECT_EQ(set(directory::SecondFactor::required), 1u) << "a certificate counts";
    context_.run();
    EXPECT_EQ(lines_->reason(fail(Errc::closed, "")), "account_changed");
    EXPECT_FALSE(login_->admit(*late, context_.get_executor())) << "it was judged by the old policy";
    ASSERT_TRUE(
        test::run(test::set_settings(directory_, "fred@example.test", {.second_factor = directory::FactorPolicy{}})));
    EXPECT_EQ(set(directory::SecondFactor::required), 0u) << "fred has a policy of his own now";
}

TEST_F(SessionLogin, ANewPolicyReachesAScramExchangeThatHasBegun) {
    auto keys = to_string(auth::derive_scram_keys(auth::ScramHash::sha256, "pencil", 4096));
    ASSERT_TRUE(test::run(directory_.add_account("carol@example.test", {"{PLAIN}pencil", keys})));
    auth::SaslOptions options;
    options.mechanisms = {auth::Mechanism::scram_sha_256};
    auth::Sasl scram(authenticator_, clock_, options, nullptr);
    LoginServices services{authenticator_, scram, open_sessions_, device_uses_, ledger_, AllowPlaintext::always};
    auto log_in = [&](std::function<Task<>()> between) {
        begin({});
        Login login(services, {"test.login", "test.failed"}, *connection_, *lines_, "s1");
        ScramClient client(std::move(between));
        auto attempt = test::run(login.sasl("SCRAM-SHA-256", std::nullopt, client));
        EXPECT_TRUE(attempt);
        return attempt && *attempt && login.admit(**attempt, context_.get_executor());
    };
    EXPECT_TRUE(log_in([]() -> Task<> { co_return; }));
    auto set_policy = [this]() -> Task<> {
        directory::AccountSettings settings{.second_factor =
                                                directory::FactorPolicy{directory::SecondFactor::required}};
        EXPECT_TRUE(co_await test::set_settings(directory_, "carol@example.test", settings));
        const auto carol = co_await directory_.find_account("carol@example.test");
        co_await auth::end_unfit_sessions(open_sessions_, authenticator_.second_factors(), directory_, carol->id);
    };
    EXPECT_FALSE(log_in(set_policy));
}

TEST_F(SessionLogin, WrongAttemptsAreCountedAndOthersAreNot) {
    begin({.flights = {"*\r\n!\r\n"}}, {.login_event = "test.login", .failure_event = "test.failed", .failures = 2});
    EXPECT_EQ(why(*sasl("LOGIN")), Why::cancelled);
    EXPECT_EQ(why(*sasl("LOGIN")), Why::not_base64);
    EXPECT_EQ(why(*sasl("NOSUCH")), Why::unknown_mechanism);
    EXPECT_EQ(why(*sasl("PLAIN", base64_encode("x"))), Why::bad_response);
    EXPECT_EQ(why(password("fred@example.test", "wrong")), Why::wrong);
    EXPECT_FALSE(login_->exhausted());
    EXPECT_EQ(why(password("nobody@example.test", "pass word")), Why::wrong);
    EXPECT_TRUE(login_->exhausted());
}

TEST_F(SessionLogin, AStoreThatFailsIsNoWrongPassword) {
    begin({});
    engine_.fail_next_reads(100, Errc::io);
    auto attempt = password("fred@example.test", "pass word");
    EXPECT_EQ(why(attempt), Why::unavailable);
    EXPECT_EQ(attempt.error().error.code(), Errc::io);
}

TEST_F(SessionLogin, NoPasswordIsTakenInTheClear) {
    services_.allow_plaintext = AllowPlaintext::loopback;
    begin({});
    EXPECT_FALSE(login_->passwords_allowed());
    EXPECT_EQ(why(password("fred@example.test", "pass word")), Why::needs_tls);
    EXPECT_EQ(why(*sasl("PLAIN", kPlain)), Why::needs_tls);
    EXPECT_TRUE(login_->mechanisms().empty());
    begin({.flights = {}, .peer = {"127.0.0.1", 40000, true}});
    EXPECT_TRUE(password("fred@example.test", "pass word"));
    services_.allow_plaintext = AllowPlaintext::never;
    begin({.flights = {}, .peer = {"127.0.0.1", 40000, true}});
    EXPECT_FALSE(login_->passwords_allowed());
}

TEST_F(SessionLogin, AnExchangeIsFramedAsTheProtocolWantsIt) {
    begin({.flights = {kName + "\r\n" + kPassword + "\r\n"}});
    auto smtp = sasl("login");
    ASSERT_TRUE(smtp && *smtp);
    EXPECT_EQ((*smtp)->account, fred_);
    EXPECT_EQ((*smtp)->mechanism, "LOGIN");
    EXPECT_EQ(said(), "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n");

    transcript_->output.clear();
    begin({.flights = {"\"" + kName + "\"\r\n\"" + kPassword + "\"\r\n"}});
    auto sieve = sasl<LikeSieve>("LOGIN");
    ASSERT_TRUE(sieve && *sieve);
    EXPECT_EQ(said(), "\"VXNlcm5hbWU6\"\r\n\"UGFzc3dvcmQ6\"\r\n");
}

TEST_F(SessionLogin, AnInitialResponseSavesTheRoundTripAndMayBeEmpty) {
    begin({});
    EXPECT_TRUE(*sasl("PLAIN", kPlain));
    EXPECT_EQ(said(), "");
    EXPECT_EQ(why(*sasl("PLAIN", "=")), Why::bad_response) << "empty, and that is no PLAIN message";
    EXPECT_EQ(why(*sasl("PLAIN", "!")), Why::not_base64);
}

TEST_F(SessionLogin, AnAnswerThatIsTooLongEndsTheExchangeAlone) {
    begin({.flights = {std::string(200, 'A') + "\r\n" + kName + "\r\n" + kPassword + "\r\n"}});
    EXPECT_EQ(why(*sasl("LOGIN")), Why::too_long);
    EXPECT_TRUE(*sasl("LOGIN"));
}

TEST_F(SessionLogin, AConnectionThatEndsIsTheSessionsFailure) {
    begin({.flights = {}, .end = Errc::timed_out});
    auto ended = sasl("LOGIN");
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), Errc::timed_out);
    EXPECT_FALSE(login_->exhausted());
}

}  // namespace
}  // namespace poplar::session
