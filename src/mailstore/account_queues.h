#pragma once
// The order of changes to an account: one at a time, as they came. Appends that wait together are made together, in one
// commit, so that a mailbox takes deliveries as fast as its disk syncs, whatever their number.
//
// The first caller at an idle account leads: it makes its own change, with those that joined it. A coroutine of its
// own, on the same executor, leads those that came meanwhile, until the queue is empty: so no caller works for others.
// No lock is held while a leader waits, and a leader that is cancelled goes on until those who count on it have their
// answer.
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/one_shot.h"
#include "mailstore/mail_store.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

struct AccountState {
    AccountRecord record;
    engine::ChangeNumber number;  ///< of the account when `record` was read or written
};

/// An account's last known state, touched only by the account's leader. Empty means: read it. A stale one does no harm:
/// every commit expects its change number.
using Hot = std::optional<AccountState>;

struct Append {
    NewMessage message;
    Timestamp received;
    OneShot<Message>::Sender answer;
    engine::BodyId body{};  ///< given by the one who makes the append
};

/// A change that has the account for itself.
using Exclusive = std::move_only_function<Task<>(Hot& hot)>;

/// Owned by whoever leads, too: a leader's last steps may come after the last waiter has its answer.
class AccountQueues : public std::enable_shared_from_this<AccountQueues> {
public:
    /// Makes the appends and answers each.
    using AppendAll = std::function<Task<>(AccountId account, Hot& hot, std::vector<Append> appends)>;

    AccountQueues(const Options& options, AppendAll append_all);

    /// Returns once the change was made, or is left to the account's leader.
    Task<> push(AccountId account, std::variant<Append, Exclusive> change);

private:
    using Work = std::variant<std::vector<Append>, Exclusive>;
    struct Account {
        std::deque<std::variant<Append, Exclusive>> waiting;
        bool led = false;
        Hot hot;
        std::optional<std::list<AccountId>::iterator> idle;  // its place in the shard's list, while it is not led
    };
    struct Shard {
        std::mutex mutex;
        std::unordered_map<AccountId, std::shared_ptr<Account>> accounts;
        std::list<AccountId> idle;  // the last used first
    };
    class Leadership;
    static constexpr std::size_t kShards = 64;

    Shard& shard_of(AccountId account) { return shards_[std::hash<AccountId>{}(account) % kShards]; }
    /// Null: somebody leads the account.
    std::shared_ptr<Account> enqueue(AccountId id, std::variant<Append, Exclusive> change);
    static Task<> lead(std::shared_ptr<AccountQueues> self, AccountId id, std::shared_ptr<Account> account, Work work);
    Task<> make(AccountId id, Account& account, Work& work);  // `work` must stay until it returns
    /// The next changes to make: appends up to the limits, or one exclusive change. Nothing: the lead is over.
    std::optional<Work> take(AccountId id, Account& account);
    void abandon(AccountId id, Account& account);
    void become_idle(Shard& shard, AccountId id, Account& account);

    const Options options_;
    const AppendAll append_all_;
    std::array<Shard, kShards> shards_;
};

}  // namespace poplar::mailstore
