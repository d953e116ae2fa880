// The ledger, and logins that are held up.
#include <gtest/gtest.h>

#include "activity/ledger.h"
#include "tests/admin/api_world.h"

namespace poplar::admin {
namespace {

TEST_F(AdminApiTest, MailThatLeavesWithTheLastViewStandsInTheLedger) {
    add_jane();
    const std::string devices = "/v1/accounts/jane@example.org/devices";
    const auto id = run(directory.find_account("jane@example.org"))->id;
    const auto phone = ask("POST", devices, Json{{"name", "phone"}}).body["id"].get<std::string>();
    deliver("Subject: x\n\nx\n");
    deliver("Subject: y\n\ny\n");
    auto maildrop = run(store.open_maildrop(id, mailstore::kClassicView));
    ASSERT_TRUE(maildrop);
    ASSERT_TRUE(run((*maildrop)->remove({1, 2})));
    maildrop->reset();
    EXPECT_EQ(run(store.totals(id))->messages, 2u) << "the phone still has it";
    EXPECT_EQ(ask("DELETE", devices + "/" + phone).status, 200u);
    EXPECT_EQ(run(store.totals(id))->messages, 0u);
    auto deleted = ask("GET", "/v1/accounts/jane@example.org/activity?kind=deleted").body["entries"];
    ASSERT_EQ(deleted.size(), 1u);
    EXPECT_EQ(deleted[0]["messages"], 2);
    EXPECT_EQ(deleted[0]["device_name"], "phone");
    EXPECT_EQ(deleted[0]["detail"], "its view was the last one");
}

TEST_F(AdminApiTest, ShowsWhatHappenedToAnAccount) {
    add_jane();
    auto id = run(directory.find_account("jane@example.org"))->id;
    clock.advance(std::chrono::hours(2));
    ledger.note(id, activity::Kind::deleted,
                {.device = 5, .device_name = "phone", .peer = "192.0.2.1", .protocol = "pop3"}, "", 12);
    auto all = ask("GET", "/v1/accounts/jane@example.org/activity").body;
    ASSERT_EQ(all["entries"].size(), 2u);
    EXPECT_EQ(all["entries"][0]["detail"], "account added");
    EXPECT_FALSE(all["entries"][0].contains("device"));
    const auto& deleted = all["entries"][1];
    EXPECT_EQ(deleted["kind"], "deleted");
    EXPECT_EQ(deleted["messages"], 12);
    EXPECT_EQ(deleted["device_name"], "phone");
    EXPECT_EQ(deleted["from"], "192.0.2.1");
    EXPECT_EQ(deleted["last"], "2026-01-01T02:00:00Z");
    auto later = [&](std::string_view query) {
        return ask("GET", "/v1/accounts/jane@example.org/activity?" + std::string(query)).body["entries"].size();
    };
    EXPECT_EQ(later("after=" + dump(all["next"])), 0u);
    EXPECT_EQ(later("since=1h"), 1u);
    EXPECT_EQ(later("since=2026-01-01T01:00:00Z"), 1u);
    EXPECT_EQ(later("since=2025-12-31"), 2u);
    EXPECT_EQ(later("kind=login,deleted"), 1u);
    for (const char* wrong : {"since=yesterday", "since=2026-13-01", "since=2026-01-01T25:00:00Z",
                              "since=2026-01-01T01:00Z", "kind=logins", "kind=,"})
        EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org/activity?" + std::string(wrong)).status, 400u) << wrong;
    EXPECT_EQ(ask("GET", "/v1/accounts/none@example.org/activity").status, 404u);
}

TEST_F(AdminApiTest, APurgeTakesTheLedgerWithIt) {
    add_jane();
    auto id = run(directory.find_account("jane@example.org"))->id;
    EXPECT_EQ(ask("DELETE", "/v1/accounts/jane@example.org").status, 200u);
    auto kept = run(ledger.list(id, {}));
    EXPECT_EQ(kept->entries.size(), 2u) << "added, removed";
    EXPECT_EQ(ask("DELETE", "/v1/accounts/id:" + std::to_string(id.value) + "?purge=yes").status, 200u);
    EXPECT_TRUE(run(ledger.list(id, {}))->entries.empty());
}

TEST_F(AdminApiTest, ShowsWhatIsHeldUpAndReleasesIt) {
    add_jane();
    EXPECT_EQ(ask("GET", "/v1/blocked").body["total"], 0);
    for (int i = 0; i < 10; ++i)
        EXPECT_FALSE(run(auth.verify_password({"jane@example.org", "guess " + std::to_string(i), "192.0.2.1"})));
    auto held = ask("GET", "/v1/blocked").body;
    ASSERT_EQ(held["total"], 1);
    EXPECT_EQ(held["blocked"][0]["limit"], "pair");
    EXPECT_EQ(held["blocked"][0]["account"], "jane@example.org");
    EXPECT_EQ(held["blocked"][0]["from"], "192.0.2.1");
    EXPECT_EQ(held["blocked"][0]["failures"], 10);
    EXPECT_EQ(ask("DELETE", "/v1/blocked/192.0.2.1").body["released"], 1);
    EXPECT_EQ(ask("GET", "/v1/blocked").body["total"], 0);
}

}  // namespace
}  // namespace poplar::admin
