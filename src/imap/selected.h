#pragma once
// A mailbox as its client knows it: which message has which number, and the flags that were told.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "imap/sequence_set.h"
#include "mailstore/mail_store.h"

namespace poplar::imap {

using mailstore::ListedMessage;
using mailstore::MessageList;
using mailstore::ModSequence;
using mailstore::Uid;

/// Whether messages that are gone may lose their numbers now (RFC 9051 s7.5.1).
enum class Expunges : std::uint8_t { told, held };

/// The changes between two lists of a mailbox.
struct Differences {
    std::vector<std::uint32_t> gone;     ///< indexes in the old list, ascending
    std::vector<std::uint32_t> changed;  ///< indexes in the new list of those whose mod-sequence is another
    std::size_t fresh = 0;               ///< messages that came; they are at the new list's end
};
Differences compare(const MessageList& before, const MessageList& after);
/// The same, where only these UIDs (ascending, each once) can be different: it costs what has changed. Nothing: others
/// are different, too.
std::optional<Differences> compare_at(const MessageList& before, const MessageList& after,
                                      std::span<const std::uint32_t> uids);
/// `after`, with the messages of `before` at these indexes in their places, as their numbers are still in use.
std::shared_ptr<const MessageList> with_gone(const MessageList& before, std::span<const std::uint32_t> gone,
                                             const MessageList& after);

/// `before` with the flags of `after`: what is gone stays, and what came does not come.
std::shared_ptr<const MessageList> frozen(const MessageList& before, const MessageList& after);

/// Those numbers of `uids` that no message of the list has.
std::vector<SequenceSet::Range> without_messages(const std::vector<SequenceSet::Range>& uids, const MessageList& list);
/// Those that are in both.
std::vector<SequenceSet::Range> common(const std::vector<SequenceSet::Range>& a,
                                       const std::vector<SequenceSet::Range>& b);

class Selected {
public:
    Selected(const mailstore::Mailbox& mailbox, bool read_only, std::shared_ptr<const MessageList> list,
             std::vector<std::string> keywords);

    mailstore::MailboxId id() const { return id_; }
    bool read_only() const { return read_only_; }
    const MessageList& list() const { return *list_; }
    const std::shared_ptr<const MessageList>& shared_list() const { return list_; }
    std::uint32_t count() const { return static_cast<std::uint32_t>(list_->messages.size()); }
    /// The last UID that was given when the list was read, whether its message is still there or not.
    std::uint32_t last_uid() const { return last_uid_; }
    std::uint32_t greatest_uid() const { return count() == 0 ? 0 : list_->messages.back().uid; }

    /// The changes that the client is told next. `keywords`: the mailbox's. `holds_gone`: messages that are gone are in
    /// the list, because their numbers are in use; or some that came are not, because nobody wants to hear of them.
    void replace(std::shared_ptr<const MessageList> list, bool holds_gone = false);
    bool holds_gone() const { return holds_gone_; }
    void set_keywords(std::vector<std::string> keywords);
    const std::vector<std::string>& keywords() const { return keywords_; }
    /// Whether the list has a keyword without a name: they are to be read anew.
    bool lacks_keywords() const;

    /// The index of a message; nothing: there is none with this UID.
    std::optional<std::uint32_t> find(std::uint32_t uid) const;
    /// Indexes of the messages in a set that was resolved.
    std::vector<std::uint32_t> indexes_of_numbers(const SequenceSet& set) const;
    std::vector<std::uint32_t> indexes_of_uids(const SequenceSet& set) const;

    /// As they stand between the parentheses of FLAGS.
    std::string flags_of(const ListedMessage& message) const;
    const std::vector<std::string>& keywords_of(const ListedMessage& message) const;

    /// The list has all of the account's changes up to this one, and maybe some after it.
    ModSequence seen;
    /// The last result of SEARCH that was saved (RFC 5182): UIDs.
    SequenceSet saved;
    /// Changes that the client has been told already: their UIDs, up to which mod-sequence. Until the next update.
    std::map<std::uint32_t, ModSequence> told;

private:
    void name_sets();

    mailstore::MailboxId id_;
    bool read_only_;
    bool holds_gone_ = false;
    std::uint32_t last_uid_;
    std::shared_ptr<const MessageList> list_;
    std::vector<std::string> keywords_;
    std::vector<std::vector<std::string>> sets_;  // the names of each of the list's keyword sets
};

/// The system flags by their names, in the order of their bits.
std::string_view flag_name(std::size_t bit);
inline constexpr std::size_t kSystemFlags = 5;

/// Flags as a client named them.
struct NamedFlags {
    std::uint8_t system = 0;
    std::vector<std::string> keywords;
};
/// Nothing: one of them begins with "\" and is no flag that can be set.
std::optional<NamedFlags> sort_flags(const std::vector<std::string>& names);

}  // namespace poplar::imap
