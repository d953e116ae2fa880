#include "auth/open_sessions.h"

#include <gtest/gtest.h>

namespace {

using namespace poplar;
using auth::OpenSessions;
using directory::AccountId;

struct OpenSessionsTest : testing::Test {
    asio::io_context context{1};
    OpenSessions open;
    int ended = 0;

    OpenSessions::Entry enter(std::uint64_t account, OpenSessions::Mark seen) {
        return open.enter(AccountId(account), context.get_executor(), seen, [this] { ++ended; });
    }
};

TEST_F(OpenSessionsTest, EndsTheSessionsOfOneAccountOnTheirOwnThread) {
    auto one = enter(1024, open.mark()), again = enter(1024, open.mark()), other = enter(1025, open.mark());
    EXPECT_EQ(open.end(AccountId(1024)), 2u);
    EXPECT_EQ(ended, 0) << "called from a foreign thread";
    context.run();
    EXPECT_EQ(ended, 2);
    EXPECT_EQ(open.end(AccountId(1024)), 2u) << "they have not left yet";
    context.restart();
    context.run();
    EXPECT_EQ(ended, 2) << "a session is told once";
}

TEST_F(OpenSessionsTest, WhoHasLeftIsNotToldAnyMore) {
    auto one = enter(1024, open.mark());
    EXPECT_EQ(open.end(AccountId(1024)), 1u);
    one = {};
    context.run();
    EXPECT_EQ(ended, 0);
    EXPECT_EQ(open.count(), 0u);
    EXPECT_EQ(open.end(AccountId(1024)), 0u);
}

TEST_F(OpenSessionsTest, ALoginThatLookedBeforeAnEndingDoesNotComeIn) {
    auto seen = open.mark();
    open.end(AccountId(1024));
    EXPECT_FALSE(enter(1024, seen));
    EXPECT_TRUE(enter(1025, seen)) << "another account's";
    EXPECT_TRUE(enter(1024, open.mark()));
}

TEST_F(OpenSessionsTest, EndsTheSessionsOfOneDeviceAlone) {
    auto enter_with = [&](std::uint32_t device, OpenSessions::Mark seen) {
        return open.enter(OpenSessions::Whose(AccountId(1024), device), context.get_executor(), seen,
                          [this] { ++ended; });
    };
    auto seen = open.mark();
    auto phone = enter_with(1, seen), tablet = enter_with(2, seen), own = enter(1024, seen);
    EXPECT_EQ(open.end({AccountId(1024), 1}), 1u);
    context.run();
    EXPECT_EQ(ended, 1);
    EXPECT_FALSE(enter_with(1, seen));
    EXPECT_TRUE(enter_with(2, seen));
    EXPECT_TRUE(enter(1024, seen));
    EXPECT_EQ(open.end(AccountId(1024)), 3u) << "all of them";
    EXPECT_FALSE(enter_with(2, seen));
}

TEST_F(OpenSessionsTest, LoginsOfADomainBeginAnewAndThoseWhoHaveShownTooLittleGo) {
    auto enter_at = [&](std::uint64_t account, const std::string& domain, auth::Shown shown, OpenSessions::Mark seen) {
        OpenSessions::Newcomer newcomer(AccountId(account), domain, shown);
        return open.enter(std::move(newcomer), context.get_executor(), seen, [this] { ++ended; });
    };
    const auth::Shown code{.ways = 1};
    auto seen = open.mark();
    auto bare = enter_at(1024, "example.org", {}, seen), again = enter_at(1024, "example.org", {}, seen);
    auto with_code = enter_at(1024, "example.org", code, seen), elsewhere = enter_at(1025, "example.net", {}, seen);
    open.begin_logins_anew("example.org");
    EXPECT_FALSE(enter_at(1026, "example.org", code, seen)) << "it was judged by the old rules";
    EXPECT_TRUE(enter_at(1027, "example.net", {}, seen));
    EXPECT_TRUE(enter_at(1026, "example.org", {}, open.mark()));
    const auto present = open.present("example.org");
    ASSERT_EQ(present.size(), 2u) << "each kind once";
    EXPECT_EQ(open.present(AccountId(1025)).size(), 1u);
    EXPECT_EQ(open.end_those(present[0]), 2u);
    context.run();
    EXPECT_EQ(ended, 2);
    open.begin_logins_anew(AccountId(1024));
    EXPECT_FALSE(enter_at(1024, "example.org", code, seen));
}

TEST_F(OpenSessionsTest, ALoginThatCannotBeSureDoesNotComeIn) {
    auto seen = open.mark();
    for (std::uint64_t i = 0; i < 5000; ++i) open.end(AccountId(2000 + i));
    EXPECT_FALSE(enter(1024, seen));
    EXPECT_TRUE(enter(1024, open.mark()));
}

}  // namespace
