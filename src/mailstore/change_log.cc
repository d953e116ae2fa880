// Tells what happened to an account since a change: by the rows of its log, and by the messages that were appended to
// INBOX, which have no rows. In INBOX each message came with a later change than those before it, so the first new one
// is searched for from the end, in steps that double: a reader that comes often looks at hardly more than what is new.
#include "mailstore/change_log.h"

#include <algorithm>

#include "mailstore/keys.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kPage = 500;  // entries a scan

class Reader {
public:
    Reader(engine::Engine& engine, AccountId account, ModSequence since, std::size_t limit,
           std::shared_ptr<const engine::Snapshot> snapshot)
        : engine_(engine),
          account_(account),
          since_(since),
          limit_(std::max<std::size_t>(limit, 1)),
          snapshot_(std::move(snapshot)) {}

    Task<Result<ChangeList>> run() {
        auto number = co_await engine_.change_number(account_, snapshot_);
        if (!number) co_return pass_on(number);
        list_.number = *number;
        if (since_ == *number) co_return std::move(list_);
        auto value = co_await engine_.get(account_, keys::account(), snapshot_);
        if (!value && value.error().code() != Errc::not_found) co_return pass_on(value);
        auto record = value ? decode_account(*value) : Result<AccountRecord>(AccountRecord());
        if (!record) co_return pass_on(record);
        const bool untold = !value || record->early || (record->log && since_ < record->log->forgotten);
        if (untold || since_ > *number) {  // it comes too late, or from another life of the account
            list_.forgotten = true;
            co_return std::move(list_);
        }
        if (auto rows = co_await read_rows(); !rows) co_return pass_on(rows);
        if (record->inbox.changed > since_)
            if (auto read = co_await read_inbox(record->inbox.next_order); !read) co_return pass_on(read);
        co_return finish();
    }

private:
    Task<Result<>> read_rows() {
        if (auto page = co_await engine_.scan(account_, keys::changes_behind(since_), limit_, snapshot_); page) {
            for (const auto entry : *page) {
                auto changes = decode_changes(entry);
                if (!changes) co_return pass_on(changes);
                list_.changes.insert(list_.changes.end(), changes->begin(), changes->end());
            }
            if (page->size() == limit_) list_.number = keys::change_of(page->back().key);
            co_return Result<>{};
        } else {
            co_return pass_on(page);
        }
    }

    /// Whether all messages from this place on came since; also if there are none.
    Task<Result<bool>> is_new(OrderKey order) {
        auto first = co_await engine_.scan(account_, keys::messages(kInbox, order), 1, snapshot_);
        if (!first) co_return pass_on(first);
        if (first->empty()) co_return true;
        auto message = decode_message(first->front());
        if (!message) co_return pass_on(message);
        co_return message->added > since_;
    }

    Task<Result<>> read_inbox(OrderKey next) {
        std::uint64_t known = 0, fresh = next.value;  // not new from here on; new from here on
        for (std::uint64_t step = 1; known + 1 < fresh; step *= 2) {
            const auto at = fresh - std::min(step, fresh - known - 1);
            auto all_new = co_await is_new(OrderKey(at));
            if (!all_new) co_return pass_on(all_new);
            if (!*all_new) {
                known = at;
                break;
            }
            fresh = at;
        }
        while (known + 1 < fresh) {
            const auto at = known + (fresh - known) / 2;
            auto all_new = co_await is_new(OrderKey(at));
            if (!all_new) co_return pass_on(all_new);
            (*all_new ? fresh : known) = at;
        }
        co_return co_await read_messages(OrderKey(fresh));
    }

    // Up to `limit_` changes, each with all its messages.
    Task<Result<>> read_messages(OrderKey first) {
        auto range = keys::messages(kInbox, first);
        std::size_t changes = 0;
        for (;;) {
            auto page = co_await engine_.scan(account_, range, kPage, snapshot_);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                auto message = decode_message(entry);
                if (!message) co_return pass_on(message);
                if (message->own_uid.value != 0 || message->added <= since_) continue;  // that has a row
                if (message->added > list_.number) co_return Result<>{};
                if (added_.empty() || added_.back().number != message->added) {
                    if (changes++ == limit_) {
                        list_.number = added_.back().number;
                        co_return Result<>{};
                    }
                    added_.push_back({message->added, Change::Kind::added, kInbox, {}, {}, {}});
                }
                auto& uids = added_.back().uids;
                if (!uids.empty() && uids.back().last.value + 1 == message->order.value)
                    uids.back().last = message->uid();
                else
                    uids.push_back({message->uid(), message->uid()});
            }
            if (page->size() < kPage) co_return Result<>{};
            range.begin_behind(page->back().key);
        }
    }

    // A message that was moved to INBOX has a row, and looks like a delivery as well. One change never does both, so
    // the row counts.
    ChangeList finish() {
        auto later = [this](const Change& change) { return change.number > list_.number; };
        std::erase_if(list_.changes, later);
        std::vector<ModSequence> moves;
        for (const auto& change : list_.changes)
            if (change.kind == Change::Kind::moved && change.to == kInbox) moves.push_back(change.number);
        auto is_move = [&](const Change& change) { return std::ranges::binary_search(moves, change.number); };
        std::erase_if(added_, is_move);
        std::erase_if(added_, later);
        std::vector<Change> all;
        all.reserve(list_.changes.size() + added_.size());
        std::ranges::merge(list_.changes, added_, std::back_inserter(all), {}, &Change::number, &Change::number);
        list_.changes = std::move(all);
        return std::move(list_);
    }

    engine::Engine& engine_;
    AccountId account_;
    ModSequence since_;
    std::size_t limit_;
    std::shared_ptr<const engine::Snapshot> snapshot_;
    ChangeList list_;
    std::vector<Change> added_;  // to INBOX
};

}  // namespace

Task<Result<ChangeList>> read_changes(engine::Engine& engine, AccountId account, ModSequence since, std::size_t limit,
                                      std::shared_ptr<const engine::Snapshot> snapshot) {
    Reader reader(engine, account, since, limit, std::move(snapshot));
    co_return co_await reader.run();
}

}  // namespace poplar::mailstore
