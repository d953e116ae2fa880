// Joins changes that wait, hands the lead on, and forgets accounts that are idle.
#include "mailstore/account_queues.h"

#include <utility>

namespace poplar::mailstore {

namespace {

// The octets that go through the engine's log with the commit.
std::uint64_t log_octets(const NewMessage& message, const Options& options) {
    std::uint64_t staged = message.content.staged ? message.content.staged->size() : 0;
    return message.head.size() + (staged <= options.inline_octets ? staged : 0);
}

}  // namespace

/// Sees to it that a lead which is broken off (its execution context goes away, or it throws) leaves the account free
/// and its waiters answered.
class AccountQueues::Leadership {
public:
    Leadership(AccountQueues& queues, AccountId id, Account& account) : queues_(queues), id_(id), account_(account) {}
    Leadership(const Leadership&) = delete;
    Leadership& operator=(const Leadership&) = delete;
    ~Leadership() {
        if (!over_) queues_.abandon(id_, account_);
    }
    void over() { over_ = true; }

private:
    AccountQueues& queues_;
    AccountId id_;
    Account& account_;
    bool over_ = false;
};

AccountQueues::AccountQueues(const Options& options, AppendAll append_all)
    : options_(options), append_all_(std::move(append_all)) {}

Task<> AccountQueues::push(AccountId id, std::variant<Append, Exclusive> change) {
    auto account = enqueue(id, std::move(change));
    if (!account) co_return;
    auto self = shared_from_this();
    Leadership leadership(*self, id, *account);
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    auto work = take(id, *account);
    co_await make(id, *account, *work);
    if (auto more = take(id, *account)) {
        // If this throws (memory is short), the lead ends, and Leadership answers the waiters.
        auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(executor, lead(self, id, account, std::move(*more)), asio::detached);
    }
    leadership.over();
    co_await asio::this_coro::throw_if_cancelled(throws);
}

std::shared_ptr<AccountQueues::Account> AccountQueues::enqueue(AccountId id, std::variant<Append, Exclusive> change) {
    auto& shard = shard_of(id);
    std::lock_guard lock(shard.mutex);
    auto& slot = shard.accounts[id];
    if (!slot) slot = std::make_shared<Account>();
    slot->waiting.push_back(std::move(change));
    if (std::exchange(slot->led, true)) return nullptr;
    if (slot->idle) shard.idle.erase(*std::exchange(slot->idle, std::nullopt));
    return slot;
}

Task<> AccountQueues::lead(std::shared_ptr<AccountQueues> self, AccountId id, std::shared_ptr<Account> account,
                           Work work) {
    Leadership leadership(*self, id, *account);
    for (std::optional<Work> next = std::move(work); next; next = self->take(id, *account))
        co_await self->make(id, *account, *next);
    leadership.over();
}

Task<> AccountQueues::make(AccountId id, Account& account, Work& work) {
    if (auto* appends = std::get_if<std::vector<Append>>(&work))
        return append_all_(id, account.hot, std::move(*appends));
    return std::get<Exclusive>(work)(account.hot);
}

std::optional<AccountQueues::Work> AccountQueues::take(AccountId id, Account& account) {
    auto& shard = shard_of(id);
    std::lock_guard lock(shard.mutex);
    auto& waiting = account.waiting;
    if (waiting.empty()) {
        become_idle(shard, id, account);
        return std::nullopt;
    }
    if (auto* exclusive = std::get_if<Exclusive>(&waiting.front())) {
        Exclusive change = std::move(*exclusive);
        waiting.pop_front();
        return change;
    }
    std::vector<Append> appends;
    std::uint64_t octets = 0;
    while (!waiting.empty() && appends.size() < options_.commit_messages) {
        auto* append = std::get_if<Append>(&waiting.front());
        if (append == nullptr) break;
        octets += log_octets(append->message, options_);
        if (!appends.empty() && octets > options_.commit_octets) break;
        appends.push_back(std::move(*append));
        waiting.pop_front();
    }
    return appends;
}

void AccountQueues::become_idle(Shard& shard, AccountId id, Account& account) {
    account.led = false;
    if (!account.hot) {
        shard.accounts.erase(id);
        return;
    }
    shard.idle.push_front(id);
    account.idle = shard.idle.begin();
    if (shard.idle.size() > options_.hot_accounts / kShards) {
        shard.accounts.erase(shard.idle.back());
        shard.idle.pop_back();
    }
}

void AccountQueues::abandon(AccountId id, Account& account) {
    decltype(account.waiting) unanswered;  // each is answered as its sender is destroyed, after the lock is given back
    auto& shard = shard_of(id);
    std::lock_guard lock(shard.mutex);
    account.hot.reset();
    unanswered.swap(account.waiting);
    become_idle(shard, id, account);
}

}  // namespace poplar::mailstore
