// The operations, on the real directory and mail store over an engine in memory. One test goes through the real socket.
#include "admin/api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <liboath/oath.h>

#include <map>

#include "activity/ledger.h"
#include "api/json.h"
#include "auth/authenticator.h"
#include "auth/device_password.h"
#include "auth/device_uses.h"
#include "auth/open_sessions.h"
#include "delivery/delivery.h"
#include "directory/records.h"
#include "directory/removed.h"
#include "engine/inspection.h"
#include "mailstore/keys.h"
#include "mailstore/mail_store.h"
#include "quota/quotas.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unhurried.h"
#include "upkeep/retention.h"
#include "upkeep/store_clock.h"

namespace poplar::admin {
namespace {

using api::dump;
using api::Json;
using test::run;

class TextBody final : public http::Body {
public:
    explicit TextBody(std::string text) : text_(std::move(text)) {}
    std::uint64_t size_hint() const override { return text_.size(); }
    Task<Result<std::string_view>> next() override {  // in small parts, as a socket might
        auto part = std::string_view(text_).substr(at_, 7);
        at_ += part.size();
        co_return part;
    }

private:
    std::string text_;
    std::size_t at_ = 0;
};

class TextStream final : public http::Stream {
public:
    Task<Result<>> begin(std::string content_type) override {
        type = std::move(content_type);
        co_return Result<>();
    }
    Task<Result<>> write(std::string_view bytes) override {
        text.append(bytes);
        co_return Result<>();
    }
    std::string type, text;
};

/// An engine that has nothing to tell.
class Quiet final : public engine::Inspection {
public:
    engine::Status status() const override { return {}; }
    Result<engine::VerifyTotals> verify(std::function<void(const engine::Damage&)>,
                                        std::function<void(const engine::VerifyTotals&)>) override {
        return engine::VerifyTotals();
    }
    Result<engine::BackupOutcome> backup(const std::filesystem::path& folder, std::size_t,
                                         std::function<bool(const engine::BackupTotals&)>) override {
        if (folder == "/full") return fail(Errc::no_space, "no room");
        return engine::BackupOutcome{"20261122T030509.123Z", {3, 400, 1, 100}, 2};
    }
    Result<> drop_dead(std::vector<engine::PartitionId>, std::function<bool()>) override { return {}; }
    void scrub() override { ++scrubs; }
    Task<Result<std::vector<engine::PartitionId>>> partitions(engine::PartitionId, std::size_t) override {
        co_return std::vector<engine::PartitionId>();
    }
    int scrubs = 0;
};

/// The parts of a reply that the tests look at.
struct Answer {
    unsigned status = 0;
    Json body;
    bool streamed = false;
    http::Fields fields;
};

struct AdminApiTest : testing::Test {
    test::ManualClock clock;
    test::MemoryEngine engine;
    directory::Directory directory{engine, clock, {}};
    mailstore::MailStore store{engine, clock, {}};
    auth::Options auth_options = [] {
        auth::Options options;
        options.failure_delay = std::chrono::milliseconds(0);
        return options;
    }();
    activity::Ledger ledger{engine, clock, {}};
    auth::Authenticator auth{directory, auth_options, &ledger};
    quota::Quotas quotas{directory, store, {}};
    delivery::Delivery delivery{directory, store, quotas, clock, {}};
    directory::RemovedAccounts removed{engine, clock, std::chrono::days(30)};
    auth::OpenSessions open_sessions;
    auth::DeviceUses device_uses{directory, clock};
    Quiet inspection;
    upkeep::StoreClock store_clock{engine, clock, std::chrono::seconds(0)};
    upkeep::Retention::Now now = [this] { return clock_is_doubted ? std::nullopt : std::optional(clock.now()); };
    bool clock_is_doubted = false;
    upkeep::Retention retention{directory, store, removed, now, directory::kNeverExpires};
    directory::AccountSettings announced;
    Api api{{.directory = directory,
             .mail = store,
             .auth = auth,
             .open_sessions = open_sessions,
             .device_uses = device_uses,
             .ledger = ledger,
             .delivery = delivery,
             .quotas = quotas,
             .removed = removed,
             .engine = inspection,
             .clock = store_clock,
             .retention = retention,
             .hostname = "mail.example.org",
             .body_limit = 10'000,
             .settings_changed = [this](const directory::AccountSettings& strictest) { announced = strictest; }}};
    Caller caller{.administrator = true, .account = {}};
    TextStream stream;

    Answer ask(std::string method, std::string_view target, std::string body = "") {
        auto parsed = http::parse_target(target);
        EXPECT_TRUE(parsed) << target;
        TextBody source(std::move(body));
        auto reply = run(api.answer(caller, {std::move(method), std::move(*parsed)}, source, stream));
        return {reply.status, Json::parse(reply.body, nullptr, false), reply.streamed, reply.fields};
    }
    Answer ask(std::string method, std::string_view target, const Json& body) {
        return ask(std::move(method), target, dump(body));
    }
    std::optional<upkeep::RetentionTotals> round(upkeep::Retention& housekeeping) {
        test::Unhurried control;
        if (!run(housekeeping.round(control))) return std::nullopt;
        return housekeeping.last();
    }
    std::string code_of(const Answer& reply) { return reply.body["error"]["code"]; }
    void add_jane() {
        ASSERT_EQ(ask("POST", "/v1/domains", Json{{"name", "example.org"}}).status, 201u);
        ASSERT_EQ(ask("POST", "/v1/accounts", Json{{"address", "jane@example.org"}, {"password", "secret"}}).status,
                  201u);
    }
    std::string deliver(std::string_view message) {
        EXPECT_EQ(ask("POST", "/v1/deliver?recipient=jane@example.org&sender=a@b.test", std::string(message)).status,
                  201u);
        return ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"].back()["unique_id"];
    }
    bool login(std::string password) {
        return run(auth.verify_password({"jane@example.org", std::move(password), "192.0.2.1", false})).has_value();
    }
};

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

TEST_F(AdminApiTest, DeliversAFileWithLfAndShowsItBackWithDecodedHeader) {
    add_jane();
    auto id = deliver("From: =?utf-8?q?J=C3=B6rg?= <j@b.test>\nSubject: Hi\n\n.dots\n..two\nlast");
    auto list = ask("GET", "/v1/accounts/jane@example.org/messages");
    ASSERT_EQ(list.body["messages"].size(), 1u);
    EXPECT_EQ(list.body["messages"][0]["from"], "J\xc3\xb6rg <j@b.test>");
    EXPECT_EQ(list.body["messages"][0]["subject"], "Hi");
    auto content = ask("GET", "/v1/accounts/jane@example.org/messages/" + id + "/content");
    EXPECT_TRUE(content.streamed);
    EXPECT_EQ(content.status, 200u);
    EXPECT_EQ(stream.type, "message/rfc822");
    EXPECT_TRUE(stream.text.starts_with("Return-Path: <a@b.test>\r\n")) << stream.text;
    EXPECT_TRUE(stream.text.ends_with("\r\n\r\n.dots\r\n..two\r\nlast\r\n")) << stream.text;
    EXPECT_EQ(stream.text.size(), list.body["messages"][0]["octets"]);
}

TEST_F(AdminApiTest, RemovesAndRestoresAMessageUnderTheSameId) {
    add_jane();
    auto id = deliver("Subject: keep me\n\nx\n");
    EXPECT_EQ(ask("DELETE", "/v1/accounts/jane@example.org/messages/" + id).status, 200u);
    EXPECT_TRUE(ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"].empty());
    auto kept = ask("GET", "/v1/accounts/jane@example.org/retained").body["messages"];
    ASSERT_EQ(kept.size(), 1u);
    EXPECT_EQ(kept[0]["reason"], "admin");
    EXPECT_EQ(kept[0]["subject"], "keep me");
    EXPECT_EQ(kept[0]["expires"], "2026-01-31T00:00:00Z");
    EXPECT_EQ(ask("POST", "/v1/accounts/jane@example.org/retained/" + id + "/restore").status, 200u);
    EXPECT_EQ(ask("POST", "/v1/accounts/jane@example.org/retained/" + id + "/restore").status, 409u);
    EXPECT_EQ(ask("POST", "/v1/accounts/jane@example.org/retained/none/restore").status, 404u);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"][0]["unique_id"], id);
}

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

TEST_F(AdminApiTest, StoresAMessageOfAnotherServerOnceAndKeepsItsUniqueId) {
    add_jane();
    const std::string jane = "/v1/accounts/jane@example.org", import = jane + "/import?source=";
    const std::string text = "Subject: x\n\ntext\n.\n";
    auto stored = ask("POST", import + "a&unique_id=old-1&flags=seen,Work&received=1276000001000", text).body;
    EXPECT_EQ(stored["state"], "stored");
    EXPECT_EQ(stored["unique_id"], "old-1");
    EXPECT_FALSE(stored.contains("not_kept"));
    EXPECT_EQ(ask("POST", import + "a&unique_id=old-1", text).body["state"], "there");
    auto listed = ask("GET", jane + "/messages").body["messages"];
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0]["octets"], 23);
    EXPECT_EQ(listed[0]["received"], "2010-06-08T12:26:41Z");
    EXPECT_EQ(listed[0]["flags"], Json::array({"seen", "Work"}));

    // One that another message has, and one that none may have.
    auto twice = ask("POST", import + "b&unique_id=old-1&mailbox=Lists%2Fasio", text).body;
    EXPECT_EQ(twice["state"], "stored");
    EXPECT_NE(twice["unique_id"], "old-1");
    EXPECT_TRUE(twice.contains("not_kept"));
    EXPECT_TRUE(ask("POST", import + "c&unique_id=%20", text).body.contains("not_kept"));
    EXPECT_EQ(ask("GET", jane + "/messages?mailbox=Lists%2Fasio").body["messages"].size(), 1u);
    EXPECT_EQ(ask("POST", import + "d&flags=no%20keyword%7B", text).body["state"], "stored");
    EXPECT_EQ(ask("POST", jane + "/import?source=", text).status, 400u);

    // Mail deleted here does not return, also when nothing is kept of it any more.
    EXPECT_EQ(ask("DELETE", jane + "/messages/old-1").status, 200u);
    EXPECT_EQ(ask("POST", import + "a&unique_id=old-1", text).body["state"], "deleted");
    auto found = ask("POST", jane + "/imported", Json{{"sources", {"a", "b", "z"}}}).body["messages"];
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0]["state"], "deleted");
    EXPECT_EQ(found[1]["state"], "there");
    EXPECT_EQ(found[1]["unique_id"], twice["unique_id"]);
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

TEST_F(AdminApiTest, RestoresWhatWasDeletedInSomeTime) {
    add_jane();
    auto remove = [&] {
        auto id = deliver("Subject: x\n\nx\n");
        auto list = ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"];
        EXPECT_EQ(
            ask("DELETE", "/v1/accounts/jane@example.org/messages/" + list[0]["unique_id"].get<std::string>()).status,
            200u);
    };
    remove();
    clock.advance(std::chrono::hours(1));
    remove();
    remove();
    clock.advance(std::chrono::hours(1));
    remove();
    auto restore = [&](const Json& body) {
        return ask("POST", "/v1/accounts/jane@example.org/retained/restore", body).body["restored"];
    };
    EXPECT_EQ(restore({{"since", "2026-01-01T00:30:00Z"}, {"until", "2026-01-01T01:00:00Z"}}), 2);
    EXPECT_EQ(restore({{"since", "2026-01-01T00:30:00Z"}, {"until", "2026-01-01T01:00:00Z"}}), 0) << "nothing twice";
    EXPECT_EQ(restore({{"since", "30m"}}), 1);
    EXPECT_EQ(restore({{"since", "2025-01-01"}}), 1);
    EXPECT_EQ(ask("POST", "/v1/accounts/jane@example.org/retained/restore", Json{{"since", "soon"}}).status, 400u);
    auto restored = ask("GET", "/v1/accounts/jane@example.org/activity?kind=restored").body["entries"];
    ASSERT_EQ(restored.size(), 1u);
    EXPECT_EQ(restored[0]["messages"], 4);
}

TEST_F(AdminApiTest, RestoresByDeviceMailboxAndHeaderAndIntoAnotherMailbox) {
    add_jane();
    const std::string jane = "/v1/accounts/jane@example.org";
    const auto account = run(directory.find_account("jane@example.org"))->id;
    ask("POST", jane + "/mailboxes", Json{{"name", "Lists"}});
    auto phone = ask("POST", jane + "/devices", Json{{"name", "phone"}, {"view", "shared"}}).body["id"];
    std::vector<std::string> ids;
    for (const char* subject : {"Invoice 1", "hello", "invoice 2", "other"})
        ids.push_back(deliver(fmt::format("From: Shop <s@b.test>\nSubject: {}\n\nx\n", subject)));
    auto remove_by = [&](std::optional<std::uint32_t> device, std::vector<std::uint32_t> numbers) {
        mailstore::WantedMaildrop wanted;
        wanted.device = device;
        auto maildrop = run(store.open_maildrop(account, wanted));
        ASSERT_TRUE(run((*maildrop)->messages()));
        ASSERT_TRUE(run((*maildrop)->remove(std::move(numbers))));
    };
    remove_by(auth::device_of_text(phone.get<std::string>()), {1, 2});
    remove_by(std::nullopt, {1});
    ask("DELETE", jane + "/messages/" + ids[3]);
    auto listed = ask("GET", jane + "/retained").body["messages"];
    ASSERT_EQ(listed.size(), 4u);
    std::map<std::string, std::string> by;
    for (const auto& one : listed) by[one["unique_id"]] = one["deleted_by"];
    EXPECT_EQ(by[ids[0]], "phone (" + phone.get<std::string>() + ")");
    EXPECT_EQ(by[ids[2]], "the account's own password");
    EXPECT_EQ(by[ids[3]], "administrator");
    EXPECT_EQ(listed[0]["devices"], Json::array({phone}));
    auto content = ask("GET", jane + "/retained/" + ids[0] + "/content");
    EXPECT_TRUE(content.streamed && stream.text.contains("Subject: Invoice 1"));

    auto restore = [&](Json body) { return ask("POST", jane + "/retained/restore", body); };
    EXPECT_EQ(restore(Json::object()).status, 400u) << "it has to be said what";
    EXPECT_EQ(restore({{"device", "tablet"}}).status, 404u);
    EXPECT_EQ(restore({{"all", true}, {"to", "None"}}).status, 404u);
    auto planned = restore({{"device", "phone"}, {"dry_run", true}}).body;
    EXPECT_EQ(planned["restored"], 2);
    EXPECT_EQ(planned["messages"].size(), 2u);
    EXPECT_EQ(ask("GET", jane + "/messages").body["messages"].size(), 0u) << "nothing happened yet";
    EXPECT_EQ(restore({{"subject", "INVOICE"}, {"from_header", "shop"}, {"device", "none"}}).body["restored"], 1);
    EXPECT_EQ(ask("DELETE", jane + "/devices/phone").status, 200u);
    EXPECT_EQ(restore({{"device", phone}, {"subject", "hello"}, {"to", "Lists"}}).body["restored"], 1)
        << "by its id, though it was revoked";
    EXPECT_EQ(ask("GET", jane + "/messages?mailbox=Lists").body["messages"][0]["unique_id"], ids[1]);
    EXPECT_EQ(restore({{"mailbox", "lists"}}).body["restored"], 0) << "it was deleted from INBOX";
    auto again = restore({{"ids", {ids[1], ids[0], "gone"}}}).body;
    EXPECT_EQ(again["restored"], 1);
    EXPECT_EQ(again["already"], 1);
    EXPECT_EQ(again["missing"], Json::array({"gone"}));
    EXPECT_EQ(ask("GET", jane + "/retained/" + ids[0] + "/content").status, 404u) << "it is back";
    EXPECT_EQ(restore({{"all", true}}).body["restored"], 1);
    EXPECT_EQ(restore({{"all", true}}).body["restored"], 0);
    EXPECT_TRUE(run(store.check(account)));
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

TEST_F(AdminApiTest, ListsAndEndsSessions) {
    EXPECT_EQ(ask("GET", "/v1/sessions").body["sessions"].size(), 0u);
    EXPECT_EQ(ask("DELETE", "/v1/sessions/abc").status, 404u);
}

}  // namespace
}  // namespace poplar::admin
