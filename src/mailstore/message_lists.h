#pragma once
// Lists of messages that were read before: programs that preview a maildrop (TOP) or fetch all of it anew, and clients
// on several machines, ask again and again for one that nothing happened to.
#include <memory>
#include <mutex>
#include <vector>

#include "base/octet_cache.h"
#include "mailstore/message.h"
#include "mailstore/view.h"

namespace poplar::mailstore {

/// Keeps the last list of each view, up to so many octets in all; then the one not used for longest goes.
/// May be used from any thread.
class MessageLists {
public:
    using List = std::shared_ptr<const std::vector<Message>>;

    /// 0: keeps nothing.
    explicit MessageLists(std::size_t octets) : cache_(octets) {}

    /// Of this version and no other; null: there is none.
    List find(ViewOf of, const ListVersion& version);
    /// In place of what was kept. One that is too long is not kept.
    void keep(ViewOf of, const ListVersion& version, List list);
    std::size_t octets() const;

private:
    struct Kept {
        ListVersion version;
        List list;
    };

    mutable std::mutex mutex_;
    OctetCache<ViewOf, Kept> cache_;
};

}  // namespace poplar::mailstore
