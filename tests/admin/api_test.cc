// Routes, methods and rights; the operations on the server itself.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/admin/api_world.h"

namespace poplar::admin {
namespace {

TEST_F(AdminApiTest, RefusesRoutesThatDoNotExist) {
    for (std::string_view target : {"/", "/v1", "/v2/status", "/v1/nothing", "/v1/status/more", "/v1/domains/a/b/c"})
        EXPECT_EQ(ask("GET", target).status, 404u) << target;
}

TEST_F(AdminApiTest, RefusesBodiesThatAreWrong) {
    EXPECT_EQ(ask("POST", "/v1/domains", std::string("{")).status, 400u);
    EXPECT_EQ(ask("POST", "/v1/domains", std::string("[]")).status, 400u);
    EXPECT_EQ(ask("POST", "/v1/domains", Json{{"nam", "x.org"}}).status, 400u);
    EXPECT_EQ(ask("POST", "/v1/domains", Json{{"name", 5}}).status, 400u);
    EXPECT_EQ(ask("POST", "/v1/domains", Json{{"name", std::string(20'000, 'x')}}).status, 413u);
}

TEST_F(AdminApiTest, ConfirmsTheClock) {
    EXPECT_EQ(ask("POST", "/v1/clock/confirm").status, 200u);
    EXPECT_FALSE(store_clock.state().doubted);
}

TEST_F(AdminApiTest, AnswersAWrongMethodOnARightPathWithThoseThatAreAllowed) {
    struct Case {
        std::string method, target, allow;
    };
    for (const auto& [method, target, allow] :
         {Case{"DELETE", "/v1/status", "GET"},
          {"GET", "/v1/clock/confirm", "POST"},
          {"PATCH", "/v1/accounts/jane@example.org", "DELETE, GET"},
          {"POST", "/v1/accounts/jane@example.org/shared-secret", "DELETE, PUT"}}) {
        auto reply = ask(method, target);
        EXPECT_EQ(reply.status, 405u) << target;
        EXPECT_EQ(code_of(reply), "invalid");
        EXPECT_NE(std::ranges::find(reply.fields, std::pair(std::string("Allow"), allow)), reply.fields.end())
            << target;
    }
}

TEST_F(AdminApiTest, AnswersEverybodyWithoutRightsAlike) {
    for (const auto& stranger : {Caller{}, Caller{.administrator = false, .account = 1024}}) {
        caller = stranger;
        for (std::string_view target : {"/v1/status", "/v1/domains", "/v1/accounts/jane@example.org"}) {
            auto reply = ask("GET", target);
            EXPECT_EQ(reply.status, 403u) << target;
            EXPECT_EQ(code_of(reply), "denied");
        }
    }
    caller = {};
    EXPECT_EQ(ask("GET", "/v1/nothing").status, 403u) << "strangers are not told what there is";
}

TEST_F(AdminApiTest, RefusesParametersThatAreUnknownOrWrong) {
    for (std::string_view target : {"/v1/accounts?limit=x", "/v1/accounts?limit=10001", "/v1/accounts?limt=1",
                                    "/v1/status?x=1", "/v1/accounts/jane@example.org/messages?headers=maybe"})
        EXPECT_EQ(ask("GET", target).status, 400u) << target;
}

TEST_F(AdminApiTest, VerifiesWhatIsStoredAndBeginsToScrub) {
    add_jane();
    auto reply = ask("POST", "/v1/verify");
    EXPECT_TRUE(reply.streamed);
    EXPECT_EQ(reply.status, 200u);
    auto last = Json::parse(stream.text);
    EXPECT_EQ(last["type"], "done");
    EXPECT_EQ(last["accounts"], 1);
    EXPECT_EQ(ask("POST", "/v1/scrub").status, 202u);
    EXPECT_EQ(inspection.scrubs, 1);
}

TEST_F(AdminApiTest, MakesABackupAndSaysWhyThereIsNone) {
    auto reply = ask("POST", "/v1/backup", Json{{"folder", "/backups"}, {"keep", 3}});
    EXPECT_TRUE(reply.streamed);
    auto last = Json::parse(stream.text);
    EXPECT_EQ(last["type"], "done");
    EXPECT_EQ(last["name"], "20261122T030509.123Z");
    EXPECT_EQ(last["copied_octets"], 100);
    EXPECT_EQ(last["forgotten"], 2);
    stream.text.clear();
    EXPECT_EQ(ask("POST", "/v1/backup", Json{{"folder", "/full"}}).status, 200u);
    last = Json::parse(stream.text);
    EXPECT_EQ(last["type"], "failed");
    EXPECT_EQ(last["error"], "no room");
    EXPECT_EQ(ask("POST", "/v1/backup", Json{{"folder", "backups"}}).status, 400u);
}

TEST_F(AdminApiTest, TellsHowTheServerIs) {
    add_jane();
    auto status = ask("GET", "/v1/status").body;
    EXPECT_EQ(status["hostname"], "mail.example.org");
    EXPECT_EQ(status["directory"]["accounts"], 1);
    EXPECT_TRUE(status["housekeeping"].is_null());
    ASSERT_TRUE(round(retention));
    EXPECT_EQ(ask("GET", "/v1/status").body["housekeeping"]["accounts"], 1);
}

TEST_F(AdminApiTest, ListsAndEndsSessions) {
    EXPECT_EQ(ask("GET", "/v1/sessions").body["sessions"].size(), 0u);
    EXPECT_EQ(ask("DELETE", "/v1/sessions/abc").status, 404u);
}

}  // namespace
}  // namespace poplar::admin
