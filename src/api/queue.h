#pragma once
// Mail that waits to leave.
#include "api/domains.h"

namespace poplar::api {

struct QueuedRecipient {
    std::string address, state;
    std::string last_reply, host;
    std::uint64_t attempts = 0;
    Nullable<std::string> next_attempt;
    static const Shape& shape();
};

struct QueuedMessage {
    std::string id, sender;
    Nullable<std::string> account;
    std::uint64_t octets = 0;
    std::string arrived;
    Nullable<std::string> finished;
    std::vector<QueuedRecipient> recipients;
    static const Shape& shape();
};

struct Queue {
    std::vector<QueuedMessage> messages;
    static const Shape& shape();
};

struct ListQueue {
    std::string after;
    std::uint64_t limit = 1000;
    std::optional<bool> all;
    using Reply = Queue;
    static const Operation& operation();
};

struct ShowQueued {
    std::string id;
    using Reply = QueuedMessage;
    static const Operation& operation();
};

/// How many messages and recipients something was done to.
struct QueueChange {
    std::uint64_t messages = 0, recipients = 0, busy = 0;
    static const Shape& shape();
};

struct RetryQueue {
    std::optional<std::string> id, domain;
    using Reply = QueueChange;
    static const Operation& operation();
};

struct HoldQueued {
    std::string id;
    using Reply = QueueChange;
    static const Operation& operation();
};

struct ReleaseQueued {
    std::string id;
    using Reply = QueueChange;
    static const Operation& operation();
};

struct RemoveQueued {
    std::string id;
    using Reply = QueueChange;
    static const Operation& operation();
};

}  // namespace poplar::api
