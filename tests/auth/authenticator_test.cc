// Logins with a password: what is right, and what is remembered of it.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "activity/ledger.h"
#include "auth/password.h"
#include "tests/auth/authenticator_world.h"

namespace poplar::auth {
namespace {

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

TEST_F(AuthenticatorTest, PassesTheStoresFailureOnAndCountsItForNobody) {
    options.failures_per_peer = options.failures_per_account = 1;
    engine.fail_next_reads(1, Errc::io);
    auto result = login("bob@example.org", "secret");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), Errc::io);
    EXPECT_EQ(outcome("bob@example.org", "secret"), "");
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
