#pragma once
// The promises that an engine has made, and whether a store keeps them.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/local/local_engine.h"

namespace poplar::test {

/// One commit as its maker knows it.
struct Commit {
    engine::PartitionId partition;
    std::vector<std::string> erased;
    std::vector<engine::Entry> puts;
    std::vector<std::pair<engine::BodyId, std::string>> bodies;
    std::vector<engine::BodyId> erased_bodies;
};

/// Commits in the order in which they were handed in, and what became of each.
struct Promise {
    enum class Outcome {
        pending,  ///< may come true, whole, or not
        kept,     ///< acknowledged, or seen: for ever
        failed,   ///< said not to have happened, or seen not to have: never
        unknown,  ///< answered with io: may come true at a start, whole, or not
    };
    struct Item {
        std::shared_ptr<const Commit> commit;
        Outcome outcome = Outcome::pending;
    };
    std::vector<Item> items;

    /// The commits of a partition that a store holds, read from what it answers; nullopt with a reason in `wrong` if
    /// they can't be the right ones.
    std::optional<std::vector<std::size_t>> find_kept(engine::Engine& engine, engine::PartitionId partition,
                                                      std::string& wrong) const;
    std::vector<engine::PartitionId> partitions() const;
    /// Empty if `engine` holds every kept commit, no failed one, each other whole or not at all, in order, byte-exact,
    /// and nothing else.
    std::string check(engine::local::LocalEngine& engine) const;
    /// After a start: what is there stays, what is not never comes. Empty, or what is wrong.
    std::string settle(engine::local::LocalEngine& engine);
};

}  // namespace poplar::test
