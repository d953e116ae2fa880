// Logins with a password: what is right, remembered, limited, spared and hashed.
#include "auth/authenticator.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "activity/ledger.h"
#include "auth/kept_limits.h"
#include "auth/password.h"
#include "directory/records.h"
#include "directory/server_records.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/moved_time.h"
#include "tests/support/run.h"

namespace poplar::auth {
namespace {

using namespace std::chrono_literals;
using directory::Account;
using test::run;

/// bob and carol at example.org; failures are answered without delay.
class AuthenticatorTest : public testing::Test {
protected:
    void SetUp() override {
        options.failure_delay = 0ms;
        options.longest_wait = 0ms;
        options.longest_delay = 24h;  // no test reaches it, however slow the machine
        ASSERT_TRUE(run(directory.add_domain("example.org")));
        ASSERT_TRUE(run(directory.add_account("bob@example.org", "{PLAIN}secret")));
        ASSERT_TRUE(run(directory.add_account("carol@example.org", "{PLAIN}hidden")));
    }

    /// The authenticator with `options`, made at the first login.
    Authenticator& authenticator() {
        if (!made_) made_.emplace(directory, options);
        return *made_;
    }
    Result<Verified> login(const std::string& name, const std::string& password,
                           const std::string& peer = "192.0.2.1") {
        return run(authenticator().verify_password({name, password, peer}));
    }
    /// "" for a good login, otherwise what the log would say.
    std::string outcome(const std::string& name, const std::string& password, const std::string& peer = "192.0.2.1") {
        auto result = login(name, password, peer);
        if (result) return "";
        EXPECT_EQ(result.error().code(), result.error().detail() == kRefused ? Errc::busy : Errc::denied);
        return result.error().detail();
    }
    static constexpr std::string_view kRefused = "too many failures";
    /// A wrong password, each time another one.
    static std::string guess(int number) { return "guess " + std::to_string(number); }
    Account find(const std::string& address) {
        auto found = run(directory.find_account(address));
        EXPECT_TRUE(found);
        return found ? *found : Account{};
    }
    /// Changes a stored hash without a new credential_version. The old password is then right only for a login that
    /// does not look at the hash.
    void swap_stored(const std::string& local, const std::string& password) {
        auto account = find(local + "@example.org");
        account.password = password;
        engine::Batch batch;
        batch.put(directory::address_key({local, "example.org"}), directory::encode(account));
        ASSERT_TRUE(run(engine.commit(directory::kDirectoryPartition, std::move(batch))));
    }

    test::MemoryEngine engine;
    test::ManualClock clock;
    directory::Directory directory{engine, clock, {}};
    Options options;

private:
    std::optional<Authenticator> made_;
};

TEST_F(AuthenticatorTest, LetsTheRightPasswordIn) {
    auto bob = login("bob@example.org", "secret");
    ASSERT_TRUE(bob);
    EXPECT_EQ(bob->account.address, "bob@example.org");
    EXPECT_EQ(bob->account.id, find("bob@example.org").id);
}

TEST_F(AuthenticatorTest, TakesAnAccountsAddressInAnySpellingAndNothingElse) {
    options.failures_per_password = 0;  // one is tried at many names
    ASSERT_TRUE(run(directory.add_alias("sales@example.org", {"bob@example.org"})));
    EXPECT_EQ(outcome("Bob@Example.ORG", "secret"), "");
    for (const char* name : {" bob@example.org", "bob@example.org ", "sales+x@example.org", "sales@example.org", "bob",
                             "", "@", "bob@", "@example.org", "bob@elsewhere.example", "bob@example.org@example.org"})
        EXPECT_EQ(outcome(name, "secret", "unix"), "unknown user") << '"' << name << '"';
}

// RFC 6856 s2.2, RFC 4013.
TEST_F(AuthenticatorTest, TakesTheDetailOfANameForAMailbox) {
    ASSERT_TRUE(run(directory.add_account("bob+own@example.org", "{PLAIN}other")));
    auto opened = [&](const std::string& name, const std::string& password) {
        auto verified = login(name, password);
        if (!verified) return verified.error().detail();
        return verified->account.address.substr(0, verified->account.address.find('@')) + "/" +
               verified->mailbox.value_or("-");
    };
    EXPECT_EQ(opened("bob@example.org", "secret"), "bob/-");
    EXPECT_EQ(opened("BOB+Junk@Example.ORG", "secret"), "bob/Junk") << "in the case that was typed";
    EXPECT_EQ(opened("bob+lists/a b@example.org", "secret"), "bob/lists/a b");
    EXPECT_EQ(opened("bob+@example.org", "secret"), "bob/") << "a detail, though an empty one";
    EXPECT_EQ(opened("bob+a+b@example.org", "secret"), "bob/a+b");
    EXPECT_EQ(opened("bob+\xc3\xa4@example.org", "secret"), "bob/\xc3\xa4");
    EXPECT_EQ(opened("bob+junk@example.org", "wrong"), "wrong password");
    EXPECT_EQ(opened("Bob+Own@example.org", "other"), "bob+own/-") << "an account of that very name goes first";
    EXPECT_EQ(opened("bob+own@example.org", "secret"), "wrong password");
    EXPECT_EQ(opened("bob+own+x@example.org", "other"), "wrong password") << "the name is cut at its first separator";
    EXPECT_EQ(opened("nobody+x@example.org", "secret"), "unknown user");
    EXPECT_EQ(opened("+bob@example.org", "secret"), "unknown user");
    EXPECT_EQ(opened("bob+x", "secret"), "unknown user");
}

TEST_F(AuthenticatorTest, TakesADetailBeforeTheDefaultDomain) {
    options.default_domain = "example.org";
    EXPECT_EQ(login("bob+junk", "secret")->mailbox, "junk");
    EXPECT_EQ(login("bob", "secret")->mailbox, std::nullopt);
}

TEST_F(AuthenticatorTest, CostsANameWithADetailOneReadMore) {
    EXPECT_EQ(outcome("bob+junk@example.org", "secret"), "");
    auto reads = [&](const std::string& name) {
        const auto before = engine.reads();
        EXPECT_EQ(outcome(name, "secret"), "");
        return engine.reads() - before;
    };
    EXPECT_EQ(reads("bob+junk@example.org"), 2u);
    EXPECT_EQ(reads("bob@example.org"), 1u);
}

TEST_F(AuthenticatorTest, PreparesNamesAndPasswordsThatAreNotAscii) {
    const std::string composed = "se\u00f1or", decomposed = "sen\u0303or", hyphenated = "se\u00ad\u00f1or";
    ASSERT_TRUE(run(directory.add_account("j\u00f6rg@example.org", "{PLAIN}" + composed)));
    ASSERT_TRUE(run(directory.add_account("old@example.org", "{PLAIN}" + decomposed)));  // brought along as it was
    for (const auto& password : {composed, decomposed, hyphenated}) {
        EXPECT_EQ(outcome("j\u00f6rg@example.org", password), "") << password;
        EXPECT_EQ(outcome("jo\u0308r\u00adg@example.org", password), "") << password;
        auto made = run(authenticator().hash_password(password));
        ASSERT_TRUE(made);
        EXPECT_TRUE(matches(made->hash, composed)) << "new hashes are of what is prepared";
    }
    EXPECT_EQ(outcome("old@example.org", decomposed), "");
    EXPECT_EQ(outcome("j\u00f6rg@example.org", "senor"), "wrong password");
}

TEST_F(AuthenticatorTest, RefusesCharactersThatSaslprepProhibits) {
    ASSERT_TRUE(run(directory.add_account("x@example.org", "{PLAIN}\ue000")));
    EXPECT_EQ(outcome("x@example.org", "\ue000"), "wrong password");
    EXPECT_EQ(outcome("\ue000@example.org", "x"), "unknown user");
    // Text from right to left, or newer than RFC 3454, is no reason to refuse.
    for (std::string password : {"\u05e9\u05dc\u05d5\u05dd1", "\U0001fae0", "tab\t"}) {
        ASSERT_TRUE(run(directory.set_password("x@example.org", "{PLAIN}" + password)));
        EXPECT_EQ(outcome("x@example.org", password), "") << password;
    }
}

TEST_F(AuthenticatorTest, AddsTheDefaultDomain) {
    options.default_domain = "example.org";
    EXPECT_EQ(outcome("bob", "secret"), "");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(outcome("bob@elsewhere.example", "secret"), "unknown user");
}

TEST_F(AuthenticatorTest, DeniesWithOneCodeAndTellsTheReasonToTheLogOnly) {
    ASSERT_TRUE(run(directory.add_account("off@example.org", "{PLAIN}secret")));
    ASSERT_TRUE(run(directory.set_status("off@example.org", directory::AccountStatus::disabled)));
    ASSERT_TRUE(run(directory.add_account("none@example.org", "")));
    ASSERT_TRUE(run(directory.add_account("broken@example.org", "{NO-SUCH}secret")));
    // The SHA-1 of nothing: an empty password never is a right one.
    ASSERT_TRUE(run(directory.add_account("empty@example.org", "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=")));
    ASSERT_TRUE(matches("{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", ""));
    EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", ""), "wrong password");
    EXPECT_EQ(outcome("nobody@example.org", "secret"), "unknown user");
    EXPECT_EQ(outcome("off@example.org", "secret"), "account is disabled");
    EXPECT_EQ(outcome("none@example.org", ""), "wrong password");
    EXPECT_EQ(outcome("none@example.org", "secret"), "wrong password");
    EXPECT_EQ(outcome("broken@example.org", "secret"), "wrong password");
    EXPECT_EQ(outcome("empty@example.org", ""), "wrong password");
}

TEST_F(AuthenticatorTest, AnswersEveryFailureNoSoonerThanTheDelay) {
    options.failure_delay = 60ms;
    options.failures_per_account = 1;
    std::map<std::string, int> reasons;
    for (const char* name : {"bob@example.org", "bob@example.org", "nobody@example.org", "nobody"}) {
        auto begun = std::chrono::steady_clock::now();
        ++reasons[outcome(name, "wrong")];
        EXPECT_GE(std::chrono::steady_clock::now() - begun, 60ms) << name;
    }
    EXPECT_EQ(reasons, (std::map<std::string, int>{{"wrong password", 1}, {kRefused.data(), 1}, {"unknown user", 2}}));
}

// The cache of verified passwords.

TEST_F(AuthenticatorTest, DoesNotHashAgainWhileItRemembers) {
    options.cache_ttl = 60s;
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    swap_stored("bob", "{PLAIN}other");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(outcome("BOB@example.org", "secret"), "");
    SteadyClock::move(60s);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "other"), "");
}

TEST_F(AuthenticatorTest, CostsOneReadWhileItRemembers) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    auto before = engine.reads();
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(engine.reads() - before, 1U);
}

TEST_F(AuthenticatorTest, RemembersNothingWithoutATime) {
    options.cache_ttl = 0s;
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    swap_stored("bob", "{PLAIN}other");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "wrong password");
}

TEST_F(AuthenticatorTest, RemembersOnlyAsManyAsItsEntries) {
    options.cache_entries = 1;
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(outcome("carol@example.org", "hidden"), "");
    swap_stored("bob", "{PLAIN}other");
    swap_stored("carol", "{PLAIN}other");
    EXPECT_EQ(outcome("carol@example.org", "hidden"), "");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "wrong password");
}

TEST_F(AuthenticatorTest, RemembersNoWrongPasswordOnceThereIsAnother) {
    EXPECT_EQ(outcome("bob@example.org", "other"), "wrong password");
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}other")));
    EXPECT_EQ(outcome("bob@example.org", "other"), "");
    EXPECT_EQ(outcome("bob@example.org", "another"), "wrong password") << "while it remembers the right one";
}

TEST_F(AuthenticatorTest, ForgetsAtOnceWhenThePasswordOrTheStatusChanges) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    ASSERT_TRUE(run(directory.set_password("bob@example.org", "{PLAIN}new")));
    EXPECT_EQ(outcome("bob@example.org", "secret"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "new"), "");
    ASSERT_TRUE(run(directory.set_status("bob@example.org", directory::AccountStatus::disabled)));
    EXPECT_EQ(outcome("bob@example.org", "new"), "account is disabled");
    ASSERT_TRUE(run(directory.set_status("bob@example.org", directory::AccountStatus::enabled)));
    EXPECT_EQ(outcome("bob@example.org", "new"), "");
    swap_stored("bob", "{PLAIN}other");
    EXPECT_EQ(outcome("bob@example.org", "new"), "");
    authenticator().forget(find("bob@example.org").id);
    EXPECT_EQ(outcome("bob@example.org", "new"), "wrong password");
}

TEST_F(AuthenticatorTest, DoesNotTakeANewAccountOfThatNameForTheOldOne) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    ASSERT_TRUE(run(directory.remove_account("bob@example.org")));
    EXPECT_EQ(outcome("bob@example.org", "secret"), "unknown user");
    ASSERT_TRUE(run(directory.add_account("bob@example.org", "{PLAIN}fresh")));
    EXPECT_EQ(outcome("bob@example.org", "secret"), "wrong password");
}

// Limits. An attempt over a limit is refused here and does not wait for its turn (longest_wait is 0), unless a test
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

Task<> count(Authenticator& authenticator, Credentials credentials, std::map<std::string, int>& outcomes) {
    auto result = co_await authenticator.verify_password(std::move(credentials));
    ++outcomes[result ? "good" : result.error().detail()];
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

TEST_F(AuthenticatorTest, RefusedLoginsStandInTheAccountsLedgerAndInNobodyElses) {
    activity::Ledger ledger(engine, clock, {});
    Authenticator noting(directory, options, &ledger);
    run(noting.verify_password({"bob@example.org", "wrong", "192.0.2.1"}));
    run(noting.verify_password({"bob@example.org", "wrong", "192.0.2.1"}));
    run(noting.verify_password({"nobody@example.org", "wrong", "192.0.2.1"}));
    EXPECT_TRUE(run(noting.verify_password({"bob@example.org", "secret", "192.0.2.1"})));
    auto listing = run(ledger.list(find("bob@example.org").id, {}));
    ASSERT_TRUE(listing);
    ASSERT_EQ(listing->entries.size(), 1u);
    const auto& entry = listing->entries.front();
    EXPECT_EQ(entry.kind, activity::Kind::refused);
    EXPECT_EQ(entry.times, 2u);
    EXPECT_EQ(entry.origin.peer, "192.0.2.1");
    EXPECT_EQ(entry.detail, "wrong password");
}

// Hashes.

/// bob's password is hashed with Argon2id, one at a time.
class HashTest : public AuthenticatorTest {
protected:
    void SetUp() override {
        AuthenticatorTest::SetUp();
        options.failures_per_pair = options.failures_per_peer = options.failures_per_account = 0;
        options.hash_threads = 1;
        ASSERT_TRUE(run(directory.set_password("bob@example.org", hash_argon2id("secret"))));
    }
    void add(const std::string& name, const std::string& password, const std::string& peer = "192.0.2.1") {
        asio::co_spawn(context, count(authenticator(), {name, password, peer}, outcomes), asio::detached);
    }
    std::map<std::string, int> outcomes;
    asio::io_context context{1};
};

TEST_F(HashTest, IsBusyWhenTooManyWait) {
    options.hash_queue = 1;
    options.hashes_per_account = 1000;
    for (int i = 0; i < 30; ++i) add("bob@example.org", "wrong");
    context.run();
    EXPECT_GE(outcomes["wrong password"], 1);
    EXPECT_GE(outcomes["too many logins are waiting"], 1);
    EXPECT_EQ(outcomes["wrong password"] + outcomes["too many logins are waiting"], 30);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "") << "the places are free again";
}

TEST_F(HashTest, AnAccountAndANameThatNobodyHasMayHaveEquallyManyWaiting) {
    options.hashes_per_account = 3;
    for (const char* name : {"bob@example.org", "nobody@example.org"}) {
        outcomes.clear();
        for (int i = 0; i < 10; ++i) add(name, "wrong");
        context.restart();
        context.run();
        EXPECT_EQ(outcomes["too many logins of this account are waiting"], 7) << name;
    }
}

TEST_F(HashTest, StrangersTakeNoPlaceFromTheOwner) {
    options.hashes_per_account = 3;
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    authenticator().forget(find("bob@example.org").id);
    for (int i = 0; i < 10; ++i) add("bob@example.org", "wrong", "198.51.100." + std::to_string(i));
    add("bob@example.org", "secret");
    context.run();
    EXPECT_EQ(outcomes["good"], 1);
}

TEST_F(HashTest, NamesThatNobodyHasHoldBackNobody) {
    for (int i = 0; i < 250; ++i)
        add("user" + std::to_string(i) + "@example.org", "x", "198.51." + std::to_string(i) + ".1");
    add("bob@example.org", "secret");
    auto begun = std::chrono::steady_clock::now();
    context.run();
    EXPECT_EQ(outcomes["good"], 1);
    EXPECT_EQ(outcomes["unknown user"], 250);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 8s) << "250 hashes would take longer";
}

TEST_F(HashTest, OneHashIsEnoughForTheRightPasswordAndItsVariants) {
    ASSERT_TRUE(run(directory.set_password("bob@example.org", hash_argon2id("s\u00e9cret"))));
    EXPECT_EQ(outcome("bob@example.org", "s\u00e9cret"), "");
    swap_stored("bob", "{PLAIN}other");  // no hash is looked at from here on
    for (const char* variant : {"s\u00ad\u00e9cret", "s\u00e9c\u00adret", "se\u0301cret", "s\u00e9cret"})
        EXPECT_EQ(outcome("bob@example.org", variant), "") << variant;
    EXPECT_EQ(outcome("bob@example.org", "secret"), "wrong password");
}

TEST_F(HashTest, WhatWasWrongAMomentAgoCostsNoHash) {
    EXPECT_EQ(outcome("bob@example.org", "of last year"), "wrong password");
    swap_stored("bob", "{PLAIN}of last year");  // it would be right if it were looked at
    EXPECT_EQ(outcome("bob@example.org", "of last year"), "wrong password");
    SteadyClock::move(601s);
    EXPECT_EQ(outcome("bob@example.org", "of last year"), "");
}

TEST_F(HashTest, ManyRightOnesAtATimeCostOneHash) {
    options.hashes_per_account = 100;
    for (int i = 0; i < 100; ++i) add("bob@example.org", "secret");
    auto begun = std::chrono::steady_clock::now();
    context.run();
    EXPECT_EQ(outcomes["good"], 100);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 3s) << "a hundred hashes would take longer";
}

TEST_F(HashTest, AnswersBusyAndNotDeniedThen) {
    options.hash_queue = 1;
    std::map<std::string, int> made;
    auto hash = [&]() -> Task<> {
        auto result = co_await authenticator().hash_password("x");
        ++made[result ? "made" : std::string(to_string(result.error().code()))];
    };
    for (int i = 0; i < 10; ++i) asio::co_spawn(context, hash(), asio::detached);
    context.run();
    EXPECT_GE(made["made"], 1);
    EXPECT_GE(made["busy"], 1);
    EXPECT_EQ(made["made"] + made["busy"], 10);
}

// The rest.

TEST_F(AuthenticatorTest, PassesTheStoresFailureOnAndCountsItForNobody) {
    options.failures_per_peer = options.failures_per_account = 1;
    engine.fail_next_reads(1, Errc::io);
    auto result = login("bob@example.org", "secret");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), Errc::io);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

TEST_F(AuthenticatorTest, UpgradesAWeakHashAtAGoodLogin) {
    options.upgrade_hashes = true;
    EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    EXPECT_EQ(find("bob@example.org").password, "{PLAIN}secret");
    auto bob = login("bob@example.org", "secret");
    ASSERT_TRUE(bob);
    auto stored = find("bob@example.org");
    EXPECT_EQ(scheme_of(stored.password), "ARGON2ID");
    EXPECT_FALSE(is_outdated(stored.password));
    EXPECT_EQ(bob->account.password, stored.password);
    EXPECT_EQ(bob->account.credential_version, stored.credential_version);
    auto before = engine.commits();
    EXPECT_EQ(outcome("bob@example.org", "secret"), "") << "remembered under the new version";
    authenticator().forget(bob->account.id);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    EXPECT_EQ(engine.commits(), before) << "it is not written again";
}

TEST_F(AuthenticatorTest, LeavesHashesAloneByDefault) {
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(find("bob@example.org").password, "{PLAIN}secret");
}

TEST_F(AuthenticatorTest, LetsALoginInWhoseUpgradeFails) {
    options.upgrade_hashes = true;
    engine.fail_next_commits(1, Errc::no_space);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(find("bob@example.org").password, "{PLAIN}secret");
    engine.fail_next_commits(0, Errc::no_space);
    authenticator().forget(find("bob@example.org").id);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(scheme_of(find("bob@example.org").password), "ARGON2ID") << "at the next one";
}

TEST_F(AuthenticatorTest, MakesHashesForNewPasswords) {
    auto made = run(authenticator().hash_password("p\xc3\xa4ss"));
    ASSERT_TRUE(made);
    ASSERT_TRUE(run(directory.set_password("bob@example.org", *made)));
    EXPECT_EQ(outcome("bob@example.org", "p\xc3\xa4ss"), "");
    EXPECT_EQ(outcome("bob@example.org", "pass"), "wrong password");
}

TEST_F(AuthenticatorTest, ServesManyThreads) {
    options.failures_per_pair = options.failures_per_peer = options.failures_per_account = 0;
    auto& shared = authenticator();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&shared, t] {
            for (int i = 0; i < 100; ++i) {
                bool wrong = i % 5 == t;
                auto result = run(shared.verify_password({"bob@example.org", wrong ? "wrong" : "secret", "192.0.2.1"}));
                EXPECT_EQ(result.has_value(), !wrong);
                if (i % 17 == 0 && result) shared.forget(result->account.id);
            }
        });
    for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace poplar::auth
