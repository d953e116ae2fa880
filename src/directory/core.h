#pragma once
// Shared by the parts of Directory: reading single records, and writing one change at a time.
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/async_mutex.h"
#include "base/octet_cache.h"
#include "directory/directory.h"
#include "directory/records.h"

namespace poplar::directory {

inline constexpr std::string_view kPostmaster = "postmaster";

/// In any case (RFC 5321 s4.5.1).
bool is_postmaster(std::string_view local);

/// A change of the directory before its commit: what it read and what it writes.
struct Draft {
    Counters counters;
    engine::Batch batch;

    void add(const mail::Address& address, const Account& account);
    void add(const mail::Address& address, const Alias& alias);
    void remove(const mail::Address& address, const Entity& entity);
    void put(const mail::Address& address, const Account& account);  ///< one that is there already
    void add(const Domain& domain);
};

/// The account or alias that an address leads to, and the detail that was cut off to find it.
struct Match {
    Entity entity;
    std::string detail;
};

/// Where an alias led when the directory had this change number. It is kept because strangers can ask again and again,
/// and each time a thousand accounts would have to be looked up.
struct Expansion {
    engine::ChangeNumber number;
    std::uint64_t domain_changes;              ///< Core::bounds.changes(), before the accounts' bounds were looked up
    std::shared_ptr<const Resolution> led_to;  ///< its detail is that of the one account at the end, if any
};

/// Whether a change may alter where an alias leads. Noting where an account was logged in from does not; if it counted
/// as such a change, each login from a new place would make the kept answers worthless.
enum class AliasesLead { anew, as_before };

/// Something of each domain, so that no login and no delivery reads its domain. This process alone changes the
/// directory, so what it forgets after each of its own changes is enough. May be used from any thread.
template <class Value>
class KnownByDomain {
public:
    std::optional<Value> find(const std::string& domain) {
        std::lock_guard hold(mutex_);
        auto found = known_.find(domain);
        if (found == known_.end()) return std::nullopt;
        return found->second;
    }
    /// Counts the calls of forget(). Taken before the record is read, so that an old one is not remembered.
    std::uint64_t changes() {
        std::lock_guard hold(mutex_);
        return changes_;
    }
    void remember(const std::string& domain, Value value, std::uint64_t changes_before) {
        std::lock_guard hold(mutex_);
        if (changes_ == changes_before) known_.insert_or_assign(domain, std::move(value));
    }
    void forget() {
        std::lock_guard hold(mutex_);
        ++changes_;
        known_.clear();
    }

private:
    std::mutex mutex_;
    std::uint64_t changes_ = 0;
    std::unordered_map<std::string, Value> known_;  ///< of domains that there are
};

struct Core {
    engine::Engine& engine;
    const Clock& clock;
    Options options;
    AsyncMutex writer;                              ///< held by the one change being made; reads never take it
    std::mutex expansions_mutex;                    ///< for the three that follow
    engine::ChangeNumber alike_from{}, alike_to{};  ///< no change between the two altered where an alias leads
    OctetCache<std::string, Expansion> expansions{options.alias_cache};  ///< by the alias
    KnownByDomain<FactorPolicy> policies{};
    /// The bounds of the mail of an account that has no limits of its own; null: nothing.
    KnownByDomain<std::shared_ptr<const Bounds>> bounds{};
    OutsideDirectory* outside = nullptr;  ///< null: all accounts are our own

    /// To be called after a domain's record was changed, also after a failure, because nobody knows whether that was
    /// stored.
    void forget_domains() {
        policies.forget();
        bounds.forget();
    }
    /// As `bounds` has it, else from the domain's record.
    Task<Result<std::shared_ptr<const Bounds>>> bounds_in(std::string domain);

    /// The canonical address; "postmaster" in lower case whatever local_case says (RFC 5321 s4.5.1). Errors: invalid.
    Result<mail::Address> normalize(const mail::Address& address) const;
    Result<mail::Address> normalize(std::string_view text) const;
    /// The same, for an account or alias to be made, which may not contain "*". In other servers that is a pattern;
    /// here it would be a letter like any other (RFC 5321 s4.1.2), and the address would wait for mail that never
    /// comes. Errors: invalid.
    Result<mail::Address> new_name(std::string_view text) const;
    static Result<> check_password(const Password& password);

    Task<Result<std::optional<std::string>>> read(std::string key);
    Task<Result<Counters>> counters();
    Task<Result<std::optional<Domain>>> domain(std::string name);  ///< canonical name
    /// Errors: not_found.
    Task<Result<Domain>> change_domain(std::string domain, std::function<Result<>(Domain&)> change);
    Task<Result<std::optional<Entity>>> entity(mail::Address address);
    /// The account of that canonical address, if there is one and it needn't be waited for; else nothing.
    std::optional<Account> account_at_hand(const mail::Address& address);
    /// By the whole address, then without its detail.
    Task<Result<std::optional<Match>>> match(mail::Address address);
    /// The same, where mail is to go: an account of a domain that is kept outside counts only if it is there outside,
    /// and is made here if it is new. Our own aliases go first. Errors: timed_out (the other directory is silent).
    Task<Result<std::optional<Match>>> match_for_mail(mail::Address address);
    bool is_outside(std::string_view domain) const;
    /// The account of an address that is there outside: `own`, or a new one. Nothing if the domain is not ours.
    Task<Result<std::optional<Account>>> seen_outside(mail::Address address, std::optional<Account> own);
    /// The alias or account of this very address, the latter as match_for_mail().
    Task<Result<std::optional<Entity>>> present(mail::Address address);
    Task<Result<Account>> add_account(mail::Address name, Password password);
    /// An id whose partition was never written to, so that no account gets another's mail, even if the counter was lost
    /// by damage.
    Task<Result<AccountId>> new_account_id(Draft& draft);
    Task<Result<Factors>> factors(AccountId account);
    /// For a new password: what was opened with the old one ends.
    Task<Result<>> close_windows(Draft& draft, AccountId account);
    /// Of the account and its devices as they are.
    Task<Result<KeysStamp>> keys_stamp(Account account);
    /// Errors: conflict (there are other SCRAM keys now).
    Task<Result<>> expect_keys(Account account, std::optional<KeysStamp> beside);
    Task<Result<std::vector<Device>>> devices(AccountId account);

    /// The address of an account. Errors: not_found.
    Task<Result<Account>> account(mail::Address address);

    /// True if aliases lead to the same at `number` as they did at `then`. The caller holds expansions_mutex.
    bool leads_as_before(engine::ChangeNumber then, engine::ChangeNumber number) const {
        return then == number || (alike_from <= then && then <= number && number <= alike_to);
    }

    /// Makes one change: calls `prepare(Draft&)`, a coroutine that reads what it must and fills the draft, and commits
    /// that; again if another process changed the directory in between. `prepare` lives in the caller's frame.
    template <class T, class Prepare>
    Task<Result<T>> write(Prepare& prepare, AliasesLead lead = AliasesLead::anew) {
        auto turn = co_await writer.lock();
        for (int attempt = 0; attempt < kAttempts; ++attempt) {
            auto number = co_await engine.change_number(kDirectoryPartition);
            if (!number) co_return pass_on(number);
            auto before = co_await counters();
            if (!before) co_return pass_on(before);
            Draft draft{*before, {}};
            Result<T> made = co_await prepare(draft);
            if (!made) co_return made;
            if (draft.counters != *before) draft.batch.put(counters_key(), encode(draft.counters));
            if (draft.batch.empty()) co_return made;
            auto committed = co_await engine.commit(kDirectoryPartition, std::move(draft.batch), *number);
            if (committed && lead == AliasesLead::as_before) note_alike(*number, *committed);
            if (committed) co_return made;
            if (committed.error().code() != Errc::conflict) co_return pass_on(committed);
        }
        co_return fail(Errc::busy, "directory: others keep changing it");
    }

private:
    static constexpr int kAttempts = 32;

    /// Notes that the commit between these two numbers did not alter where an alias leads.
    void note_alike(engine::ChangeNumber before, engine::ChangeNumber after) {
        std::lock_guard guard(expansions_mutex);
        if (alike_to != before) alike_from = before;
        alike_to = after;
    }
};

}  // namespace poplar::directory
