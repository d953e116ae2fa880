// The runner over a queue in memory, with servers that the test plays, reached by routes.
#include "outbound/runner.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "tests/delivery/world.h"
#include "tests/outbound/fake_dns.h"
#include "tests/support/played_server.h"
#include "tests/support/temp_dir.h"

namespace poplar::outbound {
namespace {

using namespace std::chrono_literals;
using queue::Recipient;
using test::PlayedServer;
using test::run;
using test::taking;

class RunnerTest : public testing::Test {
protected:
    RunnerTest() {
        options_.hostname = "mx.example.test";
        options_.reply_timeout = options_.connect_timeout = 2s;
        options_.reuse = 50ms;
        options_.dead_host = 100ms;
        tls_ = *net::ClientTls::load("");
    }
    ~RunnerTest() override { stop(); }

    void route(const std::string& domain, const PlayedServer& server) {
        Route route;
        route.domain = domain;
        route.host = "127.0.0.1:" + std::to_string(server.port());
        options_.routes.push_back(std::move(route));
    }
    std::string add(const std::vector<std::string>& recipients, mail::Notify notify = {}, Timestamp due = {}) {
        auto writer = world_.engine.write_body();
        EXPECT_TRUE(run(writer->write("Subject: x\r\n\r\ntext\r\n")));
        queue::NewMessage added;
        added.message.id = std::string(queue::kIdLength, static_cast<char>('a' + messages_++));
        added.message.sender = "demo@example.test";
        added.due = due;
        added.content = *run(writer->finish());
        for (const auto& address : recipients) added.recipients.push_back({.address = address, .notify = notify});
        EXPECT_TRUE(run(queue_.add(added)));
        return added.message.id;
    }
    void start() {
        if (!runner_) {
            runner_ =
                std::make_unique<Runner>(context_.get_executor(), Services{queue_, delivery_, dns_, tls_}, options_);
            queue_.on_due([this](queue::Due due) { runner_->wake(std::move(due)); });
            runner_->start();
        }
    }
    void stop() {
        if (!runner_) return;
        queue_.on_due(nullptr);
        runner_->stop();
        runner_->cut();
        run_until([this] { return runner_->idle(); });
        runner_.reset();
    }
    template <class Check>
    bool run_until(Check check) {
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (!check()) {
            if (std::chrono::steady_clock::now() > end) return false;
            context_.restart();
            context_.run_for(5ms);
        }
        return true;
    }
    /// Runs until nobody waits for the message any more, or the first attempt is over.
    queue::Item after_attempts(const std::string& id, std::uint32_t attempts) {
        start();
        queue::Item item;
        EXPECT_TRUE(run_until([&] {
            item = *run(queue_.item(id));
            return std::ranges::all_of(item.parts, [&](const auto& part) { return part.attempts >= attempts; }) &&
                   std::ranges::all_of(item.parts, [&](const auto& part) { return free(part); });
        }));
        return *run(queue_.item(id));
    }
    bool free(const queue::Part& part) { return queue_.claim({part.message, part.number}).has_value(); }
    std::size_t reports() { return world_.inbox("demo@example.test").size(); }

    test::World world_;
    queue::Queue queue_{world_.engine, world_.clock, {}};
    delivery::Delivery delivery_{world_.directory, world_.store, world_.quotas, world_.clock, {}, &queue_};
    test::FakeDns dns_;
    std::shared_ptr<const net::ClientTls> tls_;
    Options options_;
    asio::io_context context_{1};
    std::unique_ptr<Runner> runner_;
    int messages_ = 0;
};

TEST_F(RunnerTest, WhatIsTakenIsWrittenDownAndTheBodyIsGone) {
    PlayedServer server(taking());
    route("*", server);
    const auto item = after_attempts(add({"a@x.example", "b@x.example", "c@y.example"}), 1);
    EXPECT_TRUE(item.message.finished);
    for (const auto& part : item.parts)
        for (const auto& one : part.recipients) {
            EXPECT_EQ(one.state, Recipient::State::delivered);
            EXPECT_EQ(one.reply, "250 2.0.0 taken");
        }
    EXPECT_EQ(world_.engine.body_count(queue::kQueuePartition), 0u);
    EXPECT_EQ(reports(), 0u);
}

TEST_F(RunnerTest, WhatIsRefusedForGoodIsToldTheSender) {
    PlayedServer server(taking({{"RCPT", "550 5.1.1 who?"}}));
    route("*", server);
    const auto item = after_attempts(add({"a@x.example"}), 1);
    EXPECT_EQ(item.parts[0].recipients[0].state, Recipient::State::failed);
    EXPECT_TRUE(run_until([&] { return reports() == 1; }));
    EXPECT_TRUE(run_until([&] { return run(queue_.message(item.message.id))->finished.has_value(); }));
}

TEST_F(RunnerTest, NobodyIsToldWhoDoesNotWantTo) {
    PlayedServer server(taking({{"RCPT", "550 5.1.1 who?"}}));
    route("*", server);
    EXPECT_TRUE(after_attempts(add({"a@x.example"}, {.given = true, .never = true}), 1).message.finished);
    EXPECT_TRUE(after_attempts(add({"a@x.example"}, {.given = true, .success = true}), 1).message.finished);
    EXPECT_EQ(reports(), 0u);
}

TEST_F(RunnerTest, WhatMayBeBetterLaterWaitsAndIsTriedAgain) {
    std::atomic<bool> full = true;
    auto usual = taking();
    PlayedServer server([&](const std::string& line) {
        return full && line.starts_with("RCPT") ? std::string("450 4.2.1 full") : usual(line);
    });
    route("*", server);
    const auto id = add({"a@x.example"});
    auto item = after_attempts(id, 1);
    EXPECT_EQ(item.parts[0].recipients[0].state, Recipient::State::waiting);
    EXPECT_EQ(item.parts[0].recipients[0].reply, "450 4.2.1 full");
    const auto wait = item.parts[0].due - world_.clock.now();
    EXPECT_GE(wait, 4min);
    EXPECT_LE(wait, 6min);
    full = false;
    world_.clock.advance(10min);
    runner_->wake({{id, 0}, world_.clock.now()});
    EXPECT_TRUE(after_attempts(id, 2).message.finished);
    EXPECT_EQ(reports(), 0u);
}

TEST_F(RunnerTest, ADelayIsToldOnceAndTheEndToo) {
    PlayedServer server(taking({{"RCPT", "450 4.2.1 full"}}));
    route("*", server);
    const auto id = add({"a@x.example"});
    after_attempts(id, 1);
    EXPECT_EQ(reports(), 0u);
    std::uint32_t attempts = 1;
    for (auto [wait, told] : {std::pair(5h, 1u), {5h, 1u}, {200h, 2u}}) {
        world_.clock.advance(wait);
        runner_->wake({{id, 0}, world_.clock.now()});
        after_attempts(id, ++attempts);
        EXPECT_TRUE(run_until([&] { return reports() == told; })) << attempts;
    }
    EXPECT_TRUE(run_until([&] { return run(queue_.message(id))->finished.has_value(); }));
}

TEST_F(RunnerTest, WhatWasKeptBackHasItsWholeTime) {
    PlayedServer server(taking({{"RCPT", "450 4.2.1 full"}}));
    route("*", server);
    const auto id = add({"a@x.example"}, {}, world_.clock.now() + 240h);  // twice as long as it takes to give up
    world_.clock.advance(240h);
    EXPECT_EQ(after_attempts(id, 1).parts[0].recipients[0].state, Recipient::State::waiting);
    EXPECT_EQ(reports(), 0u);
    world_.clock.advance(121h);
    runner_->wake({{id, 0}, world_.clock.now()});
    EXPECT_EQ(after_attempts(id, 2).parts[0].recipients[0].state, Recipient::State::failed);
}

TEST_F(RunnerTest, APasswordIsNotSentInTheClear) {
    PlayedServer server(taking({}, "AUTH PLAIN"));
    const auto file = test::TempDir();
    std::ofstream(file.path() / "password") << "secret\n";
    std::uint32_t attempts = 0;
    const auto id = add({"a@x.example"});
    route("*", server);
    options_.routes[0].login = "me";
    options_.routes[0].password_file = file.path() / "password";
    for (std::optional<TlsPolicy> policy : {std::optional<TlsPolicy>(), std::optional(TlsPolicy::opportunistic)}) {
        stop();
        options_.routes[0].tls = policy;
        world_.clock.advance(10min);
        EXPECT_EQ(after_attempts(id, ++attempts).parts[0].recipients[0].status, "4.7.4");
    }
    for (const auto& line : server.lines()) EXPECT_FALSE(line.starts_with("AUTH")) << line;
    stop();
    options_.routes[0].tls = TlsPolicy::none;
    world_.clock.advance(1h);
    EXPECT_TRUE(after_attempts(id, ++attempts).message.finished) << "the operator wants it so";
}

// More than a destination may have in memory waits for a silent one; what is due behind it is found all the same.
TEST_F(RunnerTest, ALongBacklogHidesNobody) {
    PlayedServer silent(taking({{"", ""}}));
    PlayedServer good(taking());
    route("silent.example", silent);
    route("*", good);
    options_.reply_timeout = 60s;
    auto writer = world_.engine.write_body();
    EXPECT_TRUE(run(writer->write("x\r\n")));
    const std::shared_ptr<const engine::StagedBody> content = *run(writer->finish());
    for (int i = 0; i < 3500; ++i) {
        queue::NewMessage added;
        added.message.id = fmt::format("{:012}", i);
        added.message.sender = "demo@example.test";
        added.content = content;
        added.recipients = {{.address = "a@silent.example"}};
        ASSERT_TRUE(run(queue_.add(std::move(added))));
    }
    world_.clock.advance(1s);
    const auto id = add({"a@x.example"});
    EXPECT_TRUE(after_attempts(id, 1).message.finished);
}

TEST_F(RunnerTest, AServerThatIsNotThereHoldsUpItsMailAlone) {
    PlayedServer good(taking());
    auto gone = std::make_unique<PlayedServer>(taking());
    route("gone.example", *gone);
    route("*", good);
    gone.reset();
    const auto id = add({"a@gone.example", "b@x.example"});
    const auto item = after_attempts(id, 1);
    EXPECT_EQ(item.parts[0].recipients[0].state, Recipient::State::waiting);
    EXPECT_EQ(item.parts[0].recipients[0].status, "4.4.1");
    EXPECT_EQ(item.parts[1].recipients[0].state, Recipient::State::delivered);
}

TEST_F(RunnerTest, OneConnectionTakesManyMessages) {
    PlayedServer server(taking());
    route("*", server);
    options_.connections_per_destination = 1;
    std::vector<std::string> ids;
    for (int i = 0; i < 8; ++i) ids.push_back(add({"a@x" + std::to_string(i) + ".example"}));
    for (const auto& id : ids) EXPECT_TRUE(after_attempts(id, 1).message.finished);
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(RunnerTest, ADomainThatTakesNoMailIsToldAtOnce) {
    dns_.add_mx("null.example", 0, "");
    const auto item = after_attempts(add({"a@null.example", "b@none.example"}), 1);
    EXPECT_EQ(item.parts[1].recipients[0].status, "5.1.10");
    EXPECT_EQ(item.parts[0].recipients[0].status, "5.1.2");
    EXPECT_TRUE(run_until([&] { return reports() == 2; }));
}

TEST_F(RunnerTest, WhatIsHeldIsLeftAlone) {
    PlayedServer server(taking());
    route("*", server);
    const auto id = add({"a@x.example"});
    auto part = *run(queue_.part({id, 0}));
    part.held = true;
    ASSERT_TRUE(run(queue_.save({part})));
    start();
    run_until([end = std::chrono::steady_clock::now() + 200ms] { return std::chrono::steady_clock::now() > end; });
    EXPECT_EQ(server.connections(), 0);
    part = *run(queue_.part({id, 0}));
    part.held = false;
    ASSERT_TRUE(run(queue_.save({part})));
    EXPECT_TRUE(after_attempts(id, 1).message.finished);
}

TEST_F(RunnerTest, RecipientsThatAreTooManyGoInTheNextTransactionAtOnce) {
    std::atomic<int> named = 0;
    auto usual = taking();
    PlayedServer server([&](const std::string& line) {
        if (line.starts_with("MAIL")) named = 0;
        return line.starts_with("RCPT") && ++named > 2 ? std::string("552 enough") : usual(line);
    });
    route("*", server);
    const auto id = add({"a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"});
    const auto item = after_attempts(id, 1);
    EXPECT_TRUE(item.message.finished);
    EXPECT_EQ(item.parts[0].attempts, 1u);
    for (const auto& one : item.parts[0].recipients) EXPECT_EQ(one.state, Recipient::State::delivered) << one.reply;
}

TEST_F(RunnerTest, AConnectionThatWasClosedBetweenMessagesIsNoAttempt) {
    for (const char* what : {PlayedServer::kHangUp, "421 4.7.0 enough for today"}) {
        std::atomic<int> begun = 0;
        auto usual = taking();
        PlayedServer server([&](const std::string& line) {
            return line.starts_with("MAIL") && ++begun == 2 ? std::string(what) : usual(line);
        });
        options_.routes.clear();
        route("*", server);
        options_.connections_per_destination = 1;
        const auto first = add({"a@x.example"}), second = add({"b@y.example"});
        for (const auto& id : {first, second}) {
            const auto item = after_attempts(id, 1);
            EXPECT_TRUE(item.message.finished) << what;
            EXPECT_EQ(item.parts[0].attempts, 1u) << what;
        }
        EXPECT_EQ(server.connections(), 2) << what;
        stop();
    }
}

TEST_F(RunnerTest, AMistakeOfOursIsNoEnd) {
    PlayedServer server(taking());
    dns_.add_mx("x.example", 0, "");
    dns_.throw_once();
    const auto id = add({"a@x.example"});
    start();
    EXPECT_TRUE(run_until([&] { return dns_.asked == 1 && free(*run(queue_.part({id, 0}))); }));
    runner_->wake({{id, 0}, world_.clock.now()});
    EXPECT_EQ(after_attempts(id, 1).parts[0].recipients[0].status, "5.1.10") << "it is tried, and looked up, again";
}

TEST_F(RunnerTest, WhatAnOperatorWorksOnIsTriedBehindThat) {
    PlayedServer server(taking());
    route("*", server);
    const auto id = add({"a@x.example"});
    auto claim = queue_.claim({id, 0});
    start();
    run_until([end = std::chrono::steady_clock::now() + 100ms] { return std::chrono::steady_clock::now() > end; });
    EXPECT_EQ(server.connections(), 0);
    claim.reset();
    world_.clock.advance(1s);
    EXPECT_TRUE(after_attempts(id, 1).message.finished);
}

TEST_F(RunnerTest, AllThatIsDoneWithLongEnoughIsForgottenAtOnce) {
    auto writer = world_.engine.write_body();
    EXPECT_TRUE(run(writer->write("x\r\n")));
    const std::shared_ptr<const engine::StagedBody> content = *run(writer->finish());
    for (int i = 0; i < 1100; ++i) {
        queue::NewMessage added;
        added.message.id = fmt::format("{:012}", i);
        added.content = content;
        added.recipients = {{.address = "a@x.example"}};
        ASSERT_TRUE(run(queue_.add(std::move(added))));
        auto part = *run(queue_.part({fmt::format("{:012}", i), 0}));
        part.recipients[0].state = Recipient::State::delivered;
        ASSERT_TRUE(run(queue_.save({part})));
    }
    world_.clock.advance(24h * 5);
    start();
    EXPECT_TRUE(run_until([&] { return run(queue_.list("", 10, true))->empty(); }));
}

TEST_F(RunnerTest, AnAnswerThatCanNotBeWrittenDownIsNotForgotten) {
    PlayedServer server(taking());
    route("*", server);
    const auto id = add({"a@x.example"});
    world_.engine.fail_next_commits(1, Errc::no_space);
    start();
    EXPECT_TRUE(run_until([&] { return server.lines().size() >= 5; }));
    EXPECT_TRUE(run_until([&] { return run(queue_.message(id))->finished.has_value(); })) << "it is tried again";
    EXPECT_EQ(server.connections(), 1) << "and not sent again";
}

}  // namespace
}  // namespace poplar::outbound
