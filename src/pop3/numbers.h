#pragma once
// Finds the message that a number names, and reads no more than the client's commands need.
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "mailstore/mail_store.h"
#include "pop3/command.h"

namespace poplar::pop3 {

/// The messages of a maildrop by their numbers, which stay as they were at the login (RFC 1939 s4). Messages that it
/// hands out are valid as long as the maildrop.
class MessageNumbers {
public:
    using Message = mailstore::Message;

    explicit MessageNumbers(mailstore::Maildrop& maildrop) : maildrop_(maildrop) {}

    /// Null: it has not been read, or there is none.
    const Message* at_hand(MessageNumber number) const {
        if (number >= first_ && number - first_ < known_.size()) return &known_[number - first_];
        return singly_.empty() ? nullptr : find_singly(number);
    }
    /// Whether all have been read; all() has them then.
    bool complete() const { return complete_; }
    std::span<const Message> all() const { return known_; }

    /// Reads all. Errors: the store's.
    Task<Result<>> load();
    /// Takes over the messages from `first` on, which were read for another purpose.
    void learn(std::uint64_t first, std::span<const Message> messages);

    /// Whether read_one() is cheaper than load(): there are many messages, and few have been read singly so far.
    bool pays_singly(MessageNumber number) const;
    /// Reads the message that has this unique-id. Null: it can't; load() says what is wrong.
    Task<const Message*> read_one(MessageNumber number, std::string unique_id);

private:
    const Message* find_singly(MessageNumber number) const;

    mailstore::Maildrop& maildrop_;
    std::span<const Message> known_;  // from number first_ on
    std::uint64_t first_ = 1;
    bool complete_ = false;
    std::map<MessageNumber, const Message*> singly_;
};

}  // namespace poplar::pop3
