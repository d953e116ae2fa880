#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "engine/engine.h"
#include "mailstore/message.h"
#include "mailstore/view.h"

namespace poplar::mailstore {

/// One POP session's exclusive hold on an account's maildrop (RFC 1939 s4) and its view of it as of login: what
/// arrives or goes later changes nothing in it. Used by one session, on one thread.
class Maildrop {
public:
    virtual ~Maildrop() = default;  ///< gives the lock back
    /// Names it among all maildrops, for those who keep something of each.
    virtual ViewOf of() const = 0;
    std::uint64_t message_count() const { return totals_.messages; }       ///< as of login
    std::uint64_t octets() const { return totals_.octets; }                ///< as of login
    std::uint64_t ascii_octets() const { return totals_.ascii_octets(); }  ///< as of login, for a client without UTF-8
    bool has_utf8() const { return totals_.utf8_messages != 0; }  ///< as of login: whether any message has ascii_octets
    /// Of the list as of login. Null once that turned out not to be what the mailbox's counters say.
    const ListVersion* version() const { return version_ ? &*version_ : nullptr; }
    /// Whether a deletion only hides a message, as of login: others see it still.
    bool hides() const { return hides_; }
    /// All messages as of login, oldest first: message number n is element n-1. Loaded at the first call. When that
    /// call comes late, and somebody else removed messages before it, this and the next two functions fail with
    /// conflict. If the messages are not what the mailbox's counters said (check() would answer corrupt), the counts
    /// above follow the messages from then on.
    virtual Task<Result<const std::vector<Message>*>> messages() = 0;
    /// The messages from number `older.messages` + 1 on: what came since the list was `older`, which version()
    /// continues. Reads no others. Valid until the next call of this or of messages(). Errors: corrupt (they do not
    /// add up: messages() has what there is).
    virtual Task<Result<std::span<const Message>>> messages_since(ListVersion older) = 0;
    /// The message with this number, for a caller who knows its unique-id: reads no others. Valid as long as the
    /// maildrop.
    virtual Task<Result<const Message*>> message(std::uint32_t number, std::string unique_id) = 0;
    /// Opens a message's bytes in wire form. Works even if another party deleted it meanwhile. Errors: corrupt,
    /// not_found (its days in the retained area are over).
    virtual Task<Result<std::unique_ptr<engine::BodyReader>>> open(const Message& message) = 0;
    /// As BodySeries::try_open_whole.
    virtual std::unique_ptr<engine::BodyReader> try_open_whole(const Message& message) = 0;
    /// To be called when nothing may be wanted for a while: closes files, and drops a snapshot that has grown old.
    virtual void become_idle() {}
    /// Deletes the messages with these numbers (1-based, ascending): all or none, durable when it returns. They are
    /// moved to the retained area, or, if the account has more than one view, hidden in this one. Those that somebody
    /// else removed meanwhile count as removed. Errors: invalid (not such numbers), denied (the lock was lost, or the
    /// view is gone), too_large (the view has too many gaps).
    virtual Task<Result<>> remove(std::vector<std::uint32_t> numbers) = 0;

protected:
    MailboxTotals totals_;
    std::optional<ListVersion> version_;
    bool hides_ = false;
};

}  // namespace poplar::mailstore
