#pragma once
// NOTIFY's words (RFC 5465): which events a client wants to be told of, and of which mailboxes.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "imap/cursor.h"
#include "imap/fetch_items.h"

namespace poplar::imap {

/// Bits of EventGroup::events.
namespace events {
inline constexpr std::uint8_t kMessageNew = 1, kMessageExpunge = 2, kFlagChange = 4, kMailboxName = 8,
                              kSubscription = 16, kMailboxMetadata = 32, kServerMetadata = 64;
inline constexpr std::uint8_t kOfMessages = kMessageNew | kMessageExpunge | kFlagChange;
}  // namespace events

/// As BADEVENT lists them.
inline constexpr std::string_view kEventNames =
    "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange";

struct EventGroup {
    enum class Filter : std::uint8_t { selected, selected_delayed, personal, subscribed, subtree, mailboxes };
    Filter filter = Filter::personal;
    std::vector<std::string> names = {};  ///< of `subtree` and `mailboxes`
    std::uint8_t events = 0;
    std::vector<FetchItem> items = {};  ///< told of a new message; of the selected mailbox only
    bool is_selected() const { return filter <= Filter::selected_delayed; }
    /// Whether it is about this mailbox. Not for the selected one.
    bool covers(std::string_view name, bool subscribed) const;
};

struct NotifyRequest {
    bool none = false;     ///< NOTIFY NONE
    bool status = false;   ///< STATUS of all mailboxes at once
    bool unknown = false;  ///< it wants an event that there is not
    std::vector<EventGroup> groups = {};

    static constexpr std::size_t kMostGroups = 100;
    static constexpr std::size_t kMostNames = 1000;  ///< of mailboxes, in all groups
};
/// Takes all that stands behind NOTIFY. Nothing: not of the grammar, or events that can't be wanted without others (RFC
/// 5465 s5).
std::optional<NotifyRequest> parse_notify(Cursor& in);

}  // namespace poplar::imap
