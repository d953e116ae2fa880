// Domains, accounts, aliases and their settings.
#include <gtest/gtest.h>

#include "tests/admin/api_world.h"

namespace poplar::admin {
namespace {

TEST_F(AdminApiTest, AddsListsAndRemovesDomains) {
    EXPECT_EQ(ask("POST", "/v1/domains", Json{{"name", "Example.ORG"}}).status, 201u);
    EXPECT_EQ(ask("POST", "/v1/domains", Json{{"name", "example.org"}}).status, 409u);
    auto list = ask("GET", "/v1/domains");
    ASSERT_EQ(list.body["domains"].size(), 1u);
    EXPECT_EQ(list.body["domains"][0]["name"], "example.org");
    EXPECT_EQ(ask("DELETE", "/v1/domains/example.org").status, 200u);
    EXPECT_EQ(ask("DELETE", "/v1/domains/example.org").status, 404u);
}

TEST_F(AdminApiTest, KeepsADomainThatHasAccounts) {
    add_jane();
    auto reply = ask("DELETE", "/v1/domains/example.org");
    EXPECT_EQ(reply.status, 409u);
    EXPECT_EQ(code_of(reply), "busy");
}

TEST_F(AdminApiTest, AddsAnAccountThatCanLogInAndNeverShowsItsHash) {
    add_jane();
    EXPECT_TRUE(login("secret"));
    auto shown = ask("GET", "/v1/accounts/Jane@Example.org");
    EXPECT_EQ(shown.body["password_scheme"], "ARGON2ID");
    EXPECT_EQ(shown.body["messages"], 0);
    EXPECT_EQ(dump(shown.body).find("$argon2id"), std::string::npos);
    EXPECT_EQ(ask("POST", "/v1/accounts", Json{{"address", "jane@example.org"}}).status, 409u);
    EXPECT_EQ(ask("POST", "/v1/accounts", Json{{"address", "x@nowhere.test"}}).status, 404u);
    EXPECT_EQ(ask("GET", "/v1/accounts/bob@example.org").status, 404u);
}

TEST_F(AdminApiTest, RefusesPasswordsThatNoClientCouldSendAndHashesNobodyCouldCheck) {
    add_jane();
    for (const Json& wrong : {Json{{"password", ""}}, Json{{"password", std::string("a\nb")}},
                              Json{{"password", std::string(1025, 'x')}}, Json{{"password_hash", "{NOSUCH}abc"}},
                              Json{{"password", "a"}, {"generate", true}}, Json{{"generate", false}}, Json::object()})
        EXPECT_EQ(ask("PUT", "/v1/accounts/jane@example.org/password", wrong).status, 400u) << wrong;
    EXPECT_TRUE(login("secret"));
}

TEST_F(AdminApiTest, LanguageIsOneThatNoticesAreWrittenIn) {
    add_jane();
    const std::string target = "/v1/accounts/jane@example.org/settings";
    EXPECT_EQ(ask("PUT", target, Json{{"language", "DE-ch"}}).body["language"], "de");
    EXPECT_EQ(ask("PUT", target, Json{{"language", "xx"}}).status, 400u);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["language"], "de");
    EXPECT_TRUE(ask("PUT", target, Json{{"language", nullptr}}).body["language"].is_null());
}

TEST_F(AdminApiTest, AChangedPasswordCountsAtOnce) {
    add_jane();
    EXPECT_TRUE(login("secret"));  // remembered now
    auto reply = ask("PUT", "/v1/accounts/jane@example.org/password", Json{{"generate", true}});
    ASSERT_EQ(reply.status, 200u);
    EXPECT_FALSE(login("secret"));
    EXPECT_TRUE(login(reply.body["password"]));
}

TEST_F(AdminApiTest, OfTwoSettingsThatAreSetAtATimeNoneIsLost) {
    add_jane();
    auto put = [&](std::string_view target, const Json& body) -> Task<> {
        TextBody source(dump(body));
        auto reply = co_await api.answer(caller, {"PUT", *http::parse_target(target)}, source, stream);
        EXPECT_EQ(reply.status, 200u);
    };
    for (int steps = 0; steps < 30; ++steps) {
        ask("PUT", "/v1/accounts/jane@example.org/settings", Json{{"login_delay", nullptr}, {"expire_days", nullptr}});
        ask("PUT", "/v1/domains/example.org/settings",
            Json{{"second_factor", "optional"}, {"second_factor_ways", {"totp"}}});
        asio::io_context context(1);
        const Json delay{{"login_delay", 60}}, days{{"expire_days", 7}}, need{{"second_factor", "required"}},
            ways{{"second_factor_ways", {"device"}}};
        asio::co_spawn(context, put("/v1/accounts/jane@example.org/settings", delay), asio::detached);
        asio::co_spawn(context, put("/v1/domains/example.org/settings", need), asio::detached);
        for (int step = 0; step < steps; ++step) context.poll_one();
        context.restart();  // the first two may be done
        asio::co_spawn(context, put("/v1/accounts/jane@example.org/settings", days), asio::detached);
        asio::co_spawn(context, put("/v1/domains/example.org/settings", ways), asio::detached);
        context.run();
        const auto settings = run(directory.find_account("jane@example.org"))->settings;
        EXPECT_EQ(settings.login_delay, 60u) << steps;
        EXPECT_EQ(settings.expire_days, 7u) << steps;
        const auto policy = run(directory.domains())->front().second_factor;
        EXPECT_EQ(policy->need, directory::SecondFactor::required) << steps;
        EXPECT_EQ(policy->ways, static_cast<std::uint8_t>(directory::FactorWay::device)) << steps;
    }
}

TEST_F(AdminApiTest, ADisabledAccountNeitherLogsInNorReceives) {
    add_jane();
    EXPECT_EQ(ask("PUT", "/v1/accounts/jane@example.org/status", Json{{"status", "disabled"}}).body["status"],
              "disabled");
    EXPECT_FALSE(login("secret"));
    EXPECT_EQ(ask("POST", "/v1/deliver?recipient=jane@example.org", std::string("x")).status, 403u);
    EXPECT_EQ(ask("PUT", "/v1/accounts/jane@example.org/status", Json{{"status", "enabled"}}).status, 200u);
    EXPECT_TRUE(login("secret"));
    EXPECT_EQ(ask("PUT", "/v1/accounts/jane@example.org/status", Json{{"status", "on"}}).status, 400u);
}

TEST_F(AdminApiTest, ImportsTwiceWithTheSameResult) {
    Json list{{"add_domains", true},
              {"accounts",
               {{{"address", "a@example.org"}, {"password_hash", "{PLAIN}one"}},
                {{"address", "b@example.org"}, {"password_hash", "{NOSUCH}x"}},
                {{"address", "c@example.org"}, {"password_hash", "{PLAIN}two"}}}}};
    auto first = ask("POST", "/v1/accounts/import", list);
    EXPECT_EQ(first.body["added"], 2);
    ASSERT_EQ(first.body["refused"].size(), 1u);
    EXPECT_EQ(first.body["refused"][0]["address"], "b@example.org");
    auto second = ask("POST", "/v1/accounts/import", list);
    EXPECT_EQ(second.body["added"], 0);
    EXPECT_EQ(second.body["unchanged"], 2);
    auto page = ask("GET", "/v1/accounts?limit=1&after=a@example.org");
    ASSERT_EQ(page.body["accounts"].size(), 1u);
    EXPECT_EQ(page.body["accounts"][0]["address"], "c@example.org");
}

TEST_F(AdminApiTest, AliasesAndCatchAllLeadToAccounts) {
    add_jane();
    EXPECT_EQ(
        ask("POST", "/v1/aliases", Json{{"address", "info@example.org"}, {"targets", {"jane@example.org"}}}).status,
        201u);
    EXPECT_EQ(ask("POST", "/v1/deliver?recipient=info@example.org", std::string("x")).status, 201u);
    EXPECT_EQ(ask("GET", "/v1/aliases").body["aliases"][0]["targets"][0], "jane@example.org");
    EXPECT_EQ(ask("DELETE", "/v1/aliases/info@example.org").status, 200u);
    EXPECT_EQ(ask("POST", "/v1/deliver?recipient=info@example.org", std::string("x")).status, 404u);
    EXPECT_EQ(ask("PUT", "/v1/domains/example.org/catch-all", Json{{"address", "jane@example.org"}}).status, 200u);
    EXPECT_EQ(ask("POST", "/v1/deliver?recipient=info@example.org", std::string("x")).status, 201u);
    EXPECT_EQ(ask("GET", "/v1/domains").body["domains"][0]["catch_all"], "jane@example.org");
}

TEST_F(AdminApiTest, AnAccountsSettingsAreShownAnnouncedAndTakenBack) {
    add_jane();
    auto target = "/v1/accounts/jane@example.org/settings";
    auto reply = ask("PUT", target, Json{{"expire_days", 30}, {"login_delay", 900}});
    ASSERT_EQ(reply.status, 200u) << reply.body;
    EXPECT_EQ(reply.body["expire_days"], 30);
    EXPECT_EQ(announced, (directory::AccountSettings{30, 900}));
    reply = ask("PUT", target, Json{{"expire_days", "never"}});
    EXPECT_EQ(reply.body["expire_days"], "never");
    EXPECT_EQ(reply.body["login_delay"], 900) << "what is not named stays";
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["expire_days"], "never");
    ask("PUT", target, Json{{"expire_days", nullptr}, {"login_delay", nullptr}});
    EXPECT_TRUE(ask("GET", "/v1/accounts/jane@example.org").body["login_delay"].is_null());
    EXPECT_EQ(announced, directory::AccountSettings());
    for (const auto& wrong : {Json{{"expire_days", -1}}, Json{{"expire_days", "soon"}}, Json{{"expire_days", 36'501}},
                              Json{{"login_delay", 1.5}}, Json{{"login_delay", "1m"}}, Json{{"quota", 1}}})
        EXPECT_EQ(ask("PUT", target, wrong).status, 400u) << wrong;
    EXPECT_EQ(ask("PUT", "/v1/accounts/nobody@example.org/settings", Json{{"expire_days", 1}}).status, 404u);
    ask("PUT", target, Json{{"expire_days", 5}});
    ask("DELETE", "/v1/accounts/jane@example.org");
    EXPECT_EQ(announced, directory::AccountSettings()) << "who is gone counts no more";
}

TEST_F(AdminApiTest, EndsTheSessionsOfAnAccountThatIsShutOut) {
    add_jane();
    auto id = run(directory.find_account("jane@example.org"))->id;
    asio::io_context context(1);
    struct Case {
        std::string method, target;
        Json body;
        int ended;
    };
    Json import{{"accounts", {{{"address", "jane@example.org"}, {"password_hash", "{PLAIN}imported"}}}}};
    for (const auto& [method, target, body, ended] : {
             Case{"PUT", "/status", {{"status", "enabled"}}, 0},
             {"PUT", "/password", {{"password", "another"}}, 1},
             {"POST", "", import, 1},
             {"POST", "", import, 0},  // the same again changes nothing
             {"PUT", "/shared-secret", {{"secret", "0123456789abcdef"}}, 1},
             {"DELETE", "/shared-secret", nullptr, 1},
             {"PUT", "/status", {{"status", "disabled"}}, 1},
             {"PUT", "/status", {{"status", "enabled"}}, 1},
             {"DELETE", "", nullptr, 1},
         }) {
        int told = 0;
        auto entry = open_sessions.enter(id, context.get_executor(), open_sessions.mark(), [&] { ++told; });
        auto path = "/v1/accounts/" + (method == "POST" ? "import" : "jane@example.org" + target);
        auto reply = ask(method, path, body.is_null() ? "" : dump(body));
        EXPECT_EQ(reply.status, 200u);
        context.restart();
        context.run();
        EXPECT_EQ(told, ended) << method << target;
        EXPECT_EQ(reply.body.value("sessions_ended", 0), ended);
    }
}

TEST_F(AdminApiTest, ADeviceWithTooManyMailboxesIsRefusedBeforeItHasViews) {
    add_jane();
    const std::string jane = "/v1/accounts/jane@example.org";
    const auto account = run(directory.find_account("jane@example.org"))->id;
    Json names = Json::array();
    for (int n = 0; n < 33; ++n) {
        names.push_back("m" + std::to_string(n));
        ASSERT_EQ(ask("POST", jane + "/mailboxes", Json{{"name", names.back()}}).status, 201u);
    }
    ASSERT_EQ(ask("POST", jane + "/devices", Json{{"name", "phone"}}).status, 201u);
    ASSERT_EQ(run(store.views(account))->size(), 2u);
    EXPECT_EQ(ask("PUT", jane + "/devices/phone", Json{{"mailbox", names}}).status, 400u);
    EXPECT_EQ(ask("POST", jane + "/devices", Json{{"name", "tablet"}, {"mailbox", names}}).status, 400u);
    EXPECT_EQ(run(store.views(account))->size(), 2u);
}

}  // namespace
}  // namespace poplar::admin
