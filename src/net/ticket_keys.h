#pragma once
// The keys of TLS session tickets (RFC 5077; RFC 8446 s4.6.1). A ticket holds its session's secret, so whoever has the
// key can read what was recorded: keys live in memory alone, and not for long.
#include <array>
#include <deque>
#include <mutex>
#include <optional>
#include <span>

#include "base/steady.h"

struct ssl_ctx_st;

namespace poplar::net {

/// May be used from any thread.
class TicketKeys {
public:
    static constexpr std::chrono::hours kUsed{1};      ///< for new tickets
    static constexpr std::chrono::hours kAccepted{3};  ///< since it was made: a ticket is good for two hours

    using Name = std::array<unsigned char, 16>;
    struct Key {
        Name name;
        std::array<unsigned char, 32> cipher, mac;  // AES-256-CBC, HMAC with SHA-256
        SteadyTime made;
    };

    TicketKeys() = default;
    TicketKeys(const TicketKeys&) = delete;
    ~TicketKeys();

    /// For a new ticket.
    Key current();
    /// For a ticket that came back. None: it is too old, or never was ours.
    std::optional<Key> find(std::span<const unsigned char> name);
    /// Whether new tickets are made with it.
    static bool is_current(const Key& key) { return SteadyClock::now() - key.made < kUsed; }

private:
    void drop_old();

    std::mutex mutex_;
    std::deque<Key> keys_;  // the newest in front
};

/// Lets `context` make and take tickets with the process's keys, so that they outlive a reload of the certificate.
void share_ticket_keys(ssl_ctx_st* context);

}  // namespace poplar::net
