// The messages that a command names, and the store's entries of them.
#include <algorithm>

#include "imap/client.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kPage = 1000;  // messages read together

}  // namespace

std::optional<std::vector<std::uint32_t>> Client::parse_messages(Cursor& in) {
    if (in.take('$')) return selected_->indexes_of_uids(selected_->saved);
    auto set = SequenceSet::parse(in);
    if (!set) return std::nullopt;
    if (by_uid()) {
        set->resolve(selected_->greatest_uid());
        return selected_->indexes_of_uids(*set);
    }
    // RFC 9051 s9: a message number that no message has is an error; "*" of an empty mailbox is one, too.
    if (set->has_star() && selected_->count() == 0) return std::nullopt;
    set->resolve(selected_->count());
    if (!set->ranges().empty() && set->ranges().back().last > selected_->count()) return std::nullopt;
    return selected_->indexes_of_numbers(*set);
}

std::vector<Uid> Client::uids_at(std::span<const std::uint32_t> indexes) const {
    std::vector<Uid> uids;
    uids.reserve(indexes.size());
    for (auto index : indexes) uids.emplace_back(selected_->list().messages[index].uid);
    return uids;
}

// A message's UID is its place in the mailbox, unless it came back there from where deleted mail is kept. Messages next
// to each other are read together; those that came back are looked for in the whole mailbox, if one is wanted.
Task<Result<std::vector<mailstore::StoredMessage>>> Client::read_messages(std::span<const std::uint32_t> indexes) {
    std::vector<mailstore::StoredMessage> found;
    const auto uid_at = [&](std::size_t i) { return selected_->list().messages[indexes[i]].uid; };
    const auto is_wanted = [&](const mailstore::StoredMessage& message) {
        const auto uid_of = [&](std::uint32_t index) { return selected_->list().messages[index].uid; };
        const auto uid = static_cast<std::uint32_t>(message.uid().value);
        const auto at = std::ranges::lower_bound(indexes, uid, {}, uid_of);
        return at != indexes.end() && uid_of(*at) == uid;
    };
    for (std::size_t i = 0; i < indexes.size();) {
        auto end = i + 1;
        while (end < indexes.size() && indexes[end] == indexes[end - 1] + 1) ++end;
        mailstore::OrderKey after(uid_at(i) - 1);
        for (const mailstore::OrderKey last(uid_at(end - 1)); after < last;) {
            const auto limit = std::min(end - i, kPage);
            auto page = co_await services_.store.list(account(), selected_->id(), after, limit);
            if (!page) co_return pass_on(page);
            if (page->empty()) break;
            after = page->back().order;
            const bool more = page->size() == limit;
            for (auto& message : *page)
                if (message.own_uid.value == 0 && message.order <= last && is_wanted(message))
                    found.push_back(std::move(message));
            if (!more) break;
        }
        i = end;
    }
    if (found.size() == indexes.size()) co_return found;
    for (mailstore::OrderKey after;;) {
        auto page = co_await services_.store.list(account(), selected_->id(), after, kPage);
        if (!page) co_return pass_on(page);
        const bool more = page->size() == kPage;
        if (more) after = page->back().order;
        for (auto& message : *page)
            if (message.own_uid.value != 0 && is_wanted(message)) found.push_back(std::move(message));
        if (!more) break;
    }
    std::ranges::sort(found, {}, &mailstore::StoredMessage::uid);
    co_return found;
}

}  // namespace poplar::imap
