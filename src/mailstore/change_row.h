#pragma once
// A row of an account's change log (storage-format.md, "The change log"): what one commit did, for everybody who
// has read the account before.
#include <string>
#include <vector>

#include "base/error.h"
#include "mailstore/message.h"

namespace poplar::mailstore {

/// UIDs one after another.
struct UidRange {
    Uid first, last;
    bool operator==(const UidRange&) const = default;
};

/// Says what happened to some messages of a mailbox, or to the mailbox itself.
struct Change {
    enum class Kind : std::uint8_t {
        added = 1,            ///< `uids` are there: delivered, copied, restored
        removed = 2,          ///< `uids` are gone
        flags = 3,            ///< the flags of `uids` are others
        moved = 4,            ///< `uids` went `to` another mailbox, where they are `to_uids`, in this order
        mailbox = 5,          ///< it was made, or its name, use or subscription is another
        mailbox_removed = 6,  ///< with all that was in it
        document = 7,         ///< a document was put or removed
    };
    ModSequence number;
    Kind kind = Kind::added;
    MailboxId mailbox = kInbox;
    std::vector<UidRange> uids = {};
    MailboxId to{};
    std::vector<UidRange> to_uids = {};
    bool operator==(const Change&) const = default;
};

/// Gathers what a commit does.
class ChangeRow {
public:
    void add(Change::Kind kind, MailboxId mailbox, Uid uid);
    void add_move(MailboxId from, Uid uid, MailboxId to, Uid to_uid);
    /// Of the mailbox itself, or a document.
    void add(Change::Kind kind, MailboxId mailbox);
    bool empty() const { return changes_.empty(); }
    std::string encode(Timestamp time) const;

private:
    Change& change_of(Change::Kind kind, MailboxId mailbox, MailboxId to);
    std::vector<Change> changes_;  // few: one for each kind and mailbox
};

/// The changes of a row. Errors: corrupt.
Result<std::vector<Change>> decode_changes(engine::EntryView row);
/// When they were made.
Result<Timestamp> decode_change_time(std::string_view value);

}  // namespace poplar::mailstore
