// The messages that a command names, and the store's entries of them.
#include "imap/client.h"

namespace poplar::imap {

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

Task<Result<std::vector<mailstore::StoredMessage>>> Client::read_messages(std::span<const std::uint32_t> indexes) {
    return services_.store.messages(account(), selected_->id(), uids_at(indexes));
}

}  // namespace poplar::imap
