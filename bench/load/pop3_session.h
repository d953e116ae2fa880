#pragma once
// POP3 as a client speaks it, one command after the other or pipelined.
#include <cstdint>
#include <string>

#include "bench/load/messages.h"
#include "bench/load/run.h"

namespace poplar::bench {

class Pop3Session {
public:
    Pop3Session(Worker& worker, Channel& channel) : worker_(worker), channel_(channel) {}

    /// Connects, with TLS if it is wanted, and logs in to the `account`-th account.
    Task<Result<>> log_in(std::uint64_t account);
    /// Sends a command (with its CRLF) and takes its answer's first line, which must be +OK.
    Task<Result<>> command(std::string_view line);
    /// The rest of a multi-line answer; returns how many lines it had. Nothing may follow it.
    Task<Result<std::uint64_t>> list();
    /// Fetches messages 1 to `count`, DELE after each if wanted, with up to `window` commands under way.
    Task<Result<>> fetch(std::uint64_t count, unsigned window, bool remove);
    /// QUIT, and the server's end of the connection.
    Task<Result<>> quit();

private:
    Task<Result<>> start_tls();
    Task<Result<>> expect_ok(std::string_view command);
    Task<Result<>> message(std::uint64_t& octets);

    Worker& worker_;
    Channel& channel_;
    std::string out_, name_;
};

}  // namespace poplar::bench
