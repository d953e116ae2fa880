#pragma once
// A complete engine in memory, for tests: the same promises as a real one, and failures on demand.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace poplar::test {

/// Every function that may wait really suspends once, so that code which relies on not being interrupted shows it.
/// Objects made by the engine (leases, readers, snapshots) may outlive it.
class MemoryEngine final : public engine::Engine {
public:
    struct Disk;  ///< what an engine leaves behind for the next one
    explicit MemoryEngine(std::shared_ptr<Disk> disk = nullptr);
    ~MemoryEngine() override;
    std::shared_ptr<Disk> disk() const { return state_; }

    Task<Result<std::string>> get(engine::PartitionId partition, std::string key,
                                  std::shared_ptr<const engine::Snapshot> snapshot = nullptr) override;
    std::optional<Result<std::string>> try_get(engine::PartitionId partition, std::string_view key,
                                               const engine::Snapshot* snapshot = nullptr) override;
    Task<Result<engine::Entries>> scan(engine::PartitionId partition, engine::KeyRange range, std::size_t limit,
                                       std::shared_ptr<const engine::Snapshot> snapshot = nullptr) override;
    Task<Result<engine::ChangeNumber>> change_number(engine::PartitionId partition,
                                                     std::shared_ptr<const engine::Snapshot> snapshot) override;
    std::shared_ptr<const engine::Snapshot> snapshot(engine::PartitionId partition) override;
    Task<Result<engine::ChangeNumber>> commit(engine::PartitionId partition, engine::Batch batch,
                                              std::optional<engine::ChangeNumber> expected = std::nullopt) override;
    engine::BodyId next_body_id(engine::PartitionId partition) override;
    std::unique_ptr<engine::BodyWriter> write_body(std::uint64_t size_hint = 0) override;
    std::unique_ptr<engine::BodySeries> read_bodies(engine::PartitionId partition) override;
    Task<Result<std::unique_ptr<engine::Lease>>> lease(engine::PartitionId partition, std::string name) override;
    std::unique_ptr<engine::Watch> watch(engine::PartitionId partition, std::function<void()> hint) override;

    /// From now on try_get() answers, as an engine does whose index is in memory.
    void have_all_at_hand();

    // Failures. Each kind has a counter; while it is above zero, calls of that kind take one off it and fail.
    enum class Applied { no, yes };
    /// `Applied::yes` makes the changes true and fails nevertheless, as a cluster's outcome_unknown may.
    void fail_next_commits(int count, Errc code, Applied applied = Applied::no);
    void fail_next_reads(int count, Errc code);   ///< get, scan and change_number
    void fail_next_writes(int count, Errc code);  ///< BodyWriter::write and finish
    /// Lets `count` more commits succeed; those after them fail with `code` until fail_next_commits(0, ...).
    void fail_commits_after(int count, Errc code);
    /// From now on reading the body's octet at `offset` answers corrupt.
    void damage_body(engine::PartitionId partition, engine::BodyId id, std::uint64_t offset);
    /// Takes a lease away from its holder: commits fenced with it answer denied, others may take it.
    void break_lease(engine::PartitionId partition, const std::string& name);
    /// A commit waits until the executor's other work had so many turns (1 without a word), as a slow disk makes it
    /// wait.
    void commits_wait(int turns);
    /// Called on the committing thread before each commit is looked at; no lock is held.
    void on_commit(std::function<void(engine::PartitionId, const engine::Batch&)> hook);

    std::uint64_t commits() const;        ///< that succeeded
    std::uint64_t reads() const;          ///< get and scan calls
    std::uint64_t rests() const;          ///< release_files() of series that had opened a body since
    std::uint64_t staged_octets() const;  ///< that writers of bodies were ever given
    std::size_t body_count(engine::PartitionId partition) const;      ///< bodies that exist
    std::size_t snapshot_count(engine::PartitionId partition) const;  ///< snapshots that somebody holds

private:
    std::shared_ptr<Disk> state_;
};

}  // namespace poplar::test
