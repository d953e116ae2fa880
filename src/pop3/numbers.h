#pragma once
// Which message a number names, read only as far as the client's commands want it.
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "mailstore/mail_store.h"
#include "pop3/command.h"

namespace poplar::pop3 {

/// The messages of a maildrop by their numbers, which are those of the login for the whole session (RFC 1939 s4). What
/// it hands out is valid as long as the maildrop.
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
    /// The messages from `first` on have been read, for another purpose.
    void learn(std::uint64_t first, std::span<const Message> messages);

    /// Whether to look for the unique-id of this message: it is one of many, and few have been read by read_one().
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
