#pragma once
// LMTP and SMTP as a client speaks them.
#include <cstdint>
#include <string>

#include "bench/load/run.h"

namespace poplar::bench {

class MailSession {
public:
    MailSession(Worker& worker, Channel& channel) : worker_(worker), channel_(channel) {}

    bool open() const { return open_; }
    Task<Result<>> connect();
    /// Delivers the `number`-th message to the accounts from the `number`-th on. On the last one that a connection may
    /// carry (ours or the server's limit) the connection ends; open() tells.
    Task<Result<>> deliver(std::uint64_t number);
    Task<Result<>> quit();

private:
    Task<Result<>> expect(int code, std::string_view command);
    Task<Result<>> envelope(std::uint64_t number);

    Worker& worker_;
    Channel& channel_;
    std::string out_, name_;
    bool open_ = false;
    unsigned delivered_ = 0;
};

}  // namespace poplar::bench
