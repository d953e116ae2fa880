// Starts the threads, gives each its connections, measures while they work, and ends them.
#include "bench/load/run.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <thread>

namespace poplar::bench {

namespace {

volatile std::sig_atomic_t interrupted = 0;

double own_cpu() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Threads and their ends.
class Crew {
public:
    Crew(Run& run, const Work& work) {
        unsigned threads = std::min(run.options.threads, run.options.connections);
        for (unsigned i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(run));
        for (unsigned i = 0; i < threads; ++i)
            threads_.emplace_back([this, &run, &work, i, threads] {
                Worker& worker = *workers_[i];
                // Counted before any starts: one that ends at once must not end the others.
                for (unsigned index = i; index < run.options.connections; index += threads) ++worker.live;
                for (unsigned index = i; index < run.options.connections; index += threads) work(worker, index);
                worker.loop.run();
                ++ended_;
            });
    }
    void stop() {
        for (auto& worker : workers_) worker->loop.stop();
    }
    void join() {
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }
    bool all_ended() const { return ended_ == workers_.size(); }
    const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }

private:
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<std::thread> threads_;
    std::atomic<std::size_t> ended_{0};
};

void show_progress(const Crew& crew, double seconds, std::uint64_t& shown) {
    std::uint64_t done = 0, failed = 0;
    for (const auto& worker : crew.workers()) {
        done += worker->statistics.completed;
        failed += worker->statistics.failed;
    }
    fmt::print(stderr, "\r{:6.1f} s  {:>9} a second  {:>10} done  {:>6} failed ", seconds, (done - shown) * 2, done,
               failed);
    shown = done;
}

}  // namespace

Run::Run(Options o) : options(std::move(o)), left(static_cast<std::int64_t>(options.count)) {}

Worker::Worker(Run& r) : run(r), options(r.options), tls(client_tls(r.options.sessions)) {}

bool Worker::next() {
    if (loop.stopping()) return false;
    return options.count == 0 || run.left.fetch_sub(1, std::memory_order_relaxed) > 0;
}

void Worker::finished(Clock::time_point begun, std::uint64_t octets) {
    if (!run.measuring.load(std::memory_order_relaxed)) return;
    statistics.operations.record(Clock::now() - begun);
    statistics.completed.store(statistics.completed.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    statistics.octets.store(statistics.octets.load(std::memory_order_relaxed) + octets, std::memory_order_relaxed);
}

void Worker::session_ended(Clock::time_point begun) {
    if (run.measuring.load(std::memory_order_relaxed)) statistics.sessions.record(Clock::now() - begun);
}

void Worker::failed(const Error& error) {
    if (error.code() == Errc::cancelled) return;  // the run is over
    constexpr std::size_t kKinds = 50;
    statistics.failed.store(statistics.failed.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    bool known = statistics.errors.contains(error.detail()) || statistics.errors.size() < kKinds;
    ++statistics.errors[known ? error.detail() : "others"];
}

void Worker::one_less() {
    if (--live == 0) loop.stop();
}

std::unique_ptr<Outcome> perform(Run& run, const Work& work) {
    const Options& options = run.options;
    auto outcome = std::make_unique<Outcome>();
    std::signal(SIGINT, [](int) { interrupted = 1; });
    bool counted = options.count > 0;
    bool progress = isatty(STDERR_FILENO) != 0;
    auto pause = [](double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); };

    run.begun = Clock::now();
    run.measuring = counted;
    outcome->before = usage_of(options.pids, WithMemory::yes);
    double own_before = own_cpu();
    auto begin = Clock::now();
    Crew crew(run, work);
    if (!counted) {
        while (seconds_since(begin) < options.warm_up && !interrupted && !crew.all_ended()) pause(0.05);
        outcome->before = usage_of(options.pids, WithMemory::yes);
        own_before = own_cpu();
        begin = Clock::now();
        run.measuring = true;
    }
    std::uint64_t shown = 0;
    auto next_progress = begin + std::chrono::milliseconds(500);
    while (!interrupted && !crew.all_ended() && (counted || seconds_since(begin) < options.seconds)) {
        pause(counted ? 0.002 : std::min(0.05, std::max(0.0, options.seconds - seconds_since(begin))));
        if (!progress || Clock::now() < next_progress) continue;
        show_progress(crew, seconds_since(begin), shown);
        next_progress += std::chrono::milliseconds(500);
    }
    run.measuring = false;
    outcome->seconds = seconds_since(begin);
    outcome->after = usage_of(options.pids, WithMemory::yes);
    outcome->own_cpu = own_cpu() - own_before;
    outcome->interrupted = interrupted != 0;
    crew.stop();
    crew.join();
    if (progress) fmt::print(stderr, "\r\x1b[K");
    for (const auto& worker : crew.workers()) outcome->statistics.merge(worker->statistics);
    return outcome;
}

}  // namespace poplar::bench
