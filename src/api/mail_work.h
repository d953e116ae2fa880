#pragma once
// Work on the mail of a mailbox that is there already: a filter script, or an archive.
#include "api/operation.h"

namespace poplar::api {

struct MailWorkEvent {
    std::string type;
    std::optional<std::string> message, error;
    std::optional<std::vector<std::string>> done, skipped;
    std::optional<std::uint64_t> messages, looked_at, moved, copied, flagged, discarded, left_out, failed, mailboxes;
    static const Shape& shape();
};

struct RunScript {
    std::string address, script;
    std::optional<std::string> mailbox;
    bool dry_run = false;
    static const Operation& operation();
};

struct ArchiveMail {
    std::string address;
    Seconds older;
    std::optional<std::string> mailbox;
    std::string to;
    static const Operation& operation();
};

}  // namespace poplar::api
