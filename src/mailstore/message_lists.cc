#include "mailstore/message_lists.h"

namespace poplar::mailstore {

namespace {

std::size_t memory_of(const std::vector<Message>& list) {
    static const std::size_t kInPlace = std::string().capacity();
    std::size_t octets = list.capacity() * sizeof(Message);
    for (const auto& message : list)
        if (message.unique_id.capacity() > kInPlace) octets += message.unique_id.capacity() + 1;
    return octets;
}

}  // namespace

MessageLists::List MessageLists::find(ViewOf of, const ListVersion& version) {
    std::lock_guard guard(mutex_);
    const auto* kept = cache_.find(of);
    return kept && kept->version == version ? kept->list : nullptr;
}

void MessageLists::keep(ViewOf of, const ListVersion& version, List list) {
    const auto octets = memory_of(*list);
    if (octets > cache_.longest()) return;
    decltype(cache_)::Gone gone;
    std::lock_guard guard(mutex_);
    gone = cache_.put(of, {version, std::move(list)}, octets);
}

std::size_t MessageLists::octets() const {
    std::lock_guard guard(mutex_);
    return cache_.octets();
}

}  // namespace poplar::mailstore
