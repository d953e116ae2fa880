// When sources are asked, what is believed while they are silent, and how accounts come to be.
#include "directory/outside/outside.h"

#include <gtest/gtest.h>

#include "tests/directory/outside/fake_source.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::directory::outside {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using test::run;
using Presence = OutsideDirectory::Sighting::Presence;

bool plain_matches(std::string_view stored, std::string_view password) {
    return stored == "{PLAIN}" + std::string(password);
}

struct OutsideTest : testing::Test {
    test::MemoryEngine engine;
    test::ManualClock clock;
    Directory directory{engine, clock, {}};
    FakePeople people;
    std::unique_ptr<Outside> outside;
    const mail::Address jane{"jane", "out.test"}, john{"john", "out.test"};

    void SetUp() override {
        people.passwords["jane@out.test"] = "right";
        start();
    }
    /// Also a restart: what was only in memory is gone.
    void start() {
        std::vector<Outside::Part> parts;
        parts.push_back({.settings = {.domains = {"out.test"}, .source = Kind::http, .url = "https://x"},
                         .source = std::make_unique<FakeSource>(people)});
        outside = std::make_unique<Outside>(directory, clock, std::move(parts),
                                            Outside::Options{.matches = plain_matches, .hash_threads = 1});
        directory.consult(*outside);
        ASSERT_TRUE(run(outside->add_domains()));
    }
    void silence() { people.failure = Error(Errc::io, "down"); }
    /// Past the moment in which a silent source is left alone.
    static void wait_out() { SteadyClock::move(seconds(2)); }
    Result<bool> check(const mail::Address& who, std::string password, std::string peer = "192.0.2.7") {
        return run(outside->check(who, std::move(password), {.peer = std::move(peer), .protocol = "pop3"}));
    }
    Presence look_up(const mail::Address& who) { return run(outside->look_up(who)).presence; }
    Resolution::Kind mail_to(std::string local) {
        auto resolution = run(directory.resolve({std::move(local), "out.test"}));
        EXPECT_TRUE(resolution) << resolution.error().detail();
        return resolution ? resolution->kind : Resolution::Kind::loop;
    }
    std::uint64_t accounts() { return run(directory.totals())->accounts; }
    /// Lets the slow hash be made: it has the lowest turn on a pool of one thread, which the destructor of a new
    /// Outside would not wait for.
    void keep() {
        for (int i = 0; i < 500; ++i) {
            ASSERT_TRUE(run(outside->flush()));
            auto record = run(directory.kept_outside("jane@out.test"));
            if (record && record->size() > 40) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        FAIL() << "no slow hash was kept";
    }
};

TEST_F(OutsideTest, MakesAnAccountWhenMailOrALoginNamesOneThatIsThere) {
    EXPECT_EQ(mail_to("nobody"), Resolution::Kind::unknown_user);
    EXPECT_FALSE(run(directory.find_for_login("nobody@out.test")));
    EXPECT_EQ(accounts(), 0u);
    EXPECT_EQ(mail_to("Jane+detail"), Resolution::Kind::accounts);
    EXPECT_EQ(accounts(), 1u);
    people.passwords["john@out.test"] = "x";
    clock.advance(minutes(5));
    auto account = run(directory.find_for_login("john@out.test"));
    ASSERT_TRUE(account);
    EXPECT_EQ(accounts(), 2u);
    EXPECT_EQ(run(directory.find_for_login("john@out.test"))->id, account->id);
}

TEST_F(OutsideTest, AnAccountThatIsGoneIsNobodyAndComesBackWithItsMail) {
    auto account = run(directory.find_for_login("jane@out.test"));
    ASSERT_TRUE(account);
    people.passwords.clear();
    EXPECT_EQ(mail_to("jane"), Resolution::Kind::accounts) << "fresh";
    clock.advance(minutes(5));
    EXPECT_EQ(mail_to("jane"), Resolution::Kind::unknown_user);
    EXPECT_FALSE(run(directory.find_for_login("jane@out.test")));
    people.passwords["jane@out.test"] = "new";
    clock.advance(minutes(5));
    EXPECT_EQ(run(directory.find_for_login("jane@out.test"))->id, account->id);
}

TEST_F(OutsideTest, OwnPasswordsOfSuchAccountsCountForNothing) {
    Outside nobody(directory, clock, {}, {.matches = plain_matches});
    directory.consult(nobody);
    ASSERT_TRUE(run(directory.add_account("own@out.test", Password("{PLAIN}own"))));
    directory.consult(*outside);
    EXPECT_FALSE(run(directory.find_for_login("own@out.test")));
    people.passwords["own@out.test"] = "theirs";
    clock.advance(minutes(5));
    auto account = run(directory.find_for_login("own@out.test"));
    ASSERT_TRUE(account);
    EXPECT_EQ(account->password, "");
}

TEST_F(OutsideTest, AliasesLeadToAccountsThatAreThere) {
    ASSERT_TRUE(run(directory.add_alias("team@out.test", {"jane@out.test", "john@out.test"})));
    EXPECT_EQ(run(directory.resolve({"team", "out.test"}))->accounts.size(), 1u);
    people.passwords["john@out.test"] = "x";
    clock.advance(minutes(5));
    EXPECT_EQ(run(directory.resolve({"team", "out.test"}))->accounts.size(), 2u);
    people.passwords.clear();
    clock.advance(minutes(5));
    EXPECT_EQ(mail_to("team"), Resolution::Kind::unknown_user);
}

TEST_F(OutsideTest, FreshAnswersAreNotAskedForAgain) {
    EXPECT_EQ(check(jane, "right"), true);
    EXPECT_EQ(check(jane, "wrong"), false);
    const int asked = people.asked;
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(check(jane, "right"), true);
        EXPECT_EQ(check(jane, "wrong"), false);
        EXPECT_TRUE(outside->remembers("jane@out.test", "right", {.peer = "192.0.2.7"}));
        EXPECT_EQ(look_up(jane), Presence::there);
    }
    EXPECT_EQ(people.asked, asked);
    EXPECT_EQ(check(jane, "other"), false);
    EXPECT_EQ(people.asked, asked + 1);
    clock.advance(minutes(5));
    EXPECT_FALSE(outside->remembers("jane@out.test", "right", {.peer = "192.0.2.7"}));
    EXPECT_EQ(check(jane, "right"), true);
    EXPECT_EQ(people.asked, asked + 2);
}

TEST_F(OutsideTest, AnEmptyPasswordIsNeverAskedAbout) {
    people.passwords["jane@out.test"] = "";
    EXPECT_EQ(check(jane, ""), false);
    EXPECT_EQ(people.with_password, 0);
}

TEST_F(OutsideTest, ACredentialThatIsHandedOutIsAskedForAnewBeforeAPasswordIsWrong) {
    people.judges = false;
    EXPECT_EQ(check(jane, "right"), true);
    people.passwords["jane@out.test"] = "new";
    EXPECT_EQ(check(jane, "new"), true) << "without waiting for the old one to be no longer fresh";
    EXPECT_EQ(check(jane, "right"), false);
    auto account = run(directory.find_for_login("jane@out.test"));
    EXPECT_EQ(account->password, "{PLAIN}new");
    EXPECT_EQ(account->shared_secret, "new") << "for APOP and CRAM-MD5";
}

TEST_F(OutsideTest, APasswordIsGoodFromItsNetworksAlone) {
    people.judges = false;
    people.networks = {"192.0.2.0/24"};
    EXPECT_EQ(check(jane, "right", "198.51.100.1"), false);
    EXPECT_EQ(check(jane, "right", "192.0.2.7"), true);
    EXPECT_EQ(check(jane, "right", "198.51.100.1"), false);
    EXPECT_FALSE(outside->remembers("jane@out.test", "right", {.peer = "198.51.100.1"}));
    EXPECT_TRUE(outside->remembers("jane@out.test", "right", {.peer = "192.0.2.7"}));
    EXPECT_EQ(run(directory.find_for_login("jane@out.test"))->shared_secret, "") << "APOP does not look at the network";
    clock.advance(minutes(6));
    silence();
    EXPECT_FALSE(check(jane, "right", "198.51.100.1"));
    EXPECT_EQ(check(jane, "right", "192.0.2.7"), true);
}

TEST_F(OutsideTest, InAnOutageTheCacheIsBelievedAndNobodyIsWrong) {
    EXPECT_EQ(check(jane, "right"), true);
    EXPECT_EQ(look_up(john), Presence::gone);
    clock.advance(minutes(6));
    silence();
    EXPECT_FALSE(outside->is_silent("out.test"));
    EXPECT_EQ(look_up(jane), Presence::there);
    EXPECT_TRUE(outside->is_silent("out.test"));
    EXPECT_EQ(look_up(john), Presence::in_doubt) << "mail would be refused for good";
    EXPECT_EQ(check(jane, "right"), true);
    auto wrong = check(jane, "wrong");
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().code(), Errc::denied);
    EXPECT_FALSE(check(john, "x"));
    auto resolution = run(directory.resolve({"john", "out.test"}));
    ASSERT_FALSE(resolution);
    EXPECT_EQ(resolution.error().code(), Errc::timed_out);
    clock.advance(hours(12));
    EXPECT_FALSE(check(jane, "right"));
    EXPECT_EQ(look_up(jane), Presence::in_doubt);
    auto account = run(directory.find_for_login("jane@out.test"));
    EXPECT_TRUE(!account || account->status == AccountStatus::disabled);
}

TEST_F(OutsideTest, TheCacheSurvivesARestart) {
    ASSERT_TRUE(run(directory.find_for_login("jane@out.test")));
    EXPECT_EQ(check(jane, "right"), true);
    keep();
    silence();
    start();
    wait_out();
    EXPECT_EQ(look_up(jane), Presence::there);
    EXPECT_EQ(check(jane, "right"), true);
    EXPECT_FALSE(check(jane, "wrong"));
    clock.advance(hours(12));
    wait_out();
    EXPECT_EQ(look_up(jane), Presence::in_doubt);
    EXPECT_FALSE(check(jane, "right"));
}

TEST_F(OutsideTest, MailAfterARestartDoesNotLoseThePasswordThatIsKept) {
    ASSERT_TRUE(run(directory.find_for_login("jane@out.test")));
    EXPECT_EQ(check(jane, "right"), true);
    keep();
    start();
    EXPECT_EQ(mail_to("jane"), Resolution::Kind::accounts);
    ASSERT_TRUE(run(outside->flush()));
    silence();
    start();
    EXPECT_EQ(check(jane, "right"), true);
}

TEST_F(OutsideTest, WhatIsKeptOfAnAccountThatIsGoneIsForgotten) {
    ASSERT_TRUE(run(directory.find_for_login("jane@out.test")));
    EXPECT_EQ(check(jane, "right"), true);
    keep();
    start();
    people.passwords.clear();
    EXPECT_EQ(look_up(jane), Presence::gone);
    ASSERT_TRUE(run(outside->flush()));
    EXPECT_EQ(run(directory.kept_outside("jane@out.test")), "");
}

TEST_F(OutsideTest, ASilentSourceIsLeftAloneForAMoment) {
    silence();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(look_up(jane), Presence::in_doubt);
    EXPECT_EQ(people.asked, 3);
    wait_out();
    people.failure.reset();
    EXPECT_EQ(look_up(jane), Presence::there);
    EXPECT_EQ(look_up(john), Presence::gone);
    EXPECT_TRUE(outside->is_silent("out.test"));
    SteadyClock::move(seconds(10));
    EXPECT_FALSE(outside->is_silent("out.test"));
}

TEST_F(OutsideTest, IsSilentAsLongAsItDoesNotAnswer) {
    silence();
    EXPECT_EQ(look_up(jane), Presence::in_doubt);
    SteadyClock::move(seconds(60));
    EXPECT_TRUE(outside->is_silent("out.test")) << "a right password would be called wrong";
    for (int i = 0; i < 5; ++i) EXPECT_EQ(look_up(jane), Presence::in_doubt);
    SteadyClock::move(seconds(60));
    EXPECT_TRUE(outside->is_silent("out.test"));
}

TEST_F(OutsideTest, AnAddressOfWhichItSaysNothingUsableSilencesNobodyElse) {
    EXPECT_EQ(look_up(jane), Presence::there);
    people.failure = Error(Errc::invalid, "several rows");
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(look_up(john), Presence::in_doubt);
        auto right = check(john, "x");
        ASSERT_FALSE(right);
        EXPECT_EQ(right.error().code(), Errc::io);
    }
    EXPECT_FALSE(outside->is_silent("out.test"));
    auto account = run(directory.find_for_login("john@out.test"));
    ASSERT_FALSE(account);
    EXPECT_EQ(account.error().code(), Errc::timed_out) << "its password may be right";
    clock.advance(minutes(6));
    EXPECT_EQ(look_up(jane), Presence::there) << "what was known of it holds";
    people.failure.reset();
    EXPECT_EQ(check(jane, "right"), true);
    EXPECT_EQ(look_up(john), Presence::gone);
}

TEST_F(OutsideTest, AnAnswerThatIsNotUsableShowsThatItAnswersAgain) {
    silence();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(look_up(jane), Presence::in_doubt);
    wait_out();
    people.failure = Error(Errc::invalid, "several rows");
    EXPECT_EQ(look_up(john), Presence::in_doubt);
    people.failure.reset();
    EXPECT_EQ(look_up(jane), Presence::there) << "without waiting for another turn";
}

TEST_F(OutsideTest, APasswordThatWasRefusedIsNotTakenFromTheStore) {
    ASSERT_TRUE(run(directory.find_for_login("jane@out.test")));
    EXPECT_EQ(check(jane, "right"), true);
    keep();
    start();
    people.passwords["jane@out.test"] = "new";
    EXPECT_EQ(check(jane, "right"), false);
    clock.advance(minutes(6));
    silence();
    EXPECT_FALSE(check(jane, "right"));
}

TEST_F(OutsideTest, APasswordThatIsReplacedIsNotBelievedInAnOutage) {
    people.judges = false;
    EXPECT_EQ(check(jane, "right"), true);
    people.passwords["jane@out.test"] = "new";
    clock.advance(minutes(6));
    EXPECT_EQ(look_up(jane), Presence::there);  // mail tells of the new one
    clock.advance(minutes(6));
    silence();
    EXPECT_FALSE(check(jane, "right"));
    EXPECT_EQ(check(jane, "new"), true);
}

TEST_F(OutsideTest, FailuresBetweenAnswersSilenceNobodyElse) {
    for (int i = 0; i < 10; ++i) {
        people.failure = Error(Errc::io, "a question that it chokes on");
        EXPECT_EQ(look_up(john), Presence::in_doubt);
        people.failure.reset();
        clock.advance(minutes(5));
        EXPECT_EQ(look_up(jane), Presence::there);
    }
}

}  // namespace
}  // namespace poplar::directory::outside
