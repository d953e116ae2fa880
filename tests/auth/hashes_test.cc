// Hashes of passwords: how many wait for one, and new ones for weak ones.
#include <gtest/gtest.h>

#include <map>

#include "auth/password.h"
#include "tests/auth/authenticator_world.h"

namespace poplar::auth {
namespace {

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

}  // namespace
}  // namespace poplar::auth
