// Mail of removed accounts, deleted mail and old mail goes when its days are over.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "activity/ledger.h"
#include "tests/admin/api_world.h"
#include "upkeep/retention.h"

namespace poplar::admin {
namespace {

TEST_F(AdminApiTest, TheMailOfARemovedAccountStaysUntilItsDaysAreOver) {
    add_jane();
    deliver("Subject: x\n\nx\n");
    auto reply = ask("DELETE", "/v1/accounts/jane@example.org");
    ASSERT_EQ(reply.status, 200u);
    auto mail = "/v1/accounts/id:" + std::to_string(reply.body["id"].get<std::uint64_t>()) + "/messages";
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org/messages").status, 404u);
    EXPECT_EQ(ask("GET", "/v1/removed-accounts").body["removed_accounts"][0]["address"], "jane@example.org");

    upkeep::Retention housekeeping(directory, store, removed, now, directory::kNeverExpires);
    clock.advance(std::chrono::days(29));
    EXPECT_EQ(round(housekeeping)->purged, 0u);
    EXPECT_EQ(ask("GET", mail).body["messages"].size(), 1u);
    clock.advance(std::chrono::days(2));
    EXPECT_EQ(round(housekeeping)->purged, 1u);
    EXPECT_TRUE(ask("GET", mail).body["messages"].empty());
    EXPECT_TRUE(ask("GET", "/v1/removed-accounts").body["removed_accounts"].empty());
}

TEST_F(AdminApiTest, PurgeTakesTheMailAtOnce) {
    add_jane();
    deliver("x\n");
    auto reply = ask("DELETE", "/v1/accounts/jane@example.org?purge=yes");
    EXPECT_TRUE(reply.body["mail_kept_until"].is_null());
    auto mail = "/v1/accounts/id:" + std::to_string(reply.body["id"].get<std::uint64_t>()) + "/messages";
    EXPECT_TRUE(ask("GET", mail).body["messages"].empty());
    EXPECT_TRUE(ask("GET", "/v1/removed-accounts").body["removed_accounts"].empty());
}

TEST_F(AdminApiTest, ARemovedAccountTakesNoMailThatWasOnItsWay) {
    add_jane();
    for (const char* purge : {"", "?purge=yes"}) {
        auto id = run(directory.find_account("jane@example.org"))->id;
        ASSERT_EQ(ask("DELETE", std::string("/v1/accounts/jane@example.org") + purge).status, 200u);
        auto late = run(store.append(id, {"", {}, ""}));
        ASSERT_FALSE(late) << purge;
        EXPECT_EQ(late.error().code(), Errc::not_found);
        ASSERT_EQ(ask("POST", "/v1/accounts", Json{{"address", "jane@example.org"}}).status, 201u) << "another's now";
    }
}

TEST_F(AdminApiTest, WhatIsLeftOfARemovedAccountCanBePurgedEarly) {
    add_jane();
    deliver("x\n");
    auto id = "id:" + std::to_string(run(directory.find_account("jane@example.org"))->id.value);
    EXPECT_EQ(ask("DELETE", "/v1/accounts/" + id + "?purge=yes").status, 409u) << "it is still there";
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"].size(), 1u);
    ASSERT_EQ(ask("DELETE", "/v1/accounts/jane@example.org").status, 200u);
    EXPECT_EQ(ask("GET", "/v1/accounts/" + id + "/messages").body["messages"].size(), 1u);
    ASSERT_EQ(ask("DELETE", "/v1/accounts/" + id + "?purge=yes").status, 200u);
    EXPECT_TRUE(ask("GET", "/v1/accounts/" + id + "/messages").body["messages"].empty());
    EXPECT_TRUE(ask("GET", "/v1/removed-accounts").body["removed_accounts"].empty());
}

TEST_F(AdminApiTest, ForgettingARemovalLeavesALaterOneOnRecord) {
    auto first = run(removed.add(directory::AccountId(2000), "jane@example.org"));
    ASSERT_TRUE(first);
    clock.advance(std::chrono::seconds(1));
    auto again = run(removed.add(directory::AccountId(2000), "jane@example.org"));  // tried again meanwhile
    ASSERT_TRUE(again);
    ASSERT_TRUE(run(removed.forget(*first)));
    ASSERT_EQ(run(removed.list({}, 10))->size(), 1u);
    ASSERT_TRUE(run(removed.forget(*again)));
    EXPECT_TRUE(run(removed.list({}, 10))->empty());
    ASSERT_TRUE(run(removed.forget(*again)));
}

TEST_F(AdminApiTest, HousekeepingNeverPurgesAnAccountThatIsStillThere) {
    add_jane();
    deliver("x\n");
    auto id = run(directory.find_account("jane@example.org"))->id;
    ASSERT_TRUE(run(removed.add(id, "jane@example.org")));  // and then the server died
    clock.advance(std::chrono::days(100));
    upkeep::Retention housekeeping(directory, store, removed, now, directory::kNeverExpires);
    EXPECT_EQ(round(housekeeping)->purged, 0u);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"].size(), 1u);
    EXPECT_TRUE(run(removed.list({}, 10))->empty());
}

TEST_F(AdminApiTest, HousekeepingKeepsTheRecordOfARemovalThatIsUnderWay) {
    add_jane();
    auto id = run(directory.find_account("jane@example.org"))->id;
    ASSERT_TRUE(run(removed.add(id, "jane@example.org")));
    upkeep::Retention housekeeping(directory, store, removed, now, directory::kNeverExpires);
    ASSERT_TRUE(round(housekeeping));
    ASSERT_TRUE(run(directory.remove_account("jane@example.org")));
    clock.advance(std::chrono::days(31));
    EXPECT_EQ(round(housekeeping)->purged, 1u);
}

TEST_F(AdminApiTest, HousekeepingForgetsRetainedMailWhoseDaysAreOver) {
    add_jane();
    auto id = deliver("x\n");
    ask("DELETE", "/v1/accounts/jane@example.org/messages/" + id);
    upkeep::Retention housekeeping(directory, store, removed, now, directory::kNeverExpires);
    EXPECT_EQ(round(housekeeping)->expired, 0u);
    clock.advance(std::chrono::days(31));
    auto totals = round(housekeeping);
    EXPECT_EQ(totals->expired, 1u);
    EXPECT_EQ(totals->accounts, 1u);
}

TEST_F(AdminApiTest, HousekeepingDeletesWhatHasBeenThereForTheDaysOfExpire) {
    add_jane();
    ASSERT_EQ(ask("POST", "/v1/accounts", Json{{"address", "keeps@example.org"}}).status, 201u);
    ask("PUT", "/v1/accounts/keeps@example.org/settings", Json{{"expire_days", "never"}});
    deliver("x\n");
    ask("POST", "/v1/deliver?recipient=keeps@example.org&sender=a@b.test", std::string("x\n"));
    upkeep::Retention housekeeping(directory, store, removed, now, 10);
    clock.advance(std::chrono::days(10) - std::chrono::hours(1));
    EXPECT_EQ(round(housekeeping)->aged, 0u);
    clock.advance(std::chrono::hours(2));
    EXPECT_EQ(round(housekeeping)->aged, 0u) << "live mail is looked at once a day";
    clock.advance(std::chrono::hours(22));
    EXPECT_EQ(round(housekeeping)->aged, 1u);
    EXPECT_TRUE(ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"].empty());
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org/retained").body["messages"][0]["reason"], "expire");
    EXPECT_EQ(ask("GET", "/v1/accounts/keeps@example.org/messages").body["messages"].size(), 1u);
}

// The times that the ledger has of a deletion bring back all of it.
TEST_F(AdminApiTest, ADeletionByHousekeepingBeginsBeforeItsFirstMessage) {
    add_jane();
    upkeep::Retention noting{directory, store, removed, now, 7, {}, &ledger};
    deliver("Subject: x\n\nx\n");
    clock.advance(std::chrono::days(8));
    const auto begun = clock.now();
    engine.on_commit([&](engine::PartitionId, const engine::Batch&) { clock.advance(std::chrono::seconds(5)); });
    ASSERT_TRUE(round(noting));
    const auto id = run(directory.find_account("jane@example.org"))->id;
    const auto deleted = run(ledger.list(id, {.kinds = {activity::Kind::deleted}}))->entries;
    ASSERT_EQ(deleted.size(), 1u);
    EXPECT_EQ(deleted[0].first, begun);
    EXPECT_GT(deleted[0].last, begun);
}

TEST_F(AdminApiTest, HousekeepingForgetsNothingWhileTheClockIsDoubted) {
    add_jane();
    auto doomed = deliver("deleted\n");
    ASSERT_EQ(ask("DELETE", "/v1/accounts/jane@example.org/messages/" + doomed).status, 200u);
    deliver("old\n");
    ASSERT_EQ(ask("POST", "/v1/accounts", Json{{"address", "gone@example.org"}}).status, 201u);
    ASSERT_EQ(ask("DELETE", "/v1/accounts/gone@example.org").status, 200u);
    clock.advance(std::chrono::days(400));
    upkeep::Retention housekeeping(directory, store, removed, now, 10);
    clock_is_doubted = true;
    auto totals = round(housekeeping);
    ASSERT_TRUE(totals);
    EXPECT_TRUE(totals->suspended);
    EXPECT_EQ(totals->aged + totals->expired + totals->purged, 0u);
    clock_is_doubted = false;
    totals = round(housekeeping);
    EXPECT_FALSE(totals->suspended);
    EXPECT_EQ(totals->aged, 1u);
    EXPECT_EQ(totals->expired, 1u);
    EXPECT_EQ(totals->purged, 1u);
}

TEST_F(AdminApiTest, WhatAWrongClockHasStampedInTheFutureIsForgottenInDueTime) {
    add_jane();
    ASSERT_EQ(ask("POST", "/v1/accounts", Json{{"address", "gone@example.org"}}).status, 201u);
    clock.advance(std::chrono::days(400));  // wrong
    auto doomed = deliver("deleted\n");
    ASSERT_EQ(ask("DELETE", "/v1/accounts/jane@example.org/messages/" + doomed).status, 200u);
    deliver("live\n");
    ASSERT_EQ(ask("DELETE", "/v1/accounts/gone@example.org").status, 200u);
    clock.advance(-std::chrono::days(400));
    deliver("live, behind it\n");
    upkeep::Retention housekeeping(directory, store, removed, now, 10);
    auto round_after = [&](std::chrono::hours more) {
        clock.advance(more);
        return *round(housekeeping);
    };
    EXPECT_EQ(round_after(std::chrono::hours(0)).expired, 0u);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org/retained").body["messages"][0]["expires"],
              "2026-01-31T00:00:00Z");
    EXPECT_EQ(round_after(std::chrono::days(9)).aged, 0u);
    EXPECT_EQ(round_after(std::chrono::days(2)).aged, 2u) << "that from the future came before the other";
    EXPECT_EQ(round_after(std::chrono::days(18)).expired, 0u);
    auto last = round_after(std::chrono::days(2));
    EXPECT_EQ(last.expired, 1u);
    EXPECT_EQ(last.purged, 1u);
}

TEST_F(AdminApiTest, DeletedMailIsKeptAsLongAsTheAccountOrItsDomainSays) {
    add_jane();
    auto expires = [&](const char* subject) {
        auto id = deliver(fmt::format("Subject: {}\n\nx\n", subject));
        ask("DELETE", "/v1/accounts/jane@example.org/messages/" + id);
        for (const auto& one : ask("GET", "/v1/accounts/jane@example.org/retained").body["messages"])
            if (one["unique_id"] == id) return one["expires"].get<std::string>();
        return std::string();
    };
    EXPECT_EQ(expires("a"), "2026-01-31T00:00:00Z");
    auto set = ask("PUT", "/v1/accounts/jane@example.org/settings", Json{{"retention", 60 * 86'400}});
    EXPECT_EQ(set.body["retention"], 60 * 86'400);
    EXPECT_EQ(expires("b"), "2026-03-02T00:00:00Z");
    auto kept = ask("GET", "/v1/accounts/jane@example.org/retained").body["messages"];
    EXPECT_EQ(kept[0]["expires"], "2026-03-02T00:00:00Z") << "what was deleted before, too";
    EXPECT_EQ(ask("PUT", "/v1/domains/example.org/settings", Json{{"retention", 86'400}}).body["retention"], 86'400);
    round(retention);
    EXPECT_EQ(expires("c"), "2026-03-02T00:00:00Z") << "the account has its own";
    ask("PUT", "/v1/accounts/jane@example.org/settings", Json{{"retention", nullptr}});
    EXPECT_EQ(expires("d"), "2026-01-02T00:00:00Z");
    ask("PUT", "/v1/domains/example.org/settings", Json{{"retention", nullptr}});
    EXPECT_EQ(expires("e"), "2026-01-02T00:00:00Z") << "until housekeeping comes";
    round(retention);
    EXPECT_EQ(expires("f"), "2026-01-31T00:00:00Z");
    ask("PUT", "/v1/accounts/jane@example.org/settings", Json{{"retention", 0}});
    EXPECT_EQ(round(retention)->expired, 6u);
    EXPECT_EQ(ask("PUT", "/v1/accounts/jane@example.org/settings", Json{{"retention", 1ull << 40}}).status, 400u);
}

}  // namespace
}  // namespace poplar::admin
