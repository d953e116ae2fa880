#pragma once
// Runs jobs, each in its own rhythm and one round of each at a time.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"

namespace poplar::jobs {

class Job;

struct Schedule {
    std::chrono::milliseconds first{0};  ///< until the first round
    std::chrono::milliseconds every{0};  ///< from the end of a round to the next
};

struct JobStatus {
    enum class State { waiting, running, paused, stopped };
    std::string name;
    State state = State::waiting;
    std::uint64_t rounds = 0;               ///< that have ended
    std::optional<Timestamp> begun, ended;  ///< of this round or the last; of the last that ended
    std::string progress;                   ///< what the round told last
    std::string failure;                    ///< of the last round that ended; "": none
};

/// To be used on the executor's thread.
class Runner {
public:
    Runner(Executor executor, const Clock& clock) : executor_(std::move(executor)), clock_(clock) {}
    ~Runner();

    /// Begins with it. The job outlives the executor's work.
    void add(Job& job, Schedule schedule);

    std::vector<JobStatus> list() const;
    // False: there is no such job.
    bool pause(std::string_view name);  ///< a round under way waits at its next Control::pause()
    bool resume(std::string_view name);
    bool run_now(std::string_view name);  ///< a job that waits for its time begins at once

    /// No round begins any more; those under way end at their next Control::pause(), or by themselves.
    void stop();

private:
    struct Entry;
    static Task<> run(std::shared_ptr<Entry> entry);
    Entry* find(std::string_view name) const;

    Executor executor_;
    const Clock& clock_;
    std::vector<std::shared_ptr<Entry>> entries_;
};

}  // namespace poplar::jobs
