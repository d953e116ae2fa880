#pragma once
// Holds accounts and domains to their limits: keeps room for mail on its way, and tells when a mailbox fills up.
#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/async_mutex.h"
#include "base/error.h"
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
    std::uint64_t most = 0;                    ///< octets that it can't be more than, if nobody knows how many
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
    /// The mail has come, and this many octets are to be stored. What nobody lied about fails only if it is uncertain.
    std::expected<void, Full> claim(std::uint64_t octets);
    void release();

private:
    friend class Quotas;
    Quotas* quotas_ = nullptr;  // null: it holds nothing
    AccountId account_;
    Amount kept_;
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
    /// than all the account may have. A domain's total is never passed. Errors: the directory's and the store's.
    Task<Result<Outcome>> reserve(AccountId account, std::shared_ptr<const Bounds> bounds, Need need,
                                  Binding binding = Binding::limits);
    FullReply full_reply() const { return options_.full_reply; }

    /// What the accounts of a domain hold together. The first call counts, and those that come meanwhile wait for it.
    /// Errors: not_found.
    Task<Result<Amount>> used_by_domain(std::string domain);
    /// Reads all accounts of the domain anew, if its sum is kept. Errors: not_found.
    Task<Result<>> recount(std::string domain);
    /// Counts all domains that have a total, so that no delivery has to wait for it.
    Task<Result<>> count_all();
    /// Tells the listener if the account is at a higher one of kPercents by its new bounds than by its old ones; null:
    /// it had, or has, none.
    void limits_changed(AccountId account, Amount used, const Bounds* before, const Bounds* after) const;
    /// The account is gone, and its mail is nobody's any more.
    void forget(AccountId account);

private:
    friend class Reservation;
    struct Domain {
        AsyncMutex counting;
        bool counted = false;  ///< with quotas' mutex held
        Amount used, kept;
    };
    /// An account that mail is on its way to, or whose domain has a total.
    struct Holder {
        bool read = false;  ///< `used` is what it holds
        Amount used, kept;
        std::uint32_t reservations = 0;
        std::shared_ptr<const Bounds> bounds;  ///< while there are reservations: those of the last one
        std::shared_ptr<Domain> domain;        ///< null: it has no total
    };

    void see(AccountId account, const mailstore::AccountTotals& totals);
    Task<Result<std::shared_ptr<Domain>>> counted(std::string name);
    Task<Result<>> count(std::shared_ptr<Domain> domain, std::string name);
    Task<Result<>> read(AccountId account);
    Outcome decide(AccountId account, const Need& need, Binding binding);
    std::expected<void, Full> claim(Reservation& reservation, std::uint64_t octets);
    void release(const Reservation& reservation);
    void leave(AccountId account);

    // With mutex_ held.
    static void attach(Holder& holder, const std::shared_ptr<Domain>& domain);
    static void detach(Holder& holder);
    static void set_used(Holder& holder, Amount used);
    static void keep(Holder& holder, Amount more);
    static void give_back(Holder& holder, Amount kept);
    void leave_held(AccountId account);
    std::optional<Full> too_much(const Holder& holder, const Need& need, std::uint64_t octets) const;

    directory::Directory& directory_;
    mailstore::MailStore& store_;
    const Options options_;
    std::function<void(Reached)> reached_;
    std::atomic<bool> watching_ = false;  ///< there was a holder once; before that a commit costs nothing here
    std::mutex mutex_;                    ///< for all below
    std::unordered_map<AccountId, Holder> holders_;
    std::unordered_map<std::string, std::shared_ptr<Domain>> domains_;  ///< those that were asked for
};

/// The highest of kPercents that one of the limits is used up to; 0: none. A limit of 0 is none.
unsigned percent_reached(const Amount& used, std::uint64_t messages, std::uint64_t octets);

}  // namespace poplar::quota
