#include "api/operation.h"

#include <gtest/gtest.h>

#include "api/accounts.h"
#include "api/json.h"
#include "api/messages.h"

namespace poplar::api {
namespace {

TEST(Operation, ARequestComesBackFromItsTargetAndBody) {
    SetSettings wanted;
    wanted.address = "a/b@example.org";
    wanted.expire_days.emplace(Days{.count = 5});
    wanted.login_delay.emplace();  // null
    const auto& operation = SetSettings::operation();
    const auto target = target_of(operation, &wanted);
    EXPECT_EQ(target, "/v1/accounts/a%2Fb%40example.org/settings");
    const auto body = body_of(operation, &wanted);
    EXPECT_EQ(body, (Json{{"expire_days", 5}, {"login_delay", nullptr}}));
    auto parsed = http::parse_target(target);
    auto path = match(operation, parsed->path);
    ASSERT_TRUE(path);
    SetSettings got;
    ASSERT_TRUE(read_target(operation, *path, *parsed, &got));
    ASSERT_TRUE(read_body(operation, body, &got));
    EXPECT_EQ(got.address, wanted.address);
    EXPECT_EQ((*got.expire_days)->count, 5u);
    EXPECT_TRUE(got.login_delay && !*got.login_delay);
}

TEST(Operation, AQueryMayLeaveOutWhatHasADefault) {
    const auto& operation = ListMessages::operation();
    auto target = http::parse_target("/v1/accounts/x/messages?headers=no");
    ListMessages got;
    ASSERT_TRUE(read_target(operation, *match(operation, target->path), *target, &got));
    EXPECT_EQ(got.limit, 100u);
    EXPECT_FALSE(got.headers);
}

TEST(Operation, SaysInOneFormWhatIsWrongWithABody) {
    const auto& operation = AddAccount::operation();
    struct Case {
        Json body;
        std::string_view what;
    };
    for (const auto& [body, what] :
         {Case{Json::object(), "\"address\" is missing"},
          {{{"address", 5}}, "\"address\" must be a text"},
          {{{"address", "a"}, {"generate", false}}, "\"generate\" must be true, the only value it can have"},
          {{{"address", "a"}, {"adress", "b"}}, "unknown member \"adress\""},
          {Json::array(), "the request's body must be a JSON object"}}) {
        AddAccount got;
        auto read = read_body(operation, body, &got);
        ASSERT_FALSE(read) << body;
        EXPECT_EQ(read.error().code(), Errc::invalid);
        EXPECT_EQ(read.error().detail(), what);
    }
}

TEST(Operation, WhatIsAbsentAndWhatIsNullAreNotTheSame) {
    Account account;
    auto json = to_json(account);
    EXPECT_TRUE(json.contains("password_scheme") && json["password_scheme"].is_null());
    EXPECT_FALSE(json.contains("password"));
    EXPECT_EQ(json["status"], "enabled");
    account.expire_days = Days{.never = true};
    Account again;
    ASSERT_TRUE(read_json(Account::shape(), to_json(account), &again));
    EXPECT_TRUE(again.expire_days && again.expire_days->never);
}

}  // namespace
}  // namespace poplar::api
