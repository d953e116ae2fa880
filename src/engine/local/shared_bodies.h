#pragma once
// Keeps account of the bodies that end with a shared one (storage-format.md, "Shared bodies"), because it is erased
// with the last of them. The index has an entry for each of them, and one for a shared body that a delivery may still
// use.
#include <map>
#include <utility>
#include <vector>

#include "engine/local/index.h"

namespace poplar::engine::local {

/// Collects what the records of one batch change in that. It is told of the records in their order, before the batch is
/// written: it asks the index as it is without the batch.
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
    /// Erases, in `batch`, the shared bodies that nothing keeps any more, and forgets what it was told. Errors: those
    /// of reading the index.
    Result<std::vector<Gone>> settle(rocksdb::WriteBatch& batch);

private:
    struct Changes {
        std::map<std::pair<PartitionId, BodyId>, bool> references;  ///< true: there is one now
        std::optional<bool> held;                                   ///< nothing: as the index says
        bool lost = false;                                          ///< true: something that kept it is gone
    };
    Result<bool> is_wanted(BodyId shared, const Changes& changes) const;

    const Index& index_;
    std::map<BodyId, Changes> changes_;
};

/// For the end of a recovery, when nobody delivers anything: releases every shared body that a delivery used, and
/// erases, in index and table, those that no body ends with.
Result<> release_all(const Index& index, SegmentTable& table, rocksdb::WriteBatch& batch);

}  // namespace poplar::engine::local
