#include "jobs/runner.h"

#include <gtest/gtest.h>

#include "jobs/job.h"
#include "tests/support/manual_clock.h"
#include "tests/support/moved_time.h"
#include "tests/support/unhurried.h"

namespace poplar::jobs {
namespace {

using namespace std::chrono_literals;
using State = JobStatus::State;

/// Three steps with pauses between them.
class Steps final : public Job {
public:
    std::string_view name() const override { return "steps"; }
    Task<Result<>> round(Control& control) override {
        for (int i = 1; i <= 3; ++i) {
            ++steps;
            control.tell(std::to_string(i));
            if (i == fails_at) co_return fail(Errc::io, "no disk");
            if (auto paused = co_await control.pause(1s); !paused) co_return paused;
        }
        co_return Result<>();
    }
    int steps = 0, fails_at = 0;
};

struct RunnerTest : testing::Test {
    /// Lets everything run that is ready after so much time.
    void pass(SteadyClock::duration time) {
        test::pass_time(context, time);
        do context.restart();
        while (context.poll() != 0);
    }
    JobStatus status() { return runner.list().front(); }

    test::ManualClock clock;
    asio::io_context context{1};
    Runner runner{context.get_executor(), clock};
    Steps job;
};

TEST_F(RunnerTest, RunsRoundsInTheirRhythm) {
    runner.add(job, {.first = 10s, .every = 60s});
    pass(0s);
    pass(9s);
    EXPECT_EQ(job.steps, 0);
    EXPECT_EQ(status().state, State::waiting);
    pass(2s);
    EXPECT_EQ(job.steps, 1);
    EXPECT_EQ(status().state, State::running);
    EXPECT_EQ(status().progress, "1");
    for (int i = 0; i < 3; ++i) pass(2s);
    EXPECT_EQ(job.steps, 3);
    EXPECT_EQ(status().rounds, 1u);
    pass(50s);
    EXPECT_EQ(job.steps, 3);
    pass(11s);
    EXPECT_EQ(job.steps, 4);
}

TEST_F(RunnerTest, APausedJobWaitsUntilItIsResumed) {
    runner.add(job, {});
    pass(0s);
    EXPECT_EQ(job.steps, 1);
    EXPECT_TRUE(runner.pause("steps"));
    pass(100s);
    EXPECT_EQ(job.steps, 1);
    EXPECT_EQ(status().state, State::paused);
    EXPECT_TRUE(runner.resume("steps"));
    pass(0s);
    EXPECT_EQ(job.steps, 2);
    EXPECT_FALSE(runner.pause("others"));
}

TEST_F(RunnerTest, AJobThatWaitsCanBeRunNow) {
    runner.add(job, {.first = 1h, .every = 1h});
    pass(1s);
    EXPECT_TRUE(runner.run_now("steps"));
    pass(0s);
    EXPECT_EQ(job.steps, 1);
}

TEST_F(RunnerTest, AFailureIsKeptUntilTheNextRound) {
    job.fails_at = 1;
    runner.add(job, {.first = 0s, .every = 10s});
    pass(0s);
    EXPECT_EQ(status().failure, "no disk");
    job.fails_at = 0;
    for (int i = 0; i < 4; ++i) pass(11s);
    EXPECT_EQ(status().failure, "");
}

TEST_F(RunnerTest, StopEndsRoundsAtTheirNextPause) {
    runner.add(job, {});
    pass(0s);
    EXPECT_EQ(job.steps, 1);
    runner.stop();
    pass(0s);
    EXPECT_EQ(status().state, State::stopped);
    EXPECT_EQ(status().failure, "stopping");
    pass(100s);
    EXPECT_EQ(job.steps, 1);
}

}  // namespace
}  // namespace poplar::jobs
