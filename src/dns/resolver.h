#pragma once
// Questions to the DNS, each with a deadline of our own. libunbound asks, keeps answers and validates.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/error.h"

namespace poplar::dns {

enum class Type : std::uint16_t { a = 1, ptr = 12, mx = 15, txt = 16, aaaa = 28 };

struct Answer {
    std::vector<std::string> records;  ///< the data of each, as on the wire
    bool exists = true;                ///< false: there is no such name (NXDOMAIN)
};

/// Asks the DNS.
class Lookup {
public:
    virtual ~Lookup() = default;
    /// `name` in ASCII. Aliases (CNAME) are followed. An answer without records is none of the errors: timed_out; io
    /// (no server has an answer: SERVFAIL, or data that fails validation); invalid (it is no name); cancelled.
    virtual Task<Result<Answer>> ask(std::string name, Type type) = 0;
};

struct Options {
    std::vector<std::string> servers;  ///< "192.0.2.53:53", "[2001:db8::53]:53"; none: those of /etc/resolv.conf
    std::chrono::milliseconds timeout = std::chrono::seconds(20);  ///< of one question, all retries together
    std::uint64_t cache_octets = 8u << 20;                         ///< of answers, about
    std::string trust_anchors = {};                                ///< a file (RFC 4035 s5); "": nothing is validated
};

/// "IPv4:PORT" or "[IPv6]:PORT", the port may be left out, as libunbound writes it. Errors: invalid.
Result<std::string> parse_server(const std::string& text);

/// To be used on one executor's thread, and destroyed when nothing waits on it any more.
class Resolver final : public Lookup {
public:
    /// Errors: invalid (a server, or the file of trust anchors).
    static Result<std::unique_ptr<Resolver>> make(Executor executor, const Options& options);
    ~Resolver() override;
    Task<Result<Answer>> ask(std::string name, Type type) override;
    /// Every question that waits, and every later one, answers cancelled.
    void stop();

private:
    struct Core;
    explicit Resolver(std::shared_ptr<Core> core) : core_(std::move(core)) {}
    std::shared_ptr<Core> core_;
};

}  // namespace poplar::dns
