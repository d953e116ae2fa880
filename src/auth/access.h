#pragma once
// Somebody who is logged in, by whatever protocol.
#include <cstdint>
#include <memory>
#include <string>

#include "activity/ledger.h"
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
    std::unique_ptr<DeviceInUse> device;  ///< null: a credential of the account's own
    OpenSessions::Entry place;            ///< in the list of sessions
    activity::Visit visit;                ///< in the account's ledger

    /// Whether this session may delete mail. The device's password may be for reading only.
    bool may_delete() const { return !device || !device->device.read_only; }

    // To be called when the messages are fetched, and when their deletion is durable.
    void note_fetched(std::uint64_t messages) {
        if (messages == 0) return;
        if (device) device->use.add(messages, 0);
        visit.note(activity::Kind::fetched, "", messages);
    }
    /// `begun`: before the first was deleted. `detail`: where, if not in the mailbox itself.
    void note_deleted(std::uint64_t messages, Timestamp begun, std::string_view detail) {
        if (device) device->use.add(0, messages);
        visit.note(activity::Kind::deleted, detail, messages, begun);
    }
};

}  // namespace poplar::auth
