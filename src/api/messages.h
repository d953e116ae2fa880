#pragma once
// An account's mail: what is there, what was deleted, and delivering by hand.
#include "api/domains.h"
#include "api/operation.h"

namespace poplar::api {

struct Message {
    std::string unique_id;
    std::uint64_t order = 0, octets = 0;
    std::string received;
    std::uint64_t mailbox = 1, uid = 0;
    std::vector<std::string> flags;
    std::optional<std::string> from, subject, date, error, deleted, expires, reason, deleted_by;
    std::optional<std::vector<std::string>> devices;
    static const Shape& shape();
};

struct MessageList {
    std::vector<Message> messages;
    static const Shape& shape();
};

struct ListMessages {
    std::string address;
    std::optional<std::string> mailbox;
    std::uint64_t after = 0, limit = 100;
    bool headers = true;
    using Reply = MessageList;
    static const Operation& operation();
};

struct ShowMessage {
    std::string address, id;
    using Reply = Message;
    static const Operation& operation();
};

/// The reply is the message itself.
struct FetchMessage {
    std::string address, id;
    static const Operation& operation();
};

struct RemoveMessage {
    std::string address, id;
    using Reply = Removal;
    static const Operation& operation();
};

struct ListRetained {
    std::string address;
    std::uint64_t offset = 0, limit = 100;
    bool headers = true;
    using Reply = MessageList;
    static const Operation& operation();
};

/// The reply is the message itself.
struct FetchRetained {
    std::string address, id;
    static const Operation& operation();
};

struct RestoreMessage {
    std::string address, id;
    using Reply = Message;
    static const Operation& operation();
};

struct Restoration {
    std::uint64_t restored = 0, octets = 0, already = 0;
    bool more = false;
    std::vector<std::string> missing;
    std::vector<Message> messages;
    static const Shape& shape();
};

struct RestoreMessages {
    static constexpr std::size_t kAtOnce = 1000;
    std::string address;
    std::optional<std::vector<std::string>> ids;
    std::optional<std::string> since, until, device, mailbox, subject, from_header, to;
    std::optional<Yes> all, dry_run;
    using Reply = Restoration;
    static const Operation& operation();
};

struct Delivered {
    std::string recipient, transaction;
    std::uint64_t octets = 0;
    static const Shape& shape();
};

struct Learned {
    std::string id, kind;
    static const Shape& shape();
};

/// The message stays where it is.
struct LearnMessage {
    std::string address, kind, id;
    using Reply = Learned;
    static const Operation& operation();
};

/// The body is the message.
struct Deliver {
    std::string recipient, sender;
    std::optional<std::string> mailbox;
    using Reply = Delivered;
    static const Operation& operation();
};

}  // namespace poplar::api
