#pragma once
// Lists of a mailbox's UIDs and flags that were read before. A program for IMAP asks for all of them each time it opens
// a mailbox; one that is kept is brought up to date by the change log, so that this costs what has changed.
#include <memory>
#include <mutex>

#include "base/octet_cache.h"
#include "mailstore/mail_store.h"

namespace poplar::mailstore {

/// Keeps the last list of each mailbox, up to so many octets in all; then the one not used for longest goes. May be
/// used from any thread.
class UidLists {
public:
    /// 0: keeps nothing.
    explicit UidLists(std::size_t octets) : cache_(octets) {}

    /// The mailbox's list as it is now. Errors: not_found (no such mailbox).
    Task<Result<std::shared_ptr<const MessageList>>> read(engine::Engine& engine, AccountId account, MailboxId mailbox);

private:
    /// A list, as it was at this change of the account.
    struct Kept {
        ModSequence number;
        std::shared_ptr<const MessageList> list;
    };
    struct Key {
        AccountId account;
        MailboxId mailbox;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const {
            return std::hash<std::uint64_t>()(key.account.value * 0x9e37'79b9'7f4a'7c15 + key.mailbox.value);
        }
    };

    Kept find(Key key);
    void keep(Key key, Kept kept);

    std::mutex mutex_;
    OctetCache<Key, Kept, Hash> cache_;
};

}  // namespace poplar::mailstore
