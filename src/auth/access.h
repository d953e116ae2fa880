#pragma once
// Somebody who is logged in, by whatever protocol.
#include <cstdint>
#include <memory>
#include <string>

#include "activity/ledger.h"
#include "activity/mass_deletions.h"
#include "auth/authenticator.h"
#include "auth/device_uses.h"
#include "auth/open_sessions.h"
#include "base/clock.h"

namespace poplar::auth {

/// A thing that a login may be good for.
enum class Right : std::uint8_t {
    mail = 1,     ///< reading, changing and removing the account's mail
    filters = 2,  ///< what becomes of mail that arrives
    sending = 4,  ///< mail in the account's name
};

class Rights {
public:
    constexpr Rights() = default;
    constexpr Rights& add(Right right) {
        bits_ = static_cast<std::uint8_t>(bits_ | static_cast<std::uint8_t>(right));
        return *this;
    }
    constexpr bool has(Right right) const { return (bits_ & static_cast<std::uint8_t>(right)) != 0; }

private:
    std::uint8_t bits_ = 0;
};

/// Every proof gives all rights so far.
constexpr Rights rights_of(Proof) { return Rights().add(Right::mail).add(Right::filters).add(Right::sending); }

/// The device whose password it was, and what it does in this session.
struct DeviceInUse {
    directory::Device device;
    DeviceUses::Session use;
};

/// The result of a login: the account, the proof, and the rights.
struct Access {
    directory::AccountId account;
    std::string address;  ///< the account's
    Proof credential = Proof::password;
    Rights rights;
    std::unique_ptr<DeviceInUse> device;           ///< null: a credential of the account's own
    OpenSessions::Entry place;                     ///< in the list of sessions
    activity::Visit visit;                         ///< in the account's ledger
    activity::MassDeletions* deletions = nullptr;  ///< counts them; null: nobody does

    /// Whether this session may delete mail. The device's password may be for reading only.
    bool may_delete() const { return !device || !device->device.read_only; }

    // To be called when the messages are fetched, and when their deletion is durable.
    void note_fetched(std::uint64_t messages) {
        if (messages == 0) return;
        if (device) device->use.add(messages, 0);
        visit.note(activity::Kind::fetched, "", messages);
    }
    struct Deleted {
        std::uint64_t messages = 0;
        Timestamp begun{};          ///< before the first was deleted
        std::uint32_t mailbox = 0;  ///< as activity::Deletion has it
        std::uint64_t before = 0;   ///< messages that were there before
        bool hidden = false;        ///< others see them still
    };
    void note_deleted(const Deleted& deleted) {
        if (device) device->use.add(0, deleted.messages);
        std::string_view detail = deleted.hidden ? "in its own view" : "";
        if (!deleted.hidden && deletions != nullptr) {
            const bool most = deletions->note({.account = account,
                                               .address = address,
                                               .origin = visit.origin(),
                                               .mailbox = deleted.mailbox,
                                               .messages = deleted.messages,
                                               .before = deleted.before,
                                               .begun = deleted.begun,
                                               .ended = visit.now()});
            if (most) detail = activity::kMostOfIt;
        }
        visit.note(activity::Kind::deleted, detail, deleted.messages, deleted.begun);
    }
};

}  // namespace poplar::auth
