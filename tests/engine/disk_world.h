#pragma once
// A life of the real engine over a disk in memory: steps that use it, end it and start it again, with a ledger of what
// it has promised; and every moment at which power might have failed.
#include <random>

#include "engine/local/local_engine.h"
#include "tests/engine/promise.h"
#include "tests/support/disk/simulated_disk.h"

namespace poplar::test {

/// Something done to the engine. `size` is octets of a body, or a choice's seed.
struct Action {
    enum class Kind {
        put,           ///< keys only
        body,          ///< a body in the log
        large,         ///< one in a file of its own
        shared,        ///< one file for two partitions
        shared_small,  ///< one body in the log for two partitions
        erase,         ///< of the oldest body of the partition
        group,         ///< `size` commits that are written and synced together
        dropped,       ///< a large body that comes in and is never committed
        conflict,      ///< a large body whose commit is refused
        restart,       ///< a clean one
        killed,        ///< a crash of the process at once, and a start
        killed_named,  ///< a crash when a large body has its name but no record yet, and a start
        killed_at,     ///< a crash in the next commit, before its sync (the `size`th from now), and a start
        rebuild,       ///< the index is made anew
        copy,          ///< what counts in segments that are worth it
    } kind = Kind::put;
    unsigned partition = 0;
    std::uint64_t size = 0;
    std::string name() const;
};

struct Life {
    std::vector<Action> actions;
    std::set<Sync> omitted = {};
    std::uint64_t segment_size = 6000;  // so small that a life has several
    std::optional<std::pair<Step, int>> die_at =
        std::nullopt;  ///< the process dies at this step, when it comes the nth time
    std::optional<std::pair<Sync, int>> die_before =
        std::nullopt;     ///< ... or before the nth sync of this kind; then it is started, and does one thing more
    bool watched = true;  ///< the moments at which power might fail are kept
};

/// A moment at which power fails, and what was promised by then.
struct Moment {
    PowerCut cut;
    Promise promise;
    std::string when;
};

engine::local::Options small_options(SimulatedDisk& disk, std::uint64_t segment_size);

/// Opens the engine; if a rebuild was interrupted and has to be made again, after that.
Result<std::unique_ptr<engine::local::LocalEngine>> open_as_told(SimulatedDisk& disk, std::uint64_t segment_size);

/// Lives `life` and returns every moment before a sync, and the last. `wrong` says if something was not as it should
/// be even without a power cut.
/// `reached`: how often each step was; `synced`: each sync.
std::vector<Moment> live(const Life& life, std::string& wrong, std::map<Step, int>* reached = nullptr,
                         std::map<Sync, int>* synced = nullptr);

/// How thoroughly a moment is looked at.
struct Effort {
    std::uint64_t exhaustive = 0;  ///< all states of our own files if there are no more than this many
    std::uint64_t random = 8;      ///< else so many
    std::uint64_t seed = 1;
};

struct Findings {
    std::uint64_t moments = 0, exhausted = 0, states = 0, equivalent = 0;
    std::string wrong;  ///< the first broken promise, with the state that broke it
};

/// Opens the engine on the states that power cuts may leave, and checks the promise. Stops at the first that breaks it.
Findings check_power_cuts(const std::vector<Moment>& moments, const Effort& effort);

/// The engine opened on what a disk holds: empty, or what is wrong. `thorough`: it goes on, is killed, is rebuilt.
std::string check_state(std::shared_ptr<Platter> platter, const Promise& promise, bool thorough);

/// A disk on which the record of a large body is damaged and the index is gone: a start puts the body's file aside.
struct Orphan {
    Orphan();
    bool kept(const Platter& disk) const;  ///< under its name, or the one it is put aside under
    std::shared_ptr<Platter> platter;
    std::string content;
};

Life random_life(std::uint64_t seed, std::size_t actions);

}  // namespace poplar::test
