#pragma once
// Holds accounts and domains to their limits: keeps room for mail on its way, and tells when a mailbox fills up.
#include <atomic>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/async_mutex.h"
#include "base/error.h"
#include "base/steady.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"

namespace poplar::quota {

using directory::AccountId;
using directory::Bounds;

enum class FullReply { defer, reject };

struct Options {
    FullReply full_reply = FullReply::defer;
};

/// Messages and their octets, as the mail store counts them.
struct Amount {
    std::uint64_t messages = 0, octets = 0;
    bool operator==(const Amount&) const = default;
};

/// Mail that wants room.
struct Need {
    std::uint64_t messages = 1;
    std::optional<std::uint64_t> octets = {};  ///< nothing: nobody knows yet
    std::uint64_t trace = 0;                   ///< octets that are put on top of those, at most
    std::uint64_t most = 0;  ///< octets that it can't be more than, without `trace`, if nobody knows how many
};

/// Why there is no room.
struct Full {
    bool for_good = false;  ///< the sender is told so; else to come again
    std::string text;       ///< for the log and for operators
};

/// Whether limits stop the mail. Without them its coming is counted and watched all the same.
enum class Binding { limits, none };

/// An account, or a domain as a whole, has come to one of kPercents of a limit.
struct Reached {
    AccountId account;  ///< of a domain: the one that brought it there
    bool domain = false;
    unsigned percent = 0;
    Amount used;
    Bounds bounds;
};
inline constexpr unsigned kPercents[] = {80, 95, 100};

/// So long is room kept for mail of which nothing comes: a client that only names recipients stands in nobody's way
/// for longer.
inline constexpr auto kRoomWaits = std::chrono::minutes(1);

class Quotas;

/// Room for mail on its way to one account, given back at the end. By the time the mail is stored it must still be
/// there. Used by one session; the Quotas outlive it.
class Reservation {
public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation() { release(); }

    AccountId account() const { return account_; }
    /// The domain has some room, but nobody knows whether the mail fits: claim() may fail.
    bool uncertain() const { return uncertain_; }
    /// The mail begins to come, so its room is kept from now on however long that takes. Room that was kept for longer
    /// than kRoomWaits before is asked for anew; if others have it by now, claim() decides once more.
    void begin();
    /// The mail has come, and this many octets are to be stored. What nobody lied about fails only if it is uncertain,
    /// or began after kRoomWaits.
    std::expected<void, Full> claim(std::uint64_t octets);
    void release();

private:
    friend class Quotas;
    Quotas* quotas_ = nullptr;  // null: it holds nothing
    AccountId account_;
    Need need_;
    Amount kept_;
    std::uint64_t waiting_ = 0;  // its number in Quotas::waiting_; 0: it is not there
    bool uncertain_ = false;
    Binding binding_ = Binding::limits;
};

/// All functions may be called from any thread.
class Quotas {
public:
    /// Takes over MailStore::on_totals. The store is not used by others before.
    Quotas(directory::Directory& directory, mailstore::MailStore& store, Options options);

    /// `listener` is called once an account with a limit comes up to one of kPercents, for the highest of those that
    /// one commit passes; again when it has been below. It must not wait. To be called before mail comes.
    void on_reached(std::function<void(Reached)> listener) { reached_ = std::move(listener); }

    using Outcome = std::expected<Reservation, Full>;
    /// Keeps room for mail to an account that `bounds` (not null) bound: the only function that says no. One message
    /// may pass an account's octets, if those that are there and on their way do not fill it; but none that is larger
    /// than all the account may have. A domain's total is never passed: mail of unknown size that may be larger than
    /// what the domain has left gets a quarter of that. Errors: the directory's and the store's.
    Task<Result<Outcome>> reserve(AccountId account, std::shared_ptr<const Bounds> bounds, Need need,
                                  Binding binding = Binding::limits);
    /// As reserve() would decide, but keeps nothing: why there is no room, or nothing.
    Task<Result<std::optional<Full>>> ask(AccountId account, std::shared_ptr<const Bounds> bounds, Need need);
    FullReply full_reply() const { return options_.full_reply; }

    /// The sum of all that a domain's accounts hold. The first call counts, and those that come meanwhile wait for it.
    /// An account that can't be read is logged and left out, until its next commit or recount(). Errors: not_found.
    Task<Result<Amount>> used_by_domain(std::string domain);
    /// Reads all accounts of the domain anew, if its sum is kept. Errors: not_found.
    Task<Result<>> recount(std::string domain);
    /// Counts all domains that have a total, so that no delivery has to wait for it.
    Task<Result<>> count_all();
    /// Tells the listener if the account is at a higher one of kPercents by its new bounds than by its old ones; null:
    /// it had, or has, none.
    void limits_changed(AccountId account, Amount used, const Bounds* before, const Bounds* after) const;
    /// The same of a domain as a whole, which holds `used`.
    void total_changed(Amount used, const Bounds* before, const Bounds* after) const;
    /// The account is gone for good, and its mail is nobody's any more.
    void forget(AccountId account);
    /// The domain had no total, or has none any more: its sum is counted when it is needed next.
    void forget_domain(const std::string& name);

private:
    friend class Reservation;
    struct Domain {
        AsyncMutex counting;
        bool counted = false;    ///< with quotas' mutex held
        bool forgotten = false;  ///< by forget_domain(): no account is counted in it any more
        Amount used, kept;
    };
    /// An account that mail is on its way to, or whose domain has a total.
    struct Holder {
        bool read = false;   ///< `used` is what it holds
        bool known = false;  ///< `used` is what it holds, or held when it was last read
        Amount used, kept;
        std::uint32_t reservations = 0;
        std::shared_ptr<const Bounds> bounds;  ///< while there are reservations: those of the last one
        std::shared_ptr<Domain> domain;        ///< null: it has no total
    };

    /// Room of which nothing was claimed yet.
    struct Waiting {
        AccountId account;
        Amount kept;
        SteadyTime since;
    };
    /// The room to keep for mail.
    struct Plan {
        std::uint64_t octets = 0;
        bool uncertain = false;
    };

    void see(AccountId account, const mailstore::AccountTotals& totals);
    Task<Result<std::shared_ptr<Domain>>> counted(std::string name);
    Task<Result<>> count(std::shared_ptr<Domain> domain, std::string name);
    Task<Result<>> drop_others(std::shared_ptr<Domain> domain, std::string name, std::unordered_set<AccountId> there);
    Task<Result<>> read(AccountId account);
    Task<Result<>> enter(AccountId account, std::shared_ptr<const Bounds> bounds);
    Outcome decide(AccountId account, const Need& need, Binding binding);
    void begin(Reservation& reservation);
    std::expected<void, Full> claim(Reservation& reservation, std::uint64_t octets);
    void release(Reservation& reservation);
    void leave(AccountId account);

    // With mutex_ held.
    static void attach(Holder& holder, const std::shared_ptr<Domain>& domain);
    static void detach(Holder& holder);
    static void set_used(Holder& holder, Amount used);
    static void keep(Holder& holder, Amount more);
    static void give_back(Holder& holder, Amount kept);
    static void give_room(Reservation& reservation, Holder& holder, Plan plan);
    void leave_held(AccountId account);
    void let_lapse();
    bool stop_waiting(Reservation& reservation);
    std::expected<Plan, Full> plan(const Holder& holder, const Need& need, Binding binding) const;
    std::optional<Full> too_much(const Holder& holder, const Need& need, std::uint64_t octets) const;

    directory::Directory& directory_;
    mailstore::MailStore& store_;
    const Options options_;
    std::function<void(Reached)> reached_;
    std::atomic<bool> watching_ = false;  ///< there was a holder once; before that a commit costs nothing here
    std::mutex mutex_;                    ///< for all below
    std::unordered_map<AccountId, Holder> holders_;
    std::unordered_map<std::string, std::shared_ptr<Domain>> domains_;  ///< those that were asked for
    std::map<std::uint64_t, Waiting> waiting_;                          ///< numbered as they came
    std::uint64_t last_waiting_ = 0;
    /// The last accounts that were forgotten: a count, or a delivery, that began before finds them still.
    std::unordered_set<AccountId> forgotten_;
    std::deque<AccountId> forgotten_in_order_;
};

/// The highest of kPercents that one of the limits is used up to; 0: none. A limit of 0 is none.
unsigned percent_reached(const Amount& used, std::uint64_t messages, std::uint64_t octets);

}  // namespace poplar::quota
