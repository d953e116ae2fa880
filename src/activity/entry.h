#pragma once
// One line of an account's ledger.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "engine/engine.h"

namespace poplar::activity {

using AccountId = engine::PartitionId;  ///< as directory/ gives them out

/// Stored: a number must not change its meaning.
enum class Kind : std::uint8_t { login = 1, refused = 2, fetched = 3, deleted = 4, credential = 5, restored = 6 };

inline constexpr std::array<std::pair<Kind, std::string_view>, 6> kKinds{{{Kind::login, "login"},
                                                                          {Kind::refused, "refused"},
                                                                          {Kind::fetched, "fetched"},
                                                                          {Kind::deleted, "deleted"},
                                                                          {Kind::credential, "credential"},
                                                                          {Kind::restored, "restored"}}};
std::string_view to_string(Kind kind);
std::optional<Kind> kind_of(std::string_view word);

/// From where something was done, and by which means.
struct Origin {
    std::optional<std::uint32_t> device = {};  ///< its id; nothing: the account itself, or an administrator
    std::string device_name = {};              ///< as it was called then
    std::string peer = {};                     ///< an address; "": this server itself
    std::string protocol = {};                 ///< "pop3", "admin", ...

    bool is_same(const Origin& other) const {
        return device == other.device && peer == other.peer && protocol == other.protocol;
    }
};

struct Entry {
    Kind kind = Kind::login;
    Timestamp first{}, last{};
    std::uint64_t times = 1;     ///< sessions or attempts
    std::uint64_t messages = 0;  ///< fetched, deleted or restored, in all
    Origin origin = {};
    std::string detail = {};  ///< the mechanism, why it was refused, what became of the credential
    /// The sum of what came from more places in one day than have entries of their own. It has no place.
    bool is_sum = false;

    bool is_same(const Entry& other) const {
        return kind == other.kind && is_sum == other.is_sum && origin.is_same(other.origin) && detail == other.detail;
    }
    /// Adds the counts and the time of `other`, which belongs to the same entry.
    void add(const Entry& other);
};

/// Whether two times belong into one entry: the same day (UTC) for logins and refusals, for anything else the same
/// hour, so that a deletion can be found again by its time.
bool share_entry(Kind kind, Timestamp one, Timestamp other);

/// The day, counted from 1970 (UTC). A time before that is its first day.
std::uint32_t day_of(Timestamp time);

}  // namespace poplar::activity
