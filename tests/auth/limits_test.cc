// Failed logins: what is limited, and who is spared.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "auth/kept_limits.h"
#include "directory/server_records.h"
#include "tests/auth/authenticator_world.h"
#include "tests/support/moved_time.h"

namespace poplar::auth {
namespace {

// An attempt over a limit is refused here and does not wait for its turn (longest_wait is 0), unless a test
// says so.

TEST_F(AuthenticatorTest, RefusesAPeerAfterTooManyFailuresAndForgivesThemOneByOne) {
    options.failures_per_peer = 3;
    options.failure_window = 600s;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(outcome("user" + std::to_string(i) + "@example.org", "x"), "unknown user");
    EXPECT_EQ(outcome("bob@example.org", "secret"), kRefused);
    EXPECT_EQ(outcome("carol@example.org", "hidden"), kRefused) << "whatever the account";
    EXPECT_EQ(outcome("nobody@example.org", "x"), kRefused) << "and whether there is one";
    EXPECT_EQ(outcome("carol@example.org", "hidden", "192.0.2.2"), "");
    EXPECT_EQ(outcome("bob@example.org", "secret", "::ffff:192.0.2.1"), kRefused);
    SteadyClock::move(201s);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

TEST_F(AuthenticatorTest, TakesAnIpv6NetworkForOnePeer) {
    options.failures_per_peer = 2;
    EXPECT_EQ(outcome("bob@example.org", "wrong", "2001:db8::1"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "wrong too", "2001:db8::ffff:1"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret", "2001:db8::2"), kRefused);
    EXPECT_EQ(outcome("bob@example.org", "secret", "2001:db8:0:1::2"), "");
}

TEST_F(AuthenticatorTest, RefusesAnAccountAfterTooManyFailuresFromAnywhere) {
    options.failures_per_account = 3;
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(outcome("bob@example.org", guess(i), "192.0.2." + std::to_string(i)), "wrong password");
    EXPECT_EQ(outcome("BOB@example.org", "secret", "192.0.2.9"), kRefused);
    EXPECT_EQ(outcome("carol@example.org", "hidden", "192.0.2.9"), "");
    SteadyClock::move(201s);
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.9"), "");
}

TEST_F(AuthenticatorTest, ANameThatNobodyHasIsRefusedLikeAnAccount) {
    options.failures_per_account = 3;
    for (const char* name : {"nobody@example.org", "NOBODY@example.org", "nobody@EXAMPLE.org"})
        EXPECT_EQ(outcome(name, "x", name), "unknown user");
    EXPECT_EQ(outcome("nobody@example.org", "x", "192.0.2.9"), kRefused);
}

TEST_F(AuthenticatorTest, OtherDetailsAreNoWayAroundTheLimits) {
    options.failures_per_account = 3;
    for (std::string name : {"bob", "nobody"}) {
        for (int i = 0; i < 3; ++i)
            outcome(name + "+" + std::to_string(i) + "@example.org", guess(i), "192.0.2." + std::to_string(i));
        EXPECT_EQ(outcome(name + "+9@example.org", "secret", "192.0.2.9"), kRefused) << "whether there is an account";
        EXPECT_EQ(outcome(name + "@example.org", "secret", "192.0.2.9"), kRefused);
    }
}

TEST_F(AuthenticatorTest, LimitsAPairBeforeAnythingElse) {
    options.failures_per_pair = 2;
    for (int i = 0; i < 2; ++i) EXPECT_EQ(outcome("bob@example.org", guess(i)), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret"), kRefused);
    EXPECT_EQ(outcome("carol@example.org", "hidden"), "") << "another account from there";
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.2"), "") << "the account from elsewhere";
}

TEST_F(AuthenticatorTest, WaitsForItsTurnAndIsJudgedThen) {
    options.failures_per_pair = 1;
    options.longest_delay = 80s;
    options.longest_wait = 1h;
    EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    int waited = 0;
    std::string result;
    asio::io_context context(1);
    auto attempt = [&](std::string password) -> Task<> {
        auto account = co_await authenticator().verify_password({"bob@example.org", password, "192.0.2.1"});
        result = account ? "" : account.error().detail();
    };
    auto wait = [&](std::string password) {
        waited = test::seconds_of(context, attempt(password), [] { std::this_thread::sleep_for(10ms); });
        return result;
    };
    EXPECT_EQ(wait("secret"), "");
    EXPECT_GE(waited, 9);
    EXPECT_LE(waited, 14) << "an eighth of the longest";
    EXPECT_EQ(wait("another"), "wrong password");
    EXPECT_EQ(wait("and one more"), "wrong password");
    EXPECT_GE(waited, 18) << "ever longer";
}

TEST_F(AuthenticatorTest, LooksAtTheAccountAgainAfterAWait) {
    options.failures_per_pair = 1;
    options.longest_delay = 80s;
    options.longest_wait = 1h;
    EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    std::string result;
    asio::io_context context(1);
    auto attempt = [&]() -> Task<> {
        auto account = co_await authenticator().verify_password({"bob@example.org", "secret", "192.0.2.1"});
        result = account ? "" : account.error().detail();
    };
    bool changed = false;
    test::seconds_of(context, attempt(), [&] {
        if (!std::exchange(changed, true))
            EXPECT_TRUE(run(directory.set_status("bob@example.org", directory::AccountStatus::disabled)));
        std::this_thread::sleep_for(10ms);
    });
    EXPECT_EQ(result, "account is disabled");
}

// Familiar peers.

/// bob was logged in from 192.0.2.1; then strangers fail, from there and from elsewhere.
class FamiliarTest : public AuthenticatorTest {
protected:
    void guess_at(const std::string& name = "bob@example.org", int times = 60) {
        for (int i = 0; i < times; ++i) outcome(name, guess(i), "198.51.100." + std::to_string(i));
    }
};

TEST_F(FamiliarTest, NoStrangerLocksTheOwnerOut) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    guess_at();
    EXPECT_EQ(outcome("bob@example.org", "secret", "203.0.113.1"), kRefused) << "from a new place, cached or not";
    EXPECT_EQ(outcome("bob@example.org", "secret"), "") << "from where he always comes";
    authenticator().forget(find("bob@example.org").id);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(outcome("carol@example.org", "hidden"), "");
}

TEST_F(FamiliarTest, ALoginThatIsRememberedMakesItsPeerFamiliarToo) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    swap_stored("bob", "{PLAIN}other");  // no hash is looked at from here on
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.2"), "");
    guess_at();
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.1"), "");
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.2"), "");
}

TEST_F(FamiliarTest, OthersBehindTheSameAddressDoNotLockTheOwnerOut) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    for (int i = 0; i < 25; ++i) outcome("user" + std::to_string(i) + "@example.org", guess(i));
    EXPECT_EQ(outcome("carol@example.org", "hidden"), kRefused) << "who was never here";
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

TEST_F(FamiliarTest, AWrongPasswordIsAnsweredLikeAStrangersWhereStrangersAreRefused) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    for (int i = 0; i < 25; ++i) outcome("user" + std::to_string(i) + "@example.org", guess(i));
    EXPECT_EQ(outcome("bob@example.org", "wrong"), kRefused) << "or it would tell who is at home here";
    EXPECT_EQ(outcome("carol@example.org", "wrong"), kRefused);
    EXPECT_EQ(outcome("nobody@example.org", "wrong"), kRefused);
}

TEST_F(FamiliarTest, ItsOwnFailuresHoldAFamiliarPeerUp) {
    options.failures_per_pair = 3;
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(outcome("bob@example.org", guess(i)), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret"), kRefused);
    EXPECT_EQ(outcome("carol@example.org", "hidden"), "") << "and nobody else";
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.2"), "");
}

TEST_F(FamiliarTest, ThisMachineIsAPeerLikeOthersButForALimitOfItsOwn) {
    auto local = [&](const std::string& name, const std::string& password) {
        auto result = run(authenticator().verify_password({name, password, "127.0.0.1", true}));
        return result ? "" : result.error().detail();
    };
    EXPECT_EQ(local("bob@example.org", "secret"), "");
    for (int i = 0; i < 30; ++i) local("user" + std::to_string(i) + "@example.org", guess(i));
    EXPECT_EQ(local("carol@example.org", "hidden"), "");
    guess_at();
    EXPECT_EQ(local("bob@example.org", "secret"), "") << "the webmail's users are not locked out from elsewhere";
    for (int i = 0; i < 10; ++i) EXPECT_EQ(local("carol@example.org", guess(i)), "wrong password");
    EXPECT_EQ(local("carol@example.org", "hidden"), kRefused) << "the limit of the pair";
    EXPECT_EQ(local("bob@example.org", "secret"), "");
}

TEST_F(FamiliarTest, TheyOutliveTheServerAndClocksThatAreSet) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    run(authenticator().flush());
    for (auto by : {std::chrono::milliseconds(-1), std::chrono::milliseconds(24h * 400), -24h * 500 + 0ms}) {
        clock.advance(by);
        Authenticator next(directory, options);
        for (int i = 0; i < 60; ++i)
            EXPECT_FALSE(run(next.verify_password({"bob@example.org", guess(i), "198.51.100." + std::to_string(i)})));
        EXPECT_FALSE(run(next.verify_password({"bob@example.org", "secret", "203.0.113.1"})));
        EXPECT_TRUE(run(next.verify_password({"bob@example.org", "secret", "192.0.2.1"})));
    }
}

TEST_F(FamiliarTest, WhoComesEveryHourForMonthsStaysFamiliar) {
    for (int hour = 0; hour < 24 * 60; ++hour) {
        clock.advance(1h);
        EXPECT_EQ(outcome("bob@example.org", "secret"), "");
        if (hour == 0) run(authenticator().flush());
    }
    auto before = engine.commits();
    run(authenticator().flush());
    EXPECT_EQ(engine.commits(), before) << "and costs one write";
    guess_at();
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

TEST_F(FamiliarTest, OneUserPushesOutNobodyElsesPlaces) {
    options.familiar_peers = 4;
    EXPECT_EQ(outcome("carol@example.org", "hidden", "192.0.2.77"), "");
    for (int i = 0; i < 1000; ++i) {
        EXPECT_EQ(outcome("bob@example.org", "secret", "2001:db8:0:" + std::to_string(i) + "::"), "");
        if (i % 3 == 0) run(authenticator().flush());
    }
    run(authenticator().flush());
    EXPECT_EQ(run(directory.familiar_peers(find("bob@example.org").id))->size(), 4u);
    guess_at("carol@example.org");
    EXPECT_EQ(outcome("carol@example.org", "hidden", "192.0.2.77"), "");
}

TEST_F(FamiliarTest, ALoginIsGoodWhereItCanNotBeWrittenDown) {
    engine.fail_next_commits(1, Errc::no_space);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    run(authenticator().flush());
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    run(authenticator().flush());
    EXPECT_EQ(run(directory.familiar_peers(find("bob@example.org").id))->size(), 1u) << "at the next one";
}

TEST_F(AuthenticatorTest, CountsNoGoodLogin) {
    options.failures_per_peer = options.failures_per_account = 2;
    options.cache_ttl = 0s;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

TEST_F(AuthenticatorTest, CountsNothingWithLimitsOfZero) {
    options.failures_per_peer = options.failures_per_account = options.failures_per_pair = 0;
    for (int i = 0; i < 100; ++i) EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

TEST_F(AuthenticatorTest, LetsNoCrowdOfGuessesPastTheLimit) {
    options.failures_per_pair = 5;
    options.hashes_per_account = 1000;
    options.hash_threads = 1;
    std::map<std::string, int> outcomes;
    asio::io_context context(1);
    for (int i = 0; i < 200; ++i)
        asio::co_spawn(context, count(authenticator(), {"bob@example.org", guess(i), "192.0.2.1"}, outcomes),
                       asio::detached);
    context.run();
    EXPECT_EQ(outcomes, (std::map<std::string, int>{{"wrong password", 5}, {"too many failures", 195}}));
}

// Guessing is told apart from mistakes, and told.

TEST_F(AuthenticatorTest, TheSameWrongPasswordFromTheSameNetworkCountsOnce) {
    options.failures_per_pair = options.failures_per_account = 3;
    options.failure_window = 600s;
    for (int i = 0; i < 50; ++i)
        EXPECT_EQ(outcome("bob@example.org", "of last year", "192.0.2." + std::to_string(i % 5)), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "") << "a telephone with the old one holds nobody up";
    EXPECT_EQ(outcome("bob@example.org", "of last year", "198.51.100.1"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "guess", "198.51.100.1"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret", "198.51.100.9"), kRefused) << "but it counts in each network";
}

TEST_F(AuthenticatorTest, WhatWasWrongIsRightOnceItIsThePassword) {
    EXPECT_EQ(outcome("bob@example.org", "next"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "next"), "wrong password");
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}next")));
    EXPECT_EQ(outcome("bob@example.org", "next"), "");
    EXPECT_EQ(outcome("late@example.org", "early"), "unknown user");
    ASSERT_TRUE(run(directory.add_account("late@example.org", "{PLAIN}early")));
    EXPECT_EQ(outcome("late@example.org", "early"), "");
}

// The attack: a usual password, tried at everybody, so that no account sees more than one failure.
TEST_F(AuthenticatorTest, OnePasswordTriedAtManyAccountsIsSlowedDown) {
    options.failures_per_password = 5;
    ASSERT_TRUE(run(directory.add_account("weak@example.org", "{PLAIN}123456")));
    for (int i = 0; i < 5; ++i)
        outcome("user" + std::to_string(i) + "@example.org", "123456", "192.0.2." + std::to_string(i));
    EXPECT_EQ(outcome("weak@example.org", "123456", "192.0.2.77"), kRefused) << "from the whole network";
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.77"), "") << "another password";
    EXPECT_EQ(outcome("weak@example.org", "123456", "198.51.100.1"), "") << "from elsewhere";
}

// The attack: where a code may stand behind the password, other digits there make the same guess look like another one.
TEST_F(AuthenticatorTest, DigitsBehindAPasswordMakeNoOtherGuessOfIt) {
    options.failures_per_password = 5;
    ASSERT_TRUE(run(directory.add_account("weak@example.org", "{PLAIN}Summer2026")));
    for (int i = 0; i < 5; ++i)
        outcome("user" + std::to_string(i) + "@example.org", "Summer202600000" + std::to_string(i),
                "192.0.2." + std::to_string(i));
    for (auto typed : {"Summer2026", "Summer2026123456", "Summer2026abcd-efgh-jkmn", "Summer2026123456654321"})
        EXPECT_EQ(outcome("weak@example.org", typed, "192.0.2.77"), kRefused) << typed;
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.77"), "") << "another password";
}

TEST_F(AuthenticatorTest, OnePasswordAtOneAccountCountsOnceForItWhateverStandsBehind) {
    options.failures_per_password = 3;
    for (int i = 0; i < 5; ++i) outcome("carol@example.org", "secret" + std::to_string(100'000 + i));
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.9"), "");
}

TEST_F(AuthenticatorTest, ANetworkThatGuessesFromManyAddressesIsSlowedDown) {
    options.failures_per_network = 6;
    for (int i = 0; i < 6; ++i)
        outcome("user" + std::to_string(i) + "@example.org", guess(i), "192.0.2." + std::to_string(i));
    EXPECT_EQ(outcome("carol@example.org", "hidden", "192.0.2.200"), kRefused);
    EXPECT_EQ(outcome("carol@example.org", "hidden", "192.0.3.1"), "");
}

TEST_F(AuthenticatorTest, ShowsWhatIsHeldUpAndReleasesIt) {
    options.failures_per_pair = 3;
    options.failures_per_peer = 4;
    EXPECT_TRUE(authenticator().held_up().empty());
    for (int i = 0; i < 3; ++i) outcome("bob@example.org", guess(i));
    outcome("carol@example.org", "guess", "192.0.2.1");
    auto held = authenticator().held_up();
    ASSERT_EQ(held.size(), 2u);
    std::map<std::string_view, HeldUp> by_limit;
    for (const auto& one : held) by_limit[one.limit] = one;
    EXPECT_EQ(by_limit["pair"].account, "bob@example.org");
    EXPECT_EQ(by_limit["pair"].peer, "192.0.2.1");
    EXPECT_EQ(by_limit["pair"].failures, 3u);
    EXPECT_GT(by_limit["pair"].delay, 0s);
    EXPECT_GT(by_limit["pair"].lasts, 0s);
    EXPECT_EQ(by_limit["peer"].account, "");
    EXPECT_EQ(by_limit["peer"].failures, 4u);
    EXPECT_EQ(authenticator().release("carol@example.org"), 0u);
    EXPECT_EQ(outcome("carol@example.org", "hidden"), kRefused);
    EXPECT_EQ(authenticator().release("192.0.2.1"), 2u);
    EXPECT_TRUE(authenticator().held_up().empty());
    EXPECT_EQ(outcome("carol@example.org", "hidden"), "");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    for (int i = 0; i < 3; ++i) outcome("bob@example.org", guess(10 + i), "198.51.100.1");
    EXPECT_EQ(authenticator().release("BOB@example.org"), 1u) << "in any spelling";
    EXPECT_EQ(outcome("bob@example.org", "secret", "198.51.100.1"), "");
}

TEST_F(AuthenticatorTest, APassedLimitOutlivesTheServerAndIsForgivenMeanwhile) {
    options.failures_per_pair = 3;
    options.failure_window = 600s;
    directory::ServerRecords records(engine);
    ASSERT_TRUE(run(authenticator().load_limits(records, clock)));
    ASSERT_TRUE(run(authenticator().keep_limits(records, clock)));
    EXPECT_EQ(run(records.get("limits")), "") << "nothing to keep";
    for (int i = 0; i < 3; ++i) EXPECT_EQ(outcome("bob@example.org", guess(i)), "wrong password");
    outcome("carol@example.org", "once");
    ASSERT_TRUE(run(authenticator().keep_limits(records, clock)));
    auto refused_after = [&](std::chrono::milliseconds down) {
        clock.advance(down);
        Authenticator next(directory, options);
        EXPECT_TRUE(run(next.load_limits(records, clock)));
        return !run(next.verify_password({"bob@example.org", "secret", "192.0.2.1"}));
    };
    EXPECT_TRUE(refused_after(100s));
    EXPECT_TRUE(refused_after(-1h)) << "a clock that is set back forgives nothing, and locks nobody out for longer";
    EXPECT_FALSE(refused_after(1h + 101s));
    Authenticator last(directory, options);
    ASSERT_TRUE(run(last.load_limits(records, clock)));
    ASSERT_TRUE(run(last.keep_limits(records, clock)));
    EXPECT_TRUE(decode_limits(*run(records.get("limits")))->limits.empty());
    ASSERT_TRUE(run(records.put("limits", "damaged")));
    EXPECT_EQ(run(last.load_limits(records, clock)).error().code(), Errc::corrupt);
}

TEST(KeptLimits, ComeBackAsTheyWereAndNotIfTheyAreDamaged) {
    KeptLimits limits{Timestamp(std::chrono::milliseconds(1'767'225'600'123)),
                      {{"pair", {7, 12, 90s, {"bob@example.org", "192.0.2.1"}}}, {"network", {9, 500, 0s, {"", "x"}}}}};
    const auto octets = encode(limits);
    auto again = decode_limits(octets);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->kept, limits.kept);
    ASSERT_EQ(again->limits.size(), 2u);
    EXPECT_EQ(again->limits[0].limit, "pair");
    EXPECT_EQ(again->limits[0].entry.key, 7u);
    EXPECT_EQ(again->limits[0].entry.failures, 12u);
    EXPECT_EQ(again->limits[0].entry.age, 90s);
    EXPECT_EQ(again->limits[0].entry.subject.account, "bob@example.org");
    for (std::size_t cut : {std::size_t(0), octets.size() - 1, octets.size() - 3})
        EXPECT_FALSE(decode_limits(octets.substr(0, cut))) << cut;
    EXPECT_FALSE(decode_limits("\x02" + octets.substr(1)));
}

TEST_F(AuthenticatorTest, OfOneNetworkSoManyWaitForATurn) {
    options.failures_per_pair = 1;
    options.longest_delay = 80s;
    options.longest_wait = 24h;
    options.waiting_per_network = 3;
    EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    std::map<std::string, int> outcomes;
    asio::io_context context(1);
    for (int i = 0; i < 10; ++i)
        asio::co_spawn(context, count(authenticator(), {"bob@example.org", guess(i), "192.0.2.1"}, outcomes),
                       asio::detached);
    for (int i = 0; i < 3'000 && (outcomes["wrong password"] < 3 || i == 0); ++i) {
        context.run_for(10ms);
        SteadyClock::move(1s);
    }
    EXPECT_EQ(outcomes["too many logins from this network wait for a turn"], 7);
    EXPECT_EQ(outcomes["wrong password"], 3);
}

TEST_F(AuthenticatorTest, ATokenDoesNotWaitBesideGuessersOfPasswords) {
    options.failures_per_pair = 1;
    options.longest_delay = 80s;
    options.longest_wait = 24h;
    options.waiting_per_network = 3;
    EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    std::map<std::string, int> outcomes;
    asio::io_context context(1);
    for (int i = 0; i < 10; ++i)
        asio::co_spawn(context, count(authenticator(), {"bob@example.org", guess(i), "192.0.2.1"}, outcomes),
                       asio::detached);
    context.run_for(50ms);
    EXPECT_EQ(outcomes["too many logins from this network wait for a turn"], 7) << "all of its places are taken";
    Claim claim{"bob@example.org", "192.0.2.1", false, Proof::token};
    EXPECT_TRUE(run(authenticator().wait_for_turn(claim, find("bob@example.org"))));
    EXPECT_TRUE(run(authenticator().conclude(claim, find("bob@example.org"), Result<>())));
    Claim bad{"carol@example.org", "192.0.2.1", false, Proof::token};
    EXPECT_EQ(run(authenticator().conclude(bad, find("carol@example.org"), fail(Errc::denied, "bad"))).error().code(),
              Errc::denied);
    for (int i = 0; i < 3'000 && outcomes["wrong password"] < 3; ++i) {
        context.run_for(10ms);
        SteadyClock::move(1s);
    }
    EXPECT_EQ(outcomes["wrong password"], 3) << "the guessers were still waiting";
}

}  // namespace
}  // namespace poplar::auth
