#include "auth/authenticator.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "auth/password.h"
#include "directory/records.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
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
        ASSERT_TRUE(run(directory.add_domain("example.org")));
        ASSERT_TRUE(run(directory.add_account("bob@example.org", "{PLAIN}secret")));
        ASSERT_TRUE(run(directory.add_account("carol@example.org", "{PLAIN}hidden")));
    }

    /// The authenticator with `options`, made at the first login.
    Authenticator& authenticator() {
        if (!made_) made_.emplace(directory, clock, options);
        return *made_;
    }
    Result<Account> login(const std::string& name, const std::string& password, const std::string& peer = "192.0.2.1") {
        return run(authenticator().verify_password({name, password, peer}));
    }
    /// "" for a good login, otherwise what the log would say.
    std::string outcome(const std::string& name, const std::string& password, const std::string& peer = "192.0.2.1") {
        auto result = login(name, password, peer);
        if (result) return "";
        EXPECT_EQ(result.error().code(), Errc::denied);
        return result.error().detail();
    }
    Account find(const std::string& address) {
        auto found = run(directory.find_account(address));
        EXPECT_TRUE(found);
        return found ? *found : Account{};
    }
    /// Changes a stored password behind the directory's back, its version staying the same: only a login that does not
    /// look at the hash goes on as before.
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
    EXPECT_EQ(bob->address, "bob@example.org");
    EXPECT_EQ(bob->id, find("bob@example.org").id);
}

TEST_F(AuthenticatorTest, TakesAnAccountsAddressInAnySpellingAndNothingElse) {
    ASSERT_TRUE(run(directory.add_alias("sales@example.org", {"bob@example.org"})));
    EXPECT_EQ(outcome("Bob@Example.ORG", "secret"), "");
    for (const char* name : {" bob@example.org", "bob@example.org ", "bob+x@example.org", "sales@example.org", "bob",
                             "", "@", "bob@", "@example.org", "bob@elsewhere.example", "bob@example.org@example.org"})
        EXPECT_EQ(outcome(name, "secret", "unix"), "unknown user") << '"' << name << '"';
}

// RFC 6856 s2.2, RFC 4013.
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
    // What is not ASCII only by writing from right to left, or is newer than RFC 3454, is no reason.
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
    EXPECT_EQ(reasons,
              (std::map<std::string, int>{{"wrong password", 1}, {"too many failures", 1}, {"unknown user", 2}}));
}

// What is remembered.

TEST_F(AuthenticatorTest, DoesNotHashAgainWhileItRemembers) {
    options.cache_ttl = 60s;
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    swap_stored("bob", "{PLAIN}other");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
    EXPECT_EQ(outcome("BOB@example.org", "secret"), "");
    clock.advance(60s);
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

TEST_F(AuthenticatorTest, RemembersNoWrongPassword) {
    EXPECT_EQ(outcome("bob@example.org", "other"), "wrong password");
    swap_stored("bob", "{PLAIN}other");
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

// Limits.

TEST_F(AuthenticatorTest, RefusesAPeerAfterTooManyFailuresUntilTheWindowIsOver) {
    options.failures_per_peer = 3;
    options.failure_window = 600s;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "too many failures");
    EXPECT_EQ(outcome("carol@example.org", "hidden"), "too many failures") << "whatever the account";
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.2"), "");
    EXPECT_EQ(outcome("bob@example.org", "secret", "::ffff:192.0.2.1"), "too many failures");
    clock.advance(600s);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

TEST_F(AuthenticatorTest, TakesAnIpv6NetworkForOnePeer) {
    options.failures_per_peer = 2;
    EXPECT_EQ(outcome("bob@example.org", "wrong", "2001:db8::1"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "wrong", "2001:db8::ffff:1"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret", "2001:db8::2"), "too many failures");
    EXPECT_EQ(outcome("bob@example.org", "secret", "2001:db8:0:1::2"), "");
}

TEST_F(AuthenticatorTest, CountsUnknownUsersAgainstThePeer) {
    options.failures_per_peer = 2;
    EXPECT_EQ(outcome("x@example.org", "wrong"), "unknown user");
    EXPECT_EQ(outcome("y", "wrong"), "unknown user");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "too many failures");
}

TEST_F(AuthenticatorTest, RefusesAnAccountAfterTooManyFailuresFromAnywhere) {
    options.failures_per_account = 3;
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(outcome("bob@example.org", "wrong", "192.0.2." + std::to_string(i)), "wrong password");
    EXPECT_EQ(outcome("BOB@example.org", "secret", "192.0.2.9"), "too many failures");
    EXPECT_EQ(outcome("carol@example.org", "hidden", "192.0.2.9"), "");
    clock.advance(600s);
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.9"), "");
}

TEST_F(AuthenticatorTest, LetsNoStrangerLockTheOwnerOut) {
    options.failures_per_account = 3;
    options.cache_ttl = 0s;
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.1"), "");
    for (int i = 0; i < 5; ++i) outcome("bob@example.org", "guess", "198.51.100." + std::to_string(i));
    EXPECT_EQ(outcome("bob@example.org", "secret", "203.0.113.1"), "too many failures") << "from a new place";
    EXPECT_EQ(outcome("bob@example.org", "secret", "192.0.2.1"), "") << "from where he always comes";
    EXPECT_EQ(outcome("carol@example.org", "hidden", "192.0.2.1"), "");
}

TEST_F(AuthenticatorTest, CountsNoGoodLogin) {
    options.failures_per_peer = options.failures_per_account = 2;
    options.cache_ttl = 0s;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

TEST_F(AuthenticatorTest, HoldsThePeerLimitBackForLoopback) {
    options.failures_per_peer = 1;
    options.failures_per_account = 3;
    auto local = [&](const std::string& password) {
        auto result = run(authenticator().verify_password({"bob@example.org", password, "127.0.0.1", true}));
        return result ? "" : result.error().detail();
    };
    EXPECT_EQ(local("wrong"), "wrong password");
    EXPECT_EQ(local("wrong"), "wrong password");
    EXPECT_EQ(local("secret"), "");
    EXPECT_EQ(local("wrong"), "wrong password");
    EXPECT_EQ(local("secret"), "too many failures") << "the account's limit holds for all";
}

TEST_F(AuthenticatorTest, CountsNothingWithLimitsOfZero) {
    options.failures_per_peer = options.failures_per_account = 0;
    for (int i = 0; i < 100; ++i) EXPECT_EQ(outcome("bob@example.org", "wrong"), "wrong password");
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
}

Task<> count(Authenticator& authenticator, Credentials credentials, std::map<std::string, int>& outcomes) {
    auto result = co_await authenticator.verify_password(std::move(credentials));
    ++outcomes[result ? "good" : result.error().detail()];
}

TEST_F(AuthenticatorTest, LetsNoCrowdOfGuessesPastTheLimit) {
    options.failures_per_peer = 5;
    options.hash_threads = 1;
    std::map<std::string, int> outcomes;
    asio::io_context context(1);
    for (int i = 0; i < 200; ++i)
        asio::co_spawn(context, count(authenticator(), {"bob@example.org", "wrong", "192.0.2.1"}, outcomes),
                       asio::detached);
    context.run();
    EXPECT_EQ(outcomes, (std::map<std::string, int>{{"wrong password", 5}, {"too many failures", 195}}));
}

TEST_F(AuthenticatorTest, IsBusyWhenTooManyWaitForAHash) {
    options.failures_per_peer = 0;
    options.hash_threads = 1;
    options.hash_queue = 1;
    std::map<std::string, int> outcomes;
    asio::io_context context(1);
    for (int i = 0; i < 30; ++i)  // unknown users are hashed for as well: tens of milliseconds each
        asio::co_spawn(context, count(authenticator(), {"nobody@example.org", "x", "192.0.2.1"}, outcomes),
                       asio::detached);
    context.run();
    EXPECT_GE(outcomes["unknown user"], 2);
    EXPECT_GE(outcomes["too many logins are waiting"], 1);
    EXPECT_EQ(outcomes["unknown user"] + outcomes["too many logins are waiting"], 30);
    auto later = login("bob@example.org", "secret");
    EXPECT_TRUE(later) << "the places are free again";
    EXPECT_EQ(run(authenticator().verify_password({"nobody", "x", "192.0.2.1"})).error().code(), Errc::denied);
}

TEST_F(AuthenticatorTest, AnswersBusyAndNotDeniedThen) {
    options.hash_threads = 1;
    options.hash_queue = 0;
    Errc seen{};
    asio::io_context context(1);
    auto hash = [](Authenticator& auth) -> Task<> { EXPECT_TRUE(co_await auth.hash_password("x")); };
    auto attempt = [](Authenticator& auth, Errc& code) -> Task<> {
        auto result = co_await auth.hash_password("y");
        if (!result) code = result.error().code();
    };
    asio::co_spawn(context, hash(authenticator()), asio::detached);
    asio::co_spawn(context, attempt(authenticator(), seen), asio::detached);
    context.run();
    EXPECT_EQ(seen, Errc::busy);
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
    EXPECT_EQ(bob->password, stored.password);
    EXPECT_EQ(bob->credential_version, stored.credential_version);
    auto before = engine.commits();
    EXPECT_EQ(outcome("bob@example.org", "secret"), "") << "remembered under the new version";
    authenticator().forget(bob->id);
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
    options.failures_per_peer = options.failures_per_account = 0;
    auto& shared = authenticator();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&shared, t] {
            for (int i = 0; i < 100; ++i) {
                bool wrong = i % 5 == t;
                auto result = run(shared.verify_password({"bob@example.org", wrong ? "wrong" : "secret", "192.0.2.1"}));
                EXPECT_EQ(result.has_value(), !wrong);
                if (i % 17 == 0 && result) shared.forget(result->id);
            }
        });
    for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace poplar::auth
