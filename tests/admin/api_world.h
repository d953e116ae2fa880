#pragma once
// The operations, on the real directory and mail store over an engine in memory, for tests that ask for them.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "activity/ledger.h"
#include "admin/api.h"
#include "api/json.h"
#include "auth/authenticator.h"
#include "auth/device_uses.h"
#include "auth/open_sessions.h"
#include "delivery/delivery.h"
#include "directory/directory.h"
#include "directory/removed.h"
#include "engine/inspection.h"
#include "http/target.h"
#include "mailstore/mail_store.h"
#include "quota/quotas.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/unhurried.h"
#include "upkeep/retention.h"
#include "upkeep/store_clock.h"

namespace poplar::admin {

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

}  // namespace poplar::admin
