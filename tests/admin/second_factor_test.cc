// Authenticators, policies and sites.
#include <gtest/gtest.h>
#include <liboath/oath.h>

#include "activity/ledger.h"
#include "directory/records.h"
#include "tests/admin/api_world.h"

namespace poplar::admin {
namespace {

TEST_F(AdminApiTest, AnAuthenticatorCountsOnceItWasConfirmed) {
    add_jane();
    const std::string totp = "/v1/accounts/jane@example.org/totp";
    EXPECT_EQ(ask("POST", totp + "/confirm", Json{{"code", "123456"}}).status, 404u);
    EXPECT_EQ(ask("DELETE", totp).status, 404u);
    EXPECT_EQ(ask("POST", totp, Json::object()).status, 201u);
    auto enrolled = ask("POST", totp, Json::object());
    ASSERT_EQ(enrolled.status, 201u) << "an earlier one that nobody confirmed is replaced";
    EXPECT_EQ(enrolled.body["recovery_codes"].size(), 10u);
    EXPECT_EQ(enrolled.body["uri"], "otpauth://totp/mail.example.org:jane%40example.org?secret=" +
                                        enrolled.body["secret"].get<std::string>() + "&issuer=mail.example.org");
    EXPECT_EQ(ask("POST", totp + "/codes", Json::object()).status, 404u) << "not confirmed";
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["authenticator"], "unconfirmed");

    const auto account = *run(directory.find_account("jane@example.org"));
    const auto secret = run(directory.factors(account.id))->totp->secret;
    EXPECT_EQ(dump(enrolled.body).find(secret), std::string::npos);
    char shown_now[7] = {};
    const auto seconds = std::chrono::floor<std::chrono::seconds>(clock.now()).time_since_epoch().count();
    ASSERT_EQ(oath_totp_generate(secret.data(), secret.size(), seconds, 30, 0, 6, shown_now), OATH_OK);
    const std::string code = shown_now;
    const auto wrong = code == "000000" ? "000001" : "000000";
    EXPECT_EQ(ask("POST", totp + "/confirm", Json{{"code", wrong}}).status, 403u);
    auto confirmed = ask("POST", totp + "/confirm", Json{{"code", code}});
    ASSERT_EQ(confirmed.status, 200u);
    EXPECT_EQ(confirmed.body["second_factor"], "none");
    EXPECT_EQ(ask("POST", totp + "/confirm", Json{{"code", code}}).status, 409u);
    EXPECT_EQ(ask("POST", totp, Json::object()).status, 409u) << "who has one removes it first";

    auto shown = ask("GET", "/v1/accounts/jane@example.org").body;
    EXPECT_EQ(shown["authenticator"], "confirmed");
    EXPECT_EQ(shown["recovery_codes"], 10);
    EXPECT_EQ(shown["needs_second_factor"], false);
    EXPECT_EQ(ask("PUT", "/v1/accounts/jane@example.org/settings", Json{{"second_factor", "optional"}})
                  .body["second_factor_ways"],
              Json({"totp", "device", "certificate"}));
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["needs_second_factor"], true);
    auto codes = ask("POST", totp + "/codes", Json::object());
    EXPECT_EQ(codes.body["recovery_codes"].size(), 10u);
    EXPECT_NE(codes.body["recovery_codes"], enrolled.body["recovery_codes"]);
    EXPECT_EQ(ask("DELETE", totp).status, 200u);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["needs_second_factor"], false);
}

TEST_F(AdminApiTest, WhenASecondFactorIsNeededIsSetForAccountsAndDomains) {
    add_jane();
    const std::string account = "/v1/accounts/jane@example.org/settings", domain = "/v1/domains/Example.org/settings";
    EXPECT_EQ(ask("PUT", account, Json{{"second_factor_ways", {"totp"}}}).status, 400u) << "when?";
    EXPECT_EQ(ask("PUT", account, Json{{"second_factor", "always"}}).status, 400u);
    EXPECT_EQ(ask("PUT", account, Json{{"second_factor", "required"}, {"second_factor_ways", {"sms"}}}).status, 400u);
    EXPECT_EQ(ask("PUT", account, Json{{"second_factor", "required"}, {"second_factor_ways", Json::array()}}).status,
              400u);
    EXPECT_EQ(ask("PUT", domain, Json{{"second_factor", "required"}, {"second_factor_ways", {"approval"}}}).status,
              200u);
    EXPECT_EQ(ask("GET", "/v1/domains").body["domains"][0]["second_factor"], "required");
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["needs_second_factor"], true);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["second_factor"], nullptr);
    auto set = ask("PUT", account, Json{{"second_factor", "none"}, {"login_delay", 60}});
    EXPECT_EQ(set.body["second_factor"], "none");
    EXPECT_EQ(set.body["login_delay"], 60);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["needs_second_factor"], false);
    EXPECT_EQ(ask("PUT", account, Json{{"second_factor", nullptr}}).body["second_factor"], nullptr);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org").body["needs_second_factor"], true);
    EXPECT_EQ(ask("PUT", "/v1/domains/nowhere.test/settings", Json{{"second_factor", "none"}}).status, 404u);
}

TEST_F(AdminApiTest, APolicyThatIsSetInPartsBeginsWithTheDomains) {
    add_jane();
    const std::string account = "/v1/accounts/jane@example.org/settings", domain = "/v1/domains/example.org/settings";
    ask("PUT", domain, Json{{"second_factor", "required"}, {"second_factor_ways", {"approval", "device"}}});
    auto set = ask("PUT", account, Json{{"second_factor", "optional"}}).body;
    EXPECT_EQ(set["second_factor"], "optional");
    EXPECT_EQ(set["second_factor_ways"], Json({"approval", "device"}));
    ask("PUT", account, Json{{"second_factor", nullptr}});
    set = ask("PUT", account, Json{{"second_factor_ways", {"totp"}}}).body;
    EXPECT_EQ(set["second_factor"], "required");
    EXPECT_EQ(set["second_factor_ways"], Json({"totp"}));
    ask("PUT", domain, Json{{"second_factor_ways", {"certificate"}}});
    EXPECT_EQ(ask("PUT", account, Json{{"second_factor", "optional"}}).body["second_factor_ways"], Json({"totp"}))
        << "what the account has said itself stays";
}

TEST_F(AdminApiTest, ANewPolicyEndsSessionsOfAccountsAndDomains) {
    add_jane();
    auto id = run(directory.find_account("jane@example.org"))->id;
    asio::io_context context(1);
    int told = 0;
    auto enter = [&](auth::Shown shown) {
        auth::OpenSessions::Newcomer jane(id, "example.org", shown);
        return open_sessions.enter(jane, context.get_executor(), open_sessions.mark(), [&] { ++told; });
    };
    auto bare = enter({}), by_device = enter({.ways = static_cast<std::uint8_t>(directory::FactorWay::device)});
    const std::string account = "/v1/accounts/jane@example.org/settings", domain = "/v1/domains/example.org/settings";
    EXPECT_FALSE(ask("PUT", account, Json{{"login_delay", 5}}).body.contains("sessions_ended"));
    EXPECT_EQ(ask("PUT", domain, Json{{"second_factor", "required"}}).body["sessions_ended"], 1);
    context.run();
    EXPECT_EQ(told, 1);
    EXPECT_EQ(ask("PUT", account, Json{{"second_factor", "required"}, {"second_factor_ways", {"totp"}}})
                  .body["sessions_ended"],
              2)
        << "the first one has not left yet";
    context.restart();
    context.run();
    EXPECT_EQ(told, 2);
}

TEST_F(AdminApiTest, ADamagedRecordOfSecondFactorsIsShownAndRemoved) {
    add_jane();
    const std::string account = "/v1/accounts/jane@example.org";
    const auto id = run(directory.find_account("jane@example.org"))->id;
    engine::Batch batch;
    batch.put(directory::factors_key(id), "damaged");
    ASSERT_TRUE(run(engine.commit(directory::kDirectoryPartition, std::move(batch))));
    ask("PUT", account + "/settings", Json{{"second_factor", "optional"}});
    EXPECT_FALSE(login("secret")) << "nobody knows whether she has an authenticator";
    EXPECT_EQ(ask("GET", account).body["authenticator"], "damaged");
    EXPECT_EQ(ask("DELETE", account + "/totp").status, 200u);
    EXPECT_EQ(ask("GET", account).body["authenticator"], "none");
    EXPECT_TRUE(login("secret"));
    EXPECT_EQ(ask("DELETE", account + "/totp").status, 404u);
}

TEST_F(AdminApiTest, SitesAreListedAcceptedAndDenied) {
    add_jane();
    const std::string sites = "/v1/accounts/jane@example.org/sites";
    ask("PUT", "/v1/accounts/jane@example.org/settings",
        Json{{"second_factor", "required"}, {"second_factor_ways", {"approval"}}});
    auto missing = [&] {
        return run(auth.verify_password({"jane@example.org", "secret", "192.0.2.1", false}))->missing;
    };
    EXPECT_EQ(missing(), auth::MissingFactor::approval);
    auto listed = ask("GET", sites).body["sites"];
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0]["kind"], "pending");
    EXPECT_EQ(listed[0]["network"], "192.0.2.0/24");
    EXPECT_EQ(listed[0]["protocol"], "pop3");
    EXPECT_EQ(ask("POST", sites + "/accept", Json{{"id", 99}}).status, 404u);
    EXPECT_EQ(ask("POST", sites + "/accept", Json{{"id", listed[0]["id"]}}).body["kind"], "accepted");
    EXPECT_EQ(missing(), std::nullopt);
    EXPECT_EQ(ask("POST", sites + "/deny", Json{{"id", listed[0]["id"]}}).status, 200u);
    EXPECT_EQ(missing(), auth::MissingFactor::denied);
    EXPECT_EQ(ask("GET", sites).body["sites"][0]["kind"], "denied");
}

TEST_F(AdminApiTest, PlacesOfThePastAreLearnedBeforeThePolicyIsSwitchedOn) {
    add_jane();
    const auto jane = run(directory.find_account("jane@example.org"))->id;
    const activity::Origin home{.peer = "192.0.2.1", .protocol = "pop3"};
    const activity::Origin phone{.device = 3, .device_name = "phone", .peer = "203.0.113.1", .protocol = "pop3"};
    ledger.note(jane, activity::Kind::login, home, "USER");
    ledger.note(jane, activity::Kind::login, phone, "USER");
    ledger.note(jane, activity::Kind::refused, {.peer = "198.51.100.1", .protocol = "pop3"}, "wrong password");
    auto learn = [&](Json body) { return ask("POST", "/v1/sites/learn", body); };
    EXPECT_EQ(learn(Json::object()).status, 400u);
    EXPECT_EQ(learn({{"address", "jane@example.org"}, {"domain", "example.org"}}).status, 400u);
    EXPECT_EQ(learn({{"domain", "example.net"}}).status, 404u);
    auto learned = learn({{"domain", "example.org"}}).body;
    EXPECT_EQ(learned["accounts"], 1);
    EXPECT_EQ(learned["sites"], 1);
    EXPECT_EQ(learned["next"], "");
    EXPECT_EQ(learn({{"address", "jane@example.org"}}).body["sites"], 0) << "that is known already";
    ask("PUT", "/v1/accounts/jane@example.org/settings",
        Json{{"second_factor", "required"}, {"second_factor_ways", {"approval"}}});
    auto missing = [&](const char* peer) {
        return run(auth.verify_password({"jane@example.org", "secret", peer, false}))->missing;
    };
    EXPECT_EQ(missing("192.0.2.7"), std::nullopt);
    EXPECT_EQ(missing("198.51.100.1"), auth::MissingFactor::approval) << "a refused login teaches nothing";
    EXPECT_EQ(missing("203.0.113.1"), auth::MissingFactor::approval) << "nor one of a device";
}

TEST_F(AdminApiTest, WrongCodesAreShownAndReleasedWithTheOtherLimits) {
    add_jane();
    const auto id = run(directory.find_account("jane@example.org"))->id;
    auto guess = [&](directory::Factors& factors, Timestamp then) -> Result<> {
        factors.totp = directory::Totp{.secret = std::string(20, 's'), .confirmed = true};
        factors.wrong_codes = 10;
        factors.wrong_counted = then;
        return {};
    };
    ASSERT_TRUE(run(directory.change_factors(id, std::nullopt, guess)));
    auto held = ask("GET", "/v1/blocked").body;
    ASSERT_EQ(held["total"], 1);
    EXPECT_EQ(held["blocked"][0]["limit"], "code");
    EXPECT_EQ(held["blocked"][0]["account"], "jane@example.org");
    EXPECT_EQ(held["blocked"][0]["lasts_seconds"], 8'640);
    EXPECT_EQ(ask("DELETE", "/v1/blocked/192.0.2.1").body["released"], 0);
    EXPECT_EQ(ask("DELETE", "/v1/blocked/Jane@example.org").body["released"], 1);
    EXPECT_EQ(ask("GET", "/v1/blocked").body["total"], 0);
}

}  // namespace
}  // namespace poplar::admin
