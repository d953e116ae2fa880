// EXPIRE and LOGIN-DELAY (RFC 2449 s6.5, s6.7): what is announced, and that the server keeps to it.
#include "pop3/policy.h"

#include "tests/pop3/world.h"
#include "tests/support/set_settings.h"

namespace {

using namespace poplar;
using namespace poplar::pop3;
using namespace std::chrono_literals;
using directory::AccountId;
using directory::AccountSettings;
using test::kLogin;
constexpr auto kNever = directory::kNeverExpires;

TEST(Pop3Announced, SaysTheStrictestBeforeTheLoginAndOnesOwnAfterIt) {
    struct Case {
        Policy server;
        AccountSettings strictest, own;
        std::string_view before, after;
    };
    for (const auto& [server, strictest, own, before, after] : {
             Case{{}, {}, {}, "EXPIRE NEVER\r\n", "EXPIRE NEVER\r\n"},
             {{30, 900s}, {}, {}, "EXPIRE 30\r\nLOGIN-DELAY 900\r\n", "EXPIRE 30\r\nLOGIN-DELAY 900\r\n"},
             {{0, 0s}, {}, {}, "EXPIRE 0\r\n", "EXPIRE 0\r\n"},
             {{}, {5, 60}, {}, "EXPIRE 5 USER\r\nLOGIN-DELAY 60 USER\r\n", "EXPIRE NEVER\r\nLOGIN-DELAY 0\r\n"},
             {{}, {5, 60}, {5, 60}, "EXPIRE 5 USER\r\nLOGIN-DELAY 60 USER\r\n", "EXPIRE 5\r\nLOGIN-DELAY 60\r\n"},
             {{30, 900s},
              {60, 60},
              {60, 60},
              "EXPIRE 30 USER\r\nLOGIN-DELAY 900 USER\r\n",
              "EXPIRE 60\r\nLOGIN-DELAY 60\r\n"},
             {{30, 900s},
              {kNever, 0},
              {kNever, 0},
              "EXPIRE 30 USER\r\nLOGIN-DELAY 900 USER\r\n",
              "EXPIRE NEVER\r\nLOGIN-DELAY 0\r\n"},
         }) {
        Announced announced(server);
        announced.set(strictest);
        EXPECT_EQ(announced.lines(), before);
        EXPECT_EQ(announced.lines(policy_of(server, own)), after);
    }
}

TEST(Pop3LoginDelays, CountFromTheLastLoginThatSucceeded) {
    LoginDelays delays;
    const mailstore::ViewOf one{AccountId(1024), mailstore::kClassicView}, other{AccountId(1025), mailstore::ViewId(1)};
    EXPECT_TRUE(delays.is_over(one, 60s));
    EXPECT_TRUE(delays.note(one, 60s));
    EXPECT_FALSE(delays.is_over(one, 60s));
    EXPECT_FALSE(delays.note(one, 60s)) << "of two that race the second must not come in";
    EXPECT_TRUE(delays.is_over(one, 0s)) << "who has no delay never waits";
    EXPECT_TRUE(delays.note(other, 3600s));
    SteadyClock::move(59s);
    EXPECT_FALSE(delays.is_over(one, 60s));
    SteadyClock::move(1s);
    EXPECT_TRUE(delays.note(one, 60s));
    EXPECT_FALSE(delays.is_over(other, 3600s));
    SteadyClock::move(3600s);
    EXPECT_TRUE(delays.is_over(other, 3600s));
}

class Pop3Policy : public test::Pop3World {
protected:
    const std::string early_ = "-ERR [LOGIN-DELAY] the last login was too short a time ago\r\n";
    /// The answer to PASS.
    std::string log_in(std::string password = " pass word ") {
        auto output = say("USER fred@example.test\r\nPASS " + password + "\r\nQUIT\r\n");
        output.erase(0, output.find("\r\n") + 2);
        return output.substr(0, output.find("\r\n") + 2);
    }
    const std::string in_ = "+OK 0 messages (0 octets)\r\n";
};

TEST_F(Pop3Policy, ALoginTooSoonAfterTheLastIsToldSo) {
    options_.policy.login_delay = 900s;
    EXPECT_EQ(log_in(), in_);
    EXPECT_EQ(log_in(), early_);
    EXPECT_EQ(say("AUTH PLAIN AGZyZWRAZXhhbXBsZS50ZXN0ACBwYXNzIHdvcmQg\r\n"), early_);
    SteadyClock::move(899s);
    EXPECT_EQ(log_in(), early_) << "an attempt that is refused does not begin the time anew";
    SteadyClock::move(1s);
    EXPECT_EQ(log_in(), in_);
}

// RFC 2449 s8.1.1: [LOGIN-DELAY] would tell that the user exists.
TEST_F(Pop3Policy, AWrongPasswordIsNotToldOfTheDelay) {
    options_.policy.login_delay = 900s;
    EXPECT_EQ(log_in(), in_);
    EXPECT_EQ(log_in("wrong"), "-ERR [AUTH] wrong name or password\r\n");
}

TEST_F(Pop3Policy, ALoginThatFailedForAnotherReasonDoesNotBeginTheDelay) {
    options_.policy.login_delay = 900s;
    {
        auto held = test::run(store_.open_maildrop(fred_));
        EXPECT_TRUE(log_in().starts_with("-ERR [IN-USE] "));
    }
    EXPECT_EQ(log_in(), in_);
}

TEST_F(Pop3Policy, AnAccountsOwnDelayTakesThePlaceOfTheServers) {
    options_.policy.login_delay = 900s;
    ASSERT_TRUE(test::run(test::set_settings(directory_, "fred@example.test", {.login_delay = 0})));
    EXPECT_EQ(log_in(), in_);
    EXPECT_EQ(log_in(), in_);
    ASSERT_TRUE(test::run(test::set_settings(directory_, "fred@example.test", {.login_delay = 10})));
    EXPECT_EQ(log_in(), in_);
    EXPECT_EQ(log_in(), early_);
    SteadyClock::move(10s);
    EXPECT_EQ(log_in(), in_);
}

TEST_F(Pop3Policy, CapaSaysBeforeTheLoginWhatHoldsForAllAndAfterItOnesOwn) {
    ASSERT_TRUE(test::run(test::set_settings(directory_, "fred@example.test", {.expire_days = 9, .login_delay = 0})));
    announced_.set({.expire_days = 7, .login_delay = 60});
    EXPECT_TRUE(say("CAPA\r\n").contains("\r\nEXPIRE 7 USER\r\nLOGIN-DELAY 60 USER\r\n"));
    EXPECT_TRUE(say_logged_in("CAPA\r\n").contains("\r\nEXPIRE 9\r\nLOGIN-DELAY 0\r\n"));
}

class Pop3Ousted : public test::Pop3World {};

TEST_F(Pop3Ousted, ASessionThatWaitsIsToldAndDeletesNothing) {
    append("S: x\r\n\r\n");
    auto end = [this]() -> Task<> {
        EXPECT_EQ(open_sessions_.end(fred_), 1u);
        co_return;
    };
    auto output = talk({.flights = {std::string(kLogin), "DELE 1\r\n", "QUIT\r\n"}}, 4, end).output;
    EXPECT_TRUE(output.ends_with("+OK deleted\r\n-ERR the account has changed, log in again\r\n")) << output;
    EXPECT_EQ(stored_messages(), 1u);
    EXPECT_EQ(open_sessions_.count(), 0u);
    EXPECT_TRUE(test::run(store_.open_maildrop(fred_))) << "the maildrop is free";
}

TEST_F(Pop3Ousted, CommandsThatHadComeAlreadyAreNotObeyed) {
    auto end = [this]() -> Task<> {
        open_sessions_.end(fred_);
        co_await asio::post(use_awaitable);
    };
    auto output = talk({.flights = {std::string(kLogin) + "STAT\r\nSTAT\r\nSTAT\r\n"}}, 4, end).output;
    EXPECT_TRUE(output.ends_with(")\r\n+OK 0 0\r\n-ERR the account has changed, log in again\r\n")) << output;
}

TEST_F(Pop3Ousted, AnotherAccountsSessionGoesOn) {
    auto end = [this]() -> Task<> {
        EXPECT_EQ(open_sessions_.end(AccountId(fred_.value + 1)), 0u);
        co_return;
    };
    EXPECT_TRUE(talk({.flights = {std::string(kLogin), "QUIT\r\n"}}, 3, end).output.ends_with("+OK goodbye\r\n"));
}

}  // namespace
