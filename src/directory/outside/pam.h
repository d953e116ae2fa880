#pragma once
// PAM, in a process of its own that is forked before the server has threads, secrets or sockets. The server never loads
// a PAM module: what one leaks, breaks or waits for stays there. The process has the rights that the server was started
// with, because pam_unix reads /etc/shadow as root alone.
#include <atomic>
#include <memory>
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

    /// Uses one lane; to be called once for each.
    static std::unique_ptr<Connection> connect(std::shared_ptr<PamProcess> process, const Settings& settings);

private:
    explicit PamProcess(std::vector<int> lanes) : lanes_(std::move(lanes)) {}
    std::vector<int> lanes_;  ///< sockets
    std::atomic<std::size_t> next_ = 0;
};

}  // namespace poplar::directory::outside
