#pragma once
// Quotas: how much mail accounts and domains may hold, and how much they do.
#include "api/operation.h"

namespace poplar::api {

/// A limit in octets; on the command line a size like 2GB. 0: none.
struct Octets {
    static constexpr std::uint64_t kMost = std::uint64_t(1) << 50;
    std::uint64_t count = 0;
};

/// A limit in messages. 0: none.
struct MessageCount {
    static constexpr std::uint64_t kMost = 1'000'000'000;
    std::uint64_t count = 0;
};

struct Quota {
    std::string name;
    Nullable<Octets> bytes;
    Nullable<MessageCount> messages;
    std::optional<Nullable<Octets>> total_bytes;
    std::optional<Nullable<MessageCount>> total_messages;
    std::optional<std::uint64_t> most_bytes, most_messages;
    std::uint64_t used_bytes = 0, used_messages = 0;
    static const Shape& shape();
};

struct ShowQuota {
    std::string name;
    using Reply = Quota;
    static const Operation& operation();
};

struct SetQuota {
    std::string name;
    std::optional<Nullable<Octets>> bytes;
    std::optional<Nullable<MessageCount>> messages;
    std::optional<Nullable<Octets>> total_bytes;
    std::optional<Nullable<MessageCount>> total_messages;
    using Reply = Quota;
    static const Operation& operation();
};

struct Recount {
    std::string name;
    std::uint64_t accounts = 0;
    std::vector<std::string> corrected;
    std::uint64_t used_bytes = 0, used_messages = 0;
    static const Shape& shape();
};

struct RecountQuota {
    std::string name;
    using Reply = Recount;
    static const Operation& operation();
};

}  // namespace poplar::api
