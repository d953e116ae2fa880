#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/asio.h"

namespace poplar::net {

/// The threads that sessions run on: each has an io_context of its own, and a connection lives and dies on one.
class Workers {
public:
    explicit Workers(std::size_t threads);
    /// One worker on a context that its owner runs: start() and stop() do nothing.
    explicit Workers(asio::io_context& context) : contexts_{&context} {}
    /// stop()s, then destroys what still waits on the contexts: what those sessions use must still be there.
    ~Workers();

    void start();
    /// Joins the threads as they run out of work, which is at once when Server::live() has reached 0. Those that have
    /// not after a moment finish the handler they are in; sessions that still wait are not resumed any more.
    void stop();

    std::size_t size() const { return contexts_.size(); }
    asio::io_context& context(std::size_t worker) { return *contexts_[worker]; }
    Executor executor(std::size_t worker) { return contexts_[worker]->get_executor(); }

private:
    using WorkGuard = asio::executor_work_guard<asio::io_context::executor_type>;
    std::vector<std::unique_ptr<asio::io_context>> own_;
    std::vector<asio::io_context*> contexts_;
    std::vector<WorkGuard> guards_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable finished_;
    std::size_t running_ = 0;
};

}  // namespace poplar::net
