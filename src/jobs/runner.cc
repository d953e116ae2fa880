#include "jobs/runner.h"

#include <algorithm>

#include "base/log.h"
#include "base/steady.h"
#include "jobs/job.h"

namespace poplar::jobs {

// Shared with the coroutine that runs the job, which may outlive the Runner by a moment.
struct Runner::Entry final : Control {
    Entry(const Executor& executor, Job& j, Schedule s, const Clock& c)
        : timer(executor), job(j), schedule(s), clock(c) {}

    Task<Result<>> pause(std::chrono::milliseconds time) override {
        co_await wait_until(SteadyClock::now() + time);
        while (paused && !stopping) {
            status.state = JobStatus::State::paused;
            co_await wait_until(SteadyTime::max());
        }
        status.state = JobStatus::State::running;
        if (stopping) co_return fail(Errc::cancelled, "stopping");
        co_return Result<>();
    }
    void tell(std::string progress) override { status.progress = std::move(progress); }

    /// Ends early when somebody calls wake().
    Task<> wait_until(SteadyTime when) {
        if (stopping) co_return;
        timer.expires_at(when);
        co_await timer.async_wait(asio::as_tuple(use_awaitable));
    }
    void wake() { timer.cancel(); }

    Task<> wait_for_turn() {
        const auto due = SteadyClock::now() + (status.rounds == 0 ? schedule.first : schedule.every);
        hurry = false;
        while (!stopping && (paused || (!hurry && SteadyClock::now() < due))) {
            status.state = paused ? JobStatus::State::paused : JobStatus::State::waiting;
            co_await wait_until(paused ? SteadyTime::max() : due);
        }
    }

    SteadyTimer timer;
    Job& job;
    const Schedule schedule;
    const Clock& clock;
    JobStatus status;
    bool paused = false, stopping = false, hurry = false;
};

Runner::~Runner() { stop(); }

void Runner::add(Job& job, Schedule schedule) {
    auto entry = std::make_shared<Entry>(executor_, job, schedule, clock_);
    entry->status.name = job.name();
    entries_.push_back(entry);
    asio::co_spawn(executor_, run(entry), [entry](std::exception_ptr failure) {
        entry->status.state = JobStatus::State::stopped;
        if (failure) std::rethrow_exception(failure);  // our own mistake: end loudly
    });
}

Task<> Runner::run(std::shared_ptr<Entry> entry) {
    auto& status = entry->status;
    for (;;) {
        co_await entry->wait_for_turn();
        if (entry->stopping) co_return;
        status.state = JobStatus::State::running;
        status.begun = entry->clock.now();
        status.progress.clear();
        auto done = co_await entry->job.round(*entry);
        ++status.rounds;
        status.ended = entry->clock.now();
        status.failure = done ? std::string() : done.error().detail();
    }
}

Runner::Entry* Runner::find(std::string_view name) const {
    auto at = std::ranges::find(entries_, name, [](const auto& entry) { return std::string_view(entry->status.name); });
    return at == entries_.end() ? nullptr : at->get();
}

std::vector<JobStatus> Runner::list() const {
    std::vector<JobStatus> all;
    for (const auto& entry : entries_) all.push_back(entry->status);
    return all;
}

bool Runner::pause(std::string_view name) {
    auto* entry = find(name);
    if (entry) entry->paused = true, entry->wake();
    return entry != nullptr;
}

bool Runner::resume(std::string_view name) {
    auto* entry = find(name);
    if (entry) entry->paused = false, entry->wake();
    return entry != nullptr;
}

bool Runner::run_now(std::string_view name) {
    auto* entry = find(name);
    if (entry) entry->hurry = true, entry->wake();
    return entry != nullptr;
}

void Runner::stop() {
    for (auto& entry : entries_) entry->stopping = true, entry->wake();
}

}  // namespace poplar::jobs
