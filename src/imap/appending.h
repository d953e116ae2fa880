#pragma once
#include <memory>

#include "imap/append_words.h"
#include "imap/client.h"
#include "imap/incoming.h"
#include "quota/quotas.h"

namespace poplar::imap {

/// An APPEND or a REPLACE under way.
struct Client::Appending {
    explicit Appending(AppendGrammar::Messages messages) : grammar(messages) {}
    AppendGrammar grammar;
    mailstore::Mailbox mailbox;
    std::optional<mailstore::MessageAt> replaced;
    std::uint64_t freed = 0;   ///< octets that the replaced message gives back, as far as they are not used again
    std::uint64_t octets = 0;  ///< of all messages so far
    std::unique_ptr<Incoming> message;
    mailstore::NewMessage form;  ///< the flags and the time of the message under way
    std::vector<mailstore::NewMessage> messages;
    std::vector<quota::Reservation> room;
};

}  // namespace poplar::imap
