#include "directory/outside/pooled.h"

#include <gtest/gtest.h>

#include <condition_variable>

#include "tests/support/run.h"

namespace poplar::directory::outside {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Connections that answer when they are told to.
struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = true;
    std::atomic<int> made = 0, asked = 0;
    void set(bool now) {
        std::lock_guard hold(mutex);
        open = now;
        changed.notify_all();
    }
};

class Gated final : public Connection {
public:
    explicit Gated(Gate& gate) : gate_(gate) { ++gate.made; }
    Result<Answer> ask(const Question& question) override {
        ++gate_.asked;
        if (question.address.local == "throws") throw std::runtime_error("broken");
        std::unique_lock lock(gate_.mutex);
        gate_.changed.wait(lock, [&] { return gate_.open; });
        return Answer{.exists = true};
    }

private:
    Gate& gate_;
};

struct PooledSource : testing::Test {
    Gate gate;
    std::unique_ptr<Pooled> pooled;
    void make(std::size_t connections, std::size_t waiting) {
        auto connect = [this] { return std::make_unique<Gated>(gate); };
        pooled = std::make_unique<Pooled>(std::move(connect), connections, waiting);
    }
    ~PooledSource() override { gate.set(true); }
    static Question question(milliseconds time, std::string local = "jane") {
        return {.address = {std::move(local), "out.test"}, .deadline = SteadyClock::now() + time};
    }
};

TEST_F(PooledSource, KeepsItsConnections) {
    make(2, 10);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(test::run(pooled->ask(question(seconds(20)))));
    EXPECT_EQ(gate.made, 1);
    EXPECT_EQ(gate.asked, 10);
}

TEST_F(PooledSource, AnswersByTheDeadlineEvenIfTheLibraryHangs) {
    make(1, 10);
    gate.set(false);
    const auto begun = SteadyClock::now();
    auto answer = test::run(pooled->ask(question(milliseconds(100))));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), Errc::timed_out);
    answer = test::run(pooled->ask(question(milliseconds(100))));
    EXPECT_EQ(answer.error().code(), Errc::timed_out) << "while it waits for the only connection";
    EXPECT_LT(SteadyClock::now() - begun, seconds(20));
    gate.set(true);
    EXPECT_TRUE(test::run(pooled->ask(question(seconds(20)))));
    EXPECT_EQ(gate.asked, 2) << "a question whose asker has gone is not asked";
}

TEST_F(PooledSource, RefusesMoreThanMayWait) {
    make(1, 1);
    gate.set(false);
    asio::io_context context(1);
    std::vector<Errc> failed;
    for (int i = 0; i < 4; ++i)
        asio::co_spawn(context, pooled->ask(question(seconds(1))), [&](std::exception_ptr, Result<Answer> answer) {
            if (!answer) failed.push_back(answer.error().code());
        });
    context.run();
    EXPECT_EQ(failed.size(), 4u);
    EXPECT_GE(std::ranges::count(failed, Errc::busy), 2);
    EXPECT_GE(std::ranges::count(failed, Errc::timed_out), 1);
}

TEST_F(PooledSource, SurvivesAConnectionThatThrows) {
    make(1, 1);
    auto answer = test::run(pooled->ask(question(seconds(20), "throws")));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), Errc::io);
    EXPECT_TRUE(test::run(pooled->ask(question(seconds(20)))));
    EXPECT_EQ(gate.made, 2) << "the one that threw is not used again";
}

}  // namespace
}  // namespace poplar::directory::outside
