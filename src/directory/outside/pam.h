#pragma once
// PAM, in a process of its own that is forked before the server has threads, secrets or sockets. The server never loads
// a PAM module: what one leaks, breaks or waits for stays there. The process has the rights that the server was started
// with, because pam_unix reads /etc/shadow as root alone.
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "directory/outside/settings.h"
#include "directory/outside/source.h"

namespace poplar::directory::outside {

/// The server's end of the process. It ends when this does.
class PamProcess {
public:
    /// Forks. `lanes`: questions at a time; each is answered by a child of the process that is killed at the deadline.
    /// To be called on a process with one thread. Errors: io.
    static Result<std::shared_ptr<PamProcess>> start(std::size_t lanes);
    ~PamProcess();
    PamProcess(const PamProcess&) = delete;

    /// Uses one lane until it goes. Throws std::runtime_error if none is free.
    static std::unique_ptr<Connection> connect(std::shared_ptr<PamProcess> process, const Settings& settings);

    int take_lane();
    void give_back(int lane);
    /// Of a question; no two have the same, because an answer that nobody waits for any more may still come by a lane.
    std::uint32_t next_number() { return ++number_; }

private:
    explicit PamProcess(std::vector<int> lanes) : lanes_(std::move(lanes)), free_(lanes_) {}
    const std::vector<int> lanes_;  ///< sockets
    std::atomic<std::uint32_t> number_ = 0;
    std::mutex mutex_;
    std::vector<int> free_;  ///< lanes
};

}  // namespace poplar::directory::outside
