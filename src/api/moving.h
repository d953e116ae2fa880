#pragma once
// Mail that is brought along from another server.
#include "api/operation.h"

namespace poplar::api {

struct ImportedMessage {
    std::string source, unique_id, state;
    std::optional<std::string> not_kept;
    static const Shape& shape();
};

/// The body is the message.
struct ImportMessage {
    std::string address, source;
    std::optional<std::string> mailbox, unique_id, flags;
    std::optional<std::uint64_t> received;
    using Reply = ImportedMessage;
    static const Operation& operation();
};

struct ImportedList {
    std::vector<ImportedMessage> messages;
    static const Shape& shape();
};

struct FindImported {
    static constexpr std::size_t kAtOnce = 1000;
    std::string address;
    std::vector<std::string> sources;
    using Reply = ImportedList;
    static const Operation& operation();
};

}  // namespace poplar::api
