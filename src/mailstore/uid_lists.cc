#include "mailstore/uid_lists.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "mailstore/change_log.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kPage = 1000;         // entries a scan
constexpr std::size_t kMostChanges = 1000;  // since the list was read; with more it is read anew
constexpr std::size_t kMostSets = 10'000;   // of keywords, those that no message has any more included

/// Builds a list, or goes on with one.
class Builder {
public:
    Builder() = default;
    /// With the keyword sets of `list`, and none of its messages.
    explicit Builder(const MessageList& list) {
        list_.keyword_sets = list.keyword_sets;
        for (std::uint32_t n = 0; n < list_.keyword_sets.size(); ++n) sets_.emplace(list_.keyword_sets[n], n);
    }

    ListedMessage listed(const StoredMessage& message) {
        const auto& keywords = message.flags.keywords;
        const auto [set, fresh] = sets_.emplace(keywords, static_cast<std::uint32_t>(list_.keyword_sets.size()));
        if (fresh) list_.keyword_sets.push_back(keywords);
        return {static_cast<std::uint32_t>(message.uid().value), set->second << 8 | message.flags.system,
                message.mod_sequence()};
    }
    bool is_full() const { return list_.keyword_sets.size() > kMostSets; }

    MessageList& list() { return list_; }
    std::shared_ptr<const MessageList> take() { return std::make_shared<const MessageList>(std::move(list_)); }

private:
    MessageList list_;
    std::unordered_map<std::string, std::uint32_t> sets_{{"", 0}};
};

/// The change that the mailbox was last part of.
Task<Result<ModSequence>> last_change(engine::Engine& engine, AccountId account, MailboxId mailbox,
                                      std::shared_ptr<const engine::Snapshot> snapshot) {
    const bool inbox = mailbox == kInbox;
    auto value = co_await engine.get(account, inbox ? keys::account() : keys::mailbox(mailbox), std::move(snapshot));
    if (!value && value.error().code() == Errc::not_found) {
        if (inbox) co_return ModSequence();
        co_return fail(Errc::not_found, "no such mailbox");
    }
    if (!value) co_return pass_on(value);
    if (inbox) {
        auto record = decode_account(*value);
        if (!record) co_return pass_on(record);
        co_return record->inbox.changed;
    }
    auto record = decode_mailbox(*value);
    if (!record) co_return pass_on(record);
    if (record->removed) co_return fail(Errc::not_found, "the mailbox was removed");
    co_return record->changed;
}

Task<Result<std::shared_ptr<const MessageList>>> read_all(engine::Engine& engine, AccountId account, MailboxId mailbox,
                                                          std::shared_ptr<const engine::Snapshot> snapshot) {
    Builder builder;
    auto& messages = builder.list().messages;
    auto range = keys::messages(mailbox);
    bool ascending = true;
    for (bool more = true; more;) {
        auto page = co_await engine.scan(account, range, kPage, snapshot);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            auto message = decode_message(entry);
            if (!message) co_return pass_on(message);
            const auto one = builder.listed(*message);
            ascending = ascending && (messages.empty() || messages.back().uid < one.uid);
            messages.push_back(one);
        }
        more = page->size() == kPage;
        if (more) range.begin_behind(page->back().key);
    }
    if (!ascending) std::ranges::sort(messages, {}, &ListedMessage::uid);
    messages.shrink_to_fit();
    co_return builder.take();
}

void gather(const std::vector<UidRange>& ranges, std::vector<Uid>& uids) {
    for (const auto& range : ranges)
        for (auto uid = range.first.value; uid <= range.last.value; ++uid) uids.emplace_back(uid);
}

/// The mailbox's UIDs that these changes speak of, ascending.
std::vector<Uid> spoken_of(const std::vector<Change>& changes, MailboxId mailbox) {
    std::vector<Uid> uids;
    for (const auto& change : changes) {
        if (change.mailbox == mailbox) gather(change.uids, uids);
        if (change.kind == Change::Kind::moved && change.to == mailbox) gather(change.to_uids, uids);
    }
    std::ranges::sort(uids);
    uids.erase(std::ranges::unique(uids).begin(), uids.end());
    return uids;
}

/// `old` with these messages as they are in the snapshot: with other flags, new, or gone. Null: it is better read anew.
Task<Result<std::shared_ptr<const MessageList>>> renewed(engine::Engine& engine, AccountId account, MailboxId mailbox,
                                                         const MessageList& old, std::vector<Uid> uids,
                                                         std::shared_ptr<const engine::Snapshot> snapshot) {
    auto found = co_await look_up(engine, account, mailbox, uids, std::move(snapshot));
    if (!found) co_return pass_on(found);
    Builder builder(old);
    std::vector<ListedMessage> fresh;
    for (const auto& message : *found) fresh.push_back(builder.listed(message));
    if (builder.is_full()) co_return nullptr;
    // What stands between two of them is copied in one piece.
    auto& merged = builder.list().messages;
    merged.reserve(old.messages.size() + fresh.size());
    auto at = old.messages.begin();
    auto next = fresh.begin();
    for (const auto uid : uids) {
        const auto here = std::ranges::lower_bound(at, old.messages.end(), uid.value, {}, &ListedMessage::uid);
        merged.insert(merged.end(), at, here);
        at = here;
        if (at != old.messages.end() && at->uid == uid.value) ++at;
        if (next != fresh.end() && next->uid == uid.value) merged.push_back(*next++);
    }
    merged.insert(merged.end(), at, old.messages.end());
    co_return builder.take();
}

std::size_t memory_of(const MessageList& list) {
    std::size_t octets = list.messages.capacity() * sizeof(ListedMessage);
    for (const auto& set : list.keyword_sets) octets += sizeof(set) + set.capacity();
    return octets;
}

}  // namespace

Task<Result<std::shared_ptr<const MessageList>>> UidLists::read(engine::Engine& engine, AccountId account,
                                                                MailboxId mailbox) {
    auto kept = find({account, mailbox});
    auto snapshot = engine.snapshot(account);
    auto last = co_await last_change(engine, account, mailbox, snapshot);
    if (!last) co_return pass_on(last);
    if (*last == ModSequence()) kept.list = nullptr;  // it has nothing, perhaps since a purge
    if (kept.list && *last <= kept.number) co_return kept.list;
    if (kept.list) {
        auto told = co_await read_changes(engine, account, kept.number, kMostChanges, snapshot);
        if (!told) co_return pass_on(told);
        if (!told->forgotten && told->number >= *last) {
            auto uids = spoken_of(told->changes, mailbox);
            if (uids.size() <= kMostChanges + kept.list->messages.size() / 8) {
                auto list = co_await renewed(engine, account, mailbox, *kept.list, std::move(uids), snapshot);
                if (!list) co_return pass_on(list);
                if (*list) {
                    keep({account, mailbox}, {told->number, *list});
                    co_return *list;
                }
            }
        }
    }
    auto number = co_await engine.change_number(account, snapshot);
    if (!number) co_return pass_on(number);
    auto list = co_await read_all(engine, account, mailbox, snapshot);
    if (list) keep({account, mailbox}, {*number, *list});
    co_return list;
}

UidLists::Kept UidLists::find(Key key) {
    std::lock_guard guard(mutex_);
    const auto* kept = cache_.find(key);
    return kept ? *kept : Kept();
}

void UidLists::keep(Key key, Kept kept) {
    const auto octets = memory_of(*kept.list);
    if (octets > cache_.longest()) return;
    decltype(cache_)::Gone gone;
    std::lock_guard guard(mutex_);
    gone = cache_.put(key, std::move(kept), octets);
}

}  // namespace poplar::mailstore
