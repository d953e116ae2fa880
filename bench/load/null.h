#pragma once
// A server that does no work: the limit that real ones are held against on the same machine. POP3 with canned answers,
// made before the first client comes; LMTP whose messages are appended to a file and synced, many at once.
#include <sys/uio.h>

#include <coroutine>
#include <cstddef>
#include <string>
#include <vector>

#include "bench/load/channel.h"
#include "bench/load/loop.h"
#include "bench/load/options.h"
#include "net/file_descriptor.h"

namespace poplar::bench {

/// The content of every maildrop, as it goes over the wire. The answers to RETR lie side by side in 64 MB of memory and
/// are given one after the other: the messages of many maildrops are not in a processor's cache either.
class CannedMaildrop {
public:
    CannedMaildrop(std::uint64_t count, std::size_t size);
    std::string_view retr(std::uint64_t number) const {
        return std::string_view(messages_).substr(number % copies_ * message_size_, message_size_);
    }
    std::string stat, list, uidl;

private:
    std::string messages_;
    std::size_t message_size_ = 0;
    std::uint64_t copies_ = 0;
};

/// Serves one POP3 client. `context`: for STLS and TLS; `implicit`: TLS from the first octet.
enum class Implicit { no, yes };
Detached serve_pop3(Loop& loop, int accepted, const CannedMaildrop& maildrop, SSL_CTX* context, Implicit implicit);

/// The file at the end of LMTP. Messages of all connections that became ready in one round of events are written with
/// one call and made durable with one fdatasync.
class Sink {
public:
    explicit Sink(const std::string& file);

    /// Writes a part of a message that does not fit into its connection's buffer, without a sync.
    void append(std::string_view octets);
    /// Awaitable: `octets` (which stay where they are) are on the disk.
    auto commit(std::string_view octets) {
        struct Commit {
            Sink& sink;
            std::string_view octets;
            bool await_ready() const { return false; }
            void await_suspend(std::coroutine_handle<> waiter) const {
                sink.pieces_.push_back({const_cast<char*>(octets.data()), octets.size()});
                sink.waiters_.push_back(waiter);
            }
            void await_resume() const {}
        };
        return Commit{*this, octets};
    }
    /// Writes, syncs and wakes all that wait. Called after each round of events.
    void sync();

private:
    void write(std::vector<iovec>& pieces);

    net::FileDescriptor file_;
    off_t end_ = 0, allocated_ = 0;
    std::vector<iovec> pieces_, one_;
    std::vector<std::coroutine_handle<>> waiters_, waking_;
};

/// Serves one LMTP client.
Detached serve_lmtp(Loop& loop, int accepted, Sink& sink);

/// Runs until SIGINT or SIGTERM; prints one JSON line with its addresses once it listens. Returns the exit code.
int run_null(const NullOptions& options);

}  // namespace poplar::bench
