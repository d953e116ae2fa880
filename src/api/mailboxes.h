#pragma once
// An account's mailboxes, what moves between them, and the change log.
#include "api/domains.h"
#include "api/messages.h"
#include "api/operation.h"

namespace poplar::api {

struct Mailbox {
    std::string name;
    std::uint64_t id = 0;
    Nullable<std::string> use;
    bool subscribed = false;
    std::uint64_t messages = 0, octets = 0, unseen = 0, deleted = 0, uid_validity = 0, uid_next = 0, mod_sequence = 0;
    static const Shape& shape();
};

struct MailboxList {
    std::vector<Mailbox> mailboxes;
    static const Shape& shape();
};

struct ListMailboxes {
    std::string address;
    using Reply = MailboxList;
    static const Operation& operation();
};

struct AddMailbox {
    std::string address, name;
    std::optional<std::string> use;
    using Reply = Mailbox;
    static const Operation& operation();
};

struct RenameMailbox {
    std::string address, name, to;
    using Reply = Mailbox;
    static const Operation& operation();
};

struct SubscribeMailbox {
    std::string address, name;
    bool subscribed = true;
    using Reply = Mailbox;
    static const Operation& operation();
};

struct RemoveMailbox {
    std::string address, name;
    using Reply = Removal;
    static const Operation& operation();
};

struct MoveMessage {
    std::string address, id, mailbox;
    using Reply = Message;
    static const Operation& operation();
};

struct CopyMessage {
    std::string address, id, mailbox;
    using Reply = Message;
    static const Operation& operation();
};

struct FlagMessage {
    std::string address, id;
    std::optional<std::vector<std::string>> add, remove;
    using Reply = Message;
    static const Operation& operation();
};

struct Change {
    std::uint64_t number = 0;
    std::string kind;
    std::uint64_t mailbox = 0;
    std::vector<std::string> uids;
    std::optional<std::uint64_t> to;
    std::optional<std::vector<std::string>> to_uids;
    static const Shape& shape();
};

struct ChangeList {
    std::uint64_t number = 0;
    bool forgotten = false;
    std::vector<Change> changes;
    static const Shape& shape();
};

struct ListChanges {
    std::string address;
    std::uint64_t since = 0, limit = 1000;
    using Reply = ChangeList;
    static const Operation& operation();
};

}  // namespace poplar::api
