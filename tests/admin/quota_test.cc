// Limits of accounts and domains.
#include <gtest/gtest.h>

#include "mailstore/keys.h"
#include "tests/admin/api_world.h"

namespace poplar::admin {
namespace {

TEST_F(AdminApiTest, SetsAndShowsQuotasOfAccountsAndDomains) {
    add_jane();
    const std::string jane = "/v1/quotas/Jane@Example.org", domain = "/v1/quotas/Example.org";
    auto shown = ask("GET", jane).body;
    EXPECT_EQ(shown["name"], "jane@example.org");
    EXPECT_TRUE(shown["bytes"].is_null() && shown["messages"].is_null());
    EXPECT_EQ(shown["most_bytes"], 0);
    EXPECT_FALSE(shown.contains("total_bytes"));
    EXPECT_EQ(ask("PUT", domain, Json{{"bytes", 5000}, {"messages", 7}, {"total_bytes", 90'000}}).status, 200u);
    shown = ask("PUT", jane, Json{{"messages", 0}}).body;
    EXPECT_EQ(shown["most_bytes"], 5000) << "as its domain has it";
    EXPECT_EQ(shown["most_messages"], 0) << "0 is no limit";
    const auto text = std::string(1000, 'x') + "\n";
    deliver(text);
    shown = ask("GET", jane).body;
    EXPECT_EQ(shown["used_messages"], 1);
    EXPECT_GT(shown["used_bytes"], 1000);
    auto of_domain = ask("GET", domain).body;
    EXPECT_EQ(of_domain["used_bytes"], shown["used_bytes"]);
    EXPECT_EQ(of_domain["total_bytes"], 90'000);
    EXPECT_TRUE(of_domain["total_messages"].is_null());
    EXPECT_FALSE(of_domain.contains("most_bytes"));
    EXPECT_EQ(ask("PUT", jane, Json{{"messages", nullptr}}).body["most_messages"], 7);
    for (const Json& wrong : {Json::object(), Json{{"total_bytes", 5}}, Json{{"bytes", -1}}, Json{{"bytes", "5"}},
                              Json{{"messages", 1'000'000'001}}, Json{{"bytes", (1ull << 50) + 1}}})
        EXPECT_EQ(ask("PUT", jane, wrong).status, 400u) << wrong;
    for (auto name : {"/v1/quotas/nobody@example.org", "/v1/quotas/nowhere.test"}) {
        EXPECT_EQ(ask("GET", name).status, 404u) << name;
        EXPECT_EQ(ask("PUT", name, Json{{"bytes", 5}}).status, 404u) << name;
        EXPECT_EQ(ask("POST", std::string(name) + "/recount", Json::object()).status, 404u) << name;
    }
}

TEST_F(AdminApiTest, FullAccountTakesNoDeliveryAndNoCopy) {
    add_jane();
    const auto id = deliver("Subject: x\n\ntext\n");
    EXPECT_EQ(ask("PUT", "/v1/quotas/jane@example.org", Json{{"messages", 1}}).status, 200u);
    auto refused = ask("POST", "/v1/deliver?recipient=jane@example.org", std::string("x"));
    EXPECT_EQ(refused.status, 507u);
    EXPECT_EQ(code_of(refused), "no_space");
    const auto message = "/v1/accounts/jane@example.org/messages/" + id;
    EXPECT_EQ(ask("POST", message + "/copies", Json{{"mailbox", "INBOX"}}).status, 507u);
    EXPECT_EQ(ask("PUT", "/v1/quotas/jane@example.org", Json{{"messages", 2}}).status, 200u);
    EXPECT_EQ(ask("POST", message + "/copies", Json{{"mailbox", "INBOX"}}).status, 201u);
}

TEST_F(AdminApiTest, NewLimitsOfADomainWarnAtOnce) {
    add_jane();
    std::string told;
    quotas.on_reached([&](const quota::Reached& reached) {
        told += (reached.domain ? "domain " : "account ") + std::to_string(reached.percent) + "; ";
    });
    deliver("Subject: x\n\ntext\n");
    const std::string domain = "/v1/quotas/example.org";
    EXPECT_EQ(ask("PUT", domain, Json{{"messages", 10}, {"total_messages", 10}}).status, 200u);
    EXPECT_EQ(std::exchange(told, {}), "");
    EXPECT_EQ(ask("PUT", domain, Json{{"messages", 1}}).status, 200u);
    EXPECT_EQ(std::exchange(told, {}), "account 100; ");
    EXPECT_EQ(ask("PUT", domain, Json{{"total_messages", 1}}).status, 200u);
    EXPECT_EQ(std::exchange(told, {}), "domain 100; ") << "of the account it was told before";
}

TEST_F(AdminApiTest, MailThatComesBackWarnsTheOwner) {
    add_jane();
    std::string told;
    quotas.on_reached([&](const quota::Reached& reached) { told += std::to_string(reached.percent) + "; "; });
    const auto id = deliver("Subject: x\n\ntext\n");
    EXPECT_EQ(ask("PUT", "/v1/quotas/jane@example.org", Json{{"messages", 2}}).status, 200u);
    const std::string jane = "/v1/accounts/jane@example.org";
    EXPECT_EQ(ask("DELETE", jane + "/messages/" + id).status, 200u);
    deliver("Subject: y\n\ntext\n");
    EXPECT_EQ(told, "");
    EXPECT_EQ(ask("POST", jane + "/retained/" + id + "/restore").status, 200u);
    EXPECT_EQ(told, "100; ");
}

TEST_F(AdminApiTest, RecountFindsWhatIsThere) {
    add_jane();
    ask("PUT", "/v1/quotas/example.org", Json{{"total_messages", 10}});
    deliver("Subject: x\n\ntext\n");
    auto fits = ask("POST", "/v1/quotas/example.org/recount").body;
    EXPECT_EQ(fits["accounts"], 1);
    EXPECT_EQ(fits["used_messages"], 1);
    EXPECT_EQ(fits["corrected"], Json::array());
    // A message goes behind the counters' back.
    const auto jane = run(directory.find_account("jane@example.org"))->id;
    engine::Batch batch;
    batch.erase(mailstore::keys::message(mailstore::kInbox, mailstore::OrderKey(1)));
    ASSERT_TRUE(run(engine.commit(jane, std::move(batch))));
    EXPECT_EQ(ask("GET", "/v1/quotas/jane@example.org").body["used_messages"], 1);
    auto corrected = ask("POST", "/v1/quotas/jane@example.org/recount").body;
    EXPECT_EQ(corrected["corrected"], Json::array({"jane@example.org"}));
    EXPECT_EQ(corrected["used_messages"], 0);
    EXPECT_EQ(ask("GET", "/v1/quotas/example.org").body["used_messages"], 0);
    EXPECT_EQ(ask("POST", "/v1/quotas/example.org/recount").body["corrected"], Json::array());
}

}  // namespace
}  // namespace poplar::admin
