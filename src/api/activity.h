#pragma once
// An account's ledger, open sessions, and what the limits of logins hold up.
#include "api/operation.h"

namespace poplar::api {

struct Activity {
    std::string kind, first, last;
    std::uint64_t times = 0, messages = 0;
    std::optional<std::string> device, device_name;
    std::string from, protocol, detail;
    std::optional<Yes> sum;
    static const Shape& shape();
};

struct ActivityList {
    std::vector<Activity> entries;
    std::uint64_t next = 0, damaged = 0;
    static const Shape& shape();
};

struct ListActivity {
    std::string address;
    std::optional<std::string> since, kind;
    std::uint64_t after = 0, limit = 1000;
    using Reply = ActivityList;
    static const Operation& operation();
};

struct Session {
    std::string id, protocol, account, device, from, since, state;
    std::uint64_t idle_seconds = 0;
    bool tls = false;
    static const Shape& shape();
};

struct SessionList {
    std::vector<Session> sessions;
    bool more = false;
    static const Shape& shape();
};

struct ListSessions {
    std::optional<std::string> address;
    std::uint64_t limit = 1000;
    using Reply = SessionList;
    static const Operation& operation();
};

struct EndSession {
    std::string id;
    using Reply = Session;
    static const Operation& operation();
};

struct Blocked {
    std::string limit, account, from;
    std::uint64_t failures = 0, delay_seconds = 0, lasts_seconds = 0;
    static const Shape& shape();
};

struct BlockedList {
    std::vector<Blocked> blocked;
    std::uint64_t total = 0;
    static const Shape& shape();
};

struct ListBlocked {
    std::uint64_t limit = 1000;
    using Reply = BlockedList;
    static const Operation& operation();
};

struct Release {
    std::uint64_t released = 0;
    static const Shape& shape();
};

struct ClearBlocked {
    std::string who;
    using Reply = Release;
    static const Operation& operation();
};

}  // namespace poplar::api
