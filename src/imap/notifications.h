#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "imap/annotations.h"
#include "imap/client.h"
#include "imap/notify_words.h"
#include "imap/waker.h"

namespace poplar::imap {

/// All that NOTIFY tells of, as it was when the client was told last.
struct Client::Account {
    std::map<std::uint32_t, mailstore::Mailbox> mailboxes = {};  ///< by their numbers
    std::vector<std::string> lost = {};                          ///< subscriptions, in order
    Annotations annotations = {};
};

/// The events that a client wants to hear of (RFC 5465). One that wants none has no groups.
struct Client::Notifications {
    std::vector<EventGroup> groups;  ///< names as the store has them
    Account told;
    ModSequence seen;  ///< of the account: `told` has all up to this one
    std::optional<Waker> waker = {};
    std::unique_ptr<engine::Watch> watch = {};

    /// Of the selected mailbox; null: none.
    const EventGroup* selected() const {
        for (const auto& group : groups)
            if (group.is_selected()) return &group;
        return nullptr;
    }
    std::uint8_t of_selected() const { return selected() ? selected()->events : 0; }
    bool delays_expunges() const { return selected() && selected()->filter == EventGroup::Filter::selected_delayed; }
    /// Of another mailbox.
    std::uint8_t of(std::string_view name, bool subscribed) const {
        std::uint8_t all = 0;
        for (const auto& group : groups)
            if (group.covers(name, subscribed)) all |= group.events;
        return all;
    }
    std::uint8_t all() const {
        std::uint8_t wanted = 0;
        for (const auto& group : groups)
            if (!group.is_selected()) wanted |= group.events;
        return wanted;
    }
};

}  // namespace poplar::imap
