#pragma once
// A run: threads with a loop each, connections that repeat an operation, what is measured of them and of the server.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/loop.h"
#include "bench/load/messages.h"
#include "bench/load/options.h"
#include "bench/load/process.h"
#include "bench/load/statistics.h"
#include "bench/load/tls.h"

namespace poplar::bench {

/// Shared by all threads of a run.
struct Run {
    explicit Run(Options o);

    Options options;
    std::optional<MessagePool> pool;     ///< of what is delivered
    std::atomic<bool> measuring{false};  ///< off while warming up
    std::atomic<std::int64_t> left;      ///< of Options::count
    std::atomic<std::uint64_t> next_message{0};
    std::atomic<unsigned> connections_up{0};  ///< for idle: logged in and held
    Clock::time_point begun;
};

/// One thread's part.
class Worker {
public:
    explicit Worker(Run& run);

    Run& run;
    const Options& options;
    Loop loop;
    Statistics statistics;
    SslContext tls;
    unsigned live = 0;  ///< connections of this thread still at work

    /// Whether there is one more operation to begin; with a count, takes one from what is left.
    bool next();
    void finished(Clock::time_point begun, std::uint64_t octets);
    void session_ended(Clock::time_point begun);
    void failed(const Error& error);
    void one_less();  ///< a connection has ended; the loop stops with the last one
};

/// The work of connection number `index` of all: repeats its operation until the end.
using Work = std::function<Detached(Worker&, unsigned index)>;

/// A run's outcome, for the report.
struct Outcome {
    double seconds = 0;
    Statistics statistics;
    Usage before, after;  ///< of the server
    double own_cpu = 0;
    bool interrupted = false;
};

/// Runs `work` on all connections and measures for as long as the options say. SIGINT ends it early.
std::unique_ptr<Outcome> perform(Run& run, const Work& work);

/// Prints the outcome, as a table or as JSON. Returns the exit code: 1 if an operation failed or none was done.
int report(const Run& run, std::string_view name, const Outcome& outcome);

// The works.
Detached poll(Worker& worker, unsigned index);
Detached drain(Worker& worker, unsigned index);
Detached deliver(Worker& worker, unsigned index);
Detached mixed(Worker& worker, unsigned index);

/// Holds connections: its own measurement and report.
int run_idle(Run& run);

}  // namespace poplar::bench
