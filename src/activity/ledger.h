#pragma once
// The ledger of all accounts. Sessions take notes in memory, which never waits; they are written now and then in the
// background. A crash loses the notes of the last minute, and how often somebody logged in again in the last hour.
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "activity/entry.h"
#include "activity/record.h"
#include "base/asio.h"
#include "base/async_mutex.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"

namespace poplar::activity {

struct Options {
    std::chrono::hours keep = std::chrono::days(90);  ///< 0: nothing is noted
    std::uint32_t entries = 100;  ///< of an account, a kind and a day; then hours are joined, and at last summed up
};

/// Functions may be called from any thread.
class Ledger {
public:
    Ledger(engine::Engine& engine, const Clock& clock, Options options);

    /// The time by which things are noted: to be asked for before something begins.
    Timestamp now() const { return clock_.now(); }
    /// Notes what has just happened. `begun`: when it began, if that was earlier. Costs a look in memory.
    void note(AccountId account, Kind kind, const Origin& origin, std::string_view detail, std::uint64_t messages = 0,
              std::optional<Timestamp> begun = std::nullopt);

    /// Writes what is new. An entry that only counts further logins is written once an hour, or if there are very many
    /// entries. One call at a time works, others wait for it. To be called every minute or so.
    Task<> flush();
    /// Writes everything; to be called at the end.
    Task<> flush_all();

    struct Wanted {
        Timestamp since{};             ///< entries that ended later
        std::vector<Kind> kinds = {};  ///< none: all
        std::size_t limit = 1000;      ///< of each kind at most so many, the latest: guesses hide no deletion
    };
    struct Listing {
        std::vector<Entry> entries;  ///< in order of their last time
        std::uint64_t damaged = 0;   ///< entries of those days that can't be read
    };
    /// Of an account. Errors: the engine's.
    Task<Result<Listing>> list(AccountId account, Wanted wanted);

    /// Forgets up to about a thousand entries whose days are over at `now`. True: there may be more. Errors: the
    /// engine's.
    Task<Result<bool>> forget_some(Timestamp now);
    /// Forgets all of an account whose mail is purged. Errors: the engine's.
    Task<Result<>> forget(AccountId account);

    const Options& options() const { return options_; }

private:
    static constexpr std::size_t kShards = 16;
    static constexpr std::size_t kOpen = 100'000 / kShards;  ///< entries in memory: of a shard and a kind
    static constexpr std::size_t kAtOnce = 500;              ///< entries a commit

    /// An entry that may still grow.
    struct Open {
        AccountId account;
        Entry entry;
        std::optional<RowNumber> number = {};  ///< nothing: not looked for yet, and `entry` has only what is new
        bool changed = true;                   ///< since it was written
        bool waits = false;                    ///< all that changed is a count of logins, which has time
        bool over = false;                     ///< takes no more notes
        bool absorbed = false;                 ///< what it had stands in another entry, and it is not written any more
        Timestamp written{};
    };
    using OpenPtr = std::shared_ptr<Open>;
    struct Shard {
        std::mutex mutex;  // for all that follows, and for the Open entries
        std::unordered_map<AccountId, std::vector<OpenPtr>> accounts;
        std::array<std::size_t, kKinds.size() + 1> counts{};  ///< by the kind's number
        std::uint64_t left_out = 0;
    };
    struct Rows;
    class Draft;
    enum class Due { now_and_then, all };

    Shard& shard(AccountId account) { return shards_[account.value % kShards]; }
    static void remove(Shard& shard, const Open& open);
    std::vector<OpenPtr> take_due(Shard& shard, Due due, std::optional<AccountId> account);
    Task<> flush(Due due);
    Task<> flush(Shard& shard, Due due, std::optional<AccountId> account);
    Task<Result<>> write(Shard& shard, std::span<const OpenPtr> some);
    void drop_idle(Shard& shard);

    engine::Engine& engine_;
    const Clock& clock_;
    const Options options_;
    std::array<Shard, kShards> shards_;
    AsyncMutex flushing_;
};

/// Takes the notes of one session, for its account's ledger. Without a ledger it takes none.
class Visit {
public:
    Visit() = default;
    Visit(Ledger& ledger, AccountId account, Origin origin)
        : ledger_(&ledger), account_(account), origin_(std::move(origin)) {}
    Timestamp now() const { return ledger_ != nullptr ? ledger_->now() : Timestamp(); }
    void note(Kind kind, std::string_view detail, std::uint64_t messages = 0,
              std::optional<Timestamp> begun = std::nullopt) {
        if (ledger_ != nullptr) ledger_->note(account_, kind, origin_, detail, messages, begun);
    }
    const Origin& origin() const { return origin_; }

private:
    Ledger* ledger_ = nullptr;
    AccountId account_{};
    Origin origin_;
};

}  // namespace poplar::activity
