#pragma once
// The server as a whole: its status, the check of what is stored, the clock.
#include "api/operation.h"

namespace poplar::api {

struct ListeningAddress {
    std::string protocol, address;
    static const Shape& shape();
};

struct SessionCounts {
    std::uint64_t live = 0, total = 0;
    static const Shape& shape();
};

struct Connections {
    std::map<std::string, SessionCounts> by_protocol;
    std::uint64_t accepted = 0, refused_total_limit = 0, refused_peer_limit = 0;
    static const Shape& shape();
};

struct DirectoryTotals {
    std::optional<std::uint64_t> domains, accounts, aliases;
    std::optional<std::string> error;
    static const Shape& shape();
};

struct PostmasterState {
    std::optional<bool> named;
    std::optional<std::uint64_t> kept_messages, kept_octets;
    std::optional<std::string> error;
    static const Shape& shape();
};

/// One damaged place, and what a verification says beside.
struct VerifyEvent {
    std::string type;
    std::optional<std::string> what, file, account, message;
    std::optional<std::uint64_t> offset, partition, body;
    std::optional<std::uint64_t> segments, records, bodies, octets, damaged, accounts;
    static const Shape& shape();
};

struct FileDamage {
    std::string file, what;
    std::uint64_t offset = 0;
    static const Shape& shape();
};

struct Copying {
    std::string state;
    std::uint64_t copies = 0, copied_octets = 0, freed_octets = 0;
    static const Shape& shape();
};

struct Storage {
    std::string health, state, directory;
    std::uint64_t segments = 0, log_octets = 0, index_octets = 0, free_octets = 0, staged_octets = 0;
    std::uint64_t used_octets = 0, live_octets = 0, large_octets = 0, commits = 0, groups = 0;
    Copying copying;
    std::vector<FileDamage> damage_found_at_start;
    static const Shape& shape();
};

struct Scrub {
    bool under_way = false;
    Nullable<std::string> begun, ended;
    std::uint64_t records = 0, bodies = 0, octets = 0, damaged = 0;
    std::vector<VerifyEvent> damage;
    std::string failure;
    static const Shape& shape();
};

struct ClockState {
    bool doubted = false;
    std::string time;
    std::optional<std::string> expected, since;
    std::optional<Nullable<std::string>> believed_at;
    static const Shape& shape();
};

struct Housekeeping {
    std::uint64_t accounts = 0, aged_messages = 0, expired_messages = 0, purged_accounts = 0, failures = 0;
    bool suspended = false;
    static const Shape& shape();
};

struct Status {
    std::string version, hostname;
    std::uint64_t pid = 0;
    std::string started;
    std::uint64_t uptime_seconds = 0;
    bool stopping = false;
    std::string config;
    std::vector<ListeningAddress> listening;
    Nullable<std::string> certificate_expires;
    Connections connections;
    DirectoryTotals directory;
    PostmasterState postmaster;
    Storage storage;
    Scrub scrub;
    ClockState clock;
    Nullable<Housekeeping> housekeeping;
    static const Shape& shape();
};

struct ShowStatus {
    using Reply = Status;
    static const Operation& operation();
};

/// The reply is VerifyEvents, one a line.
struct Verify {
    static const Operation& operation();
};

struct Scrubbing {
    bool scrubbing = true;
    static const Shape& shape();
};

struct BeginScrub {
    using Reply = Scrubbing;
    static const Operation& operation();
};

struct Confirmation {
    bool confirmed = true;
    static const Shape& shape();
};

struct ConfirmClock {
    using Reply = Confirmation;
    static const Operation& operation();
};

}  // namespace poplar::api
