#pragma once
// Which bodies end with a shared one (storage-format.md, "Shared bodies"): it goes with the last of them. The
// index has an entry for each, and one for a shared body that is still in the hands of those who deliver it.
#include <map>
#include <utility>
#include <vector>

#include "engine/local/index.h"

namespace poplar::engine::local {

/// What the records of one batch change in that. Records are told in their order, and staged before the batch is
/// written; what is asked about the index means what it says without the batch.
class SharedBodies {
public:
    explicit SharedBodies(const Index& index) : index_(index) {}

    /// A body that a record brings. Index::stage() stages the same.
    void add(PartitionId partition, const RecordMeta::Body& body);
    /// A body that a record erased was here. Stages it: to be called behind Index::stage() of that record.
    void erase(rocksdb::WriteBatch& batch, PartitionId partition, BodyId id, const BodyPlace& place);
    /// Nobody can deliver it any more.
    void release(rocksdb::WriteBatch& batch, BodyId shared);

    struct Gone {
        BodyId id;
        BodyPlace place;
    };
    /// Erases, in `batch`, the shared bodies that nothing is left of since then, and forgets what it was told. Errors:
    /// those of reading the index.
    Result<std::vector<Gone>> settle(rocksdb::WriteBatch& batch);

private:
    struct Changes {
        std::map<std::pair<PartitionId, BodyId>, bool> references;  ///< true: there is one now
        std::optional<bool> held;                                   ///< nothing: as the index says
        bool lost = false;                                          ///< something that kept it
    };
    Result<bool> is_wanted(BodyId shared, const Changes& changes) const;

    const Index& index_;
    std::map<BodyId, Changes> changes_;
};

/// At the end of a recovery: nobody delivers anything any more. Lets go of every shared body that somebody did, and
/// erases, index and table alike, those that nothing is left of.
Result<> release_all(const Index& index, SegmentTable& table, rocksdb::WriteBatch& batch);

}  // namespace poplar::engine::local
