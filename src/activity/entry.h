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
enum class Kind : std::uint8_t {
    login = 1,
    refused = 2,
    fetched = 3,
    deleted = 4,
    credential = 5,
    restored = 6,
    unproven = 7,  ///< a login whose password was right, and that lacked a second factor
};

inline constexpr std::array<std::pair<Kind, std::string_view>, 7> kKinds{{{Kind::login, "login"},
                                                                          {Kind::refused, "refused"},
                                                                          {Kind::fetched, "fetched"},
                                                                          {Kind::deleted, "deleted"},
                                                                          {Kind::credential, "credential"},
                                                                          {Kind::restored, "restored"},
                                                                          {Kind::unproven, "unproven"}}};
std::string_view to_string(Kind kind);
std::optional<Kind> kind_of(std::string_view word);

/// From where something was done, and by which means.
struct Origin {
    std::optional<std::uint32_t> device = {};  ///< its id; nothing: the account itself, or an administrator
    std::string device_name = {};              ///< as it was called then
    std::string peer = {};                     ///< an address; "": this server itself
    std::string protocol = {};                 ///< "pop3", "admin", ...

    /// Also from another address of the same /64: an IPv6 client takes a new one every few hours.
    bool is_same(const Origin& other) const;
};

struct Entry {
    Kind kind = Kind::login;
    Timestamp first{}, last{};
    std::uint64_t times = 1;     ///< sessions or attempts
    std::uint64_t messages = 0;  ///< fetched, deleted or restored, in all
    Origin origin = {};
    std::string detail = {};  ///< the mechanism, why it was refused, what became of the credential
    /// The sum of what came from more origins in one day than have entries of their own. It has no origin.
    bool is_sum = false;

    bool is_same(const Entry& other) const {
        return kind == other.kind && is_sum == other.is_sum && origin.is_same(other.origin) && detail == other.detail;
    }
    /// Adds the counts and the time of `other`, which belongs to the same entry.
    void add(const Entry& other);
};

/// Whether two times belong into one entry: the same day (UTC) for logins and those that were refused, for anything
/// else the same hour, so that a deletion can be found again by its time.
bool share_entry(Kind kind, Timestamp one, Timestamp other);

/// The day, counted from 1970 (UTC). A time before that is its first day.
std::uint32_t day_of(Timestamp time);

}  // namespace poplar::activity
