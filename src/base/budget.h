#pragma once
// An amount that many draw on, and that no one of them may use up: octets of memory, octets staged on the disk.
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace poplar {

/// Each holder is named by a number, a peer's network (base/peer_network.h) or an account, and may hold at most as much
/// as stays free for the others. One holder alone gets half of the whole, two get a third each, and a newcomer always
/// finds room for as much as the largest holder has. May be called from any thread; each change takes a lock.
class Budget {
public:
    using Holder = std::uint64_t;

    /// `whole`: of all holders together. `floor`: of one holder, as long as the whole has room, however little would
    /// then be left; so that many small holders do not keep out the next small one.
    Budget(std::uint64_t whole, std::uint64_t floor) : whole_(whole), floor_(floor) {}
    Budget(const Budget&) = delete;

    /// The part of the budget that one use holds, given back on destruction. The budget must outlive it. To be used by
    /// one thread at a time.
    class Holding {
    public:
        Holding() = default;
        Holding(Holding&& other) noexcept;
        Holding& operator=(Holding&& other) noexcept;
        ~Holding() { release(); }

        /// Takes or gives back, until `amount` is held. False, with nothing changed: that is over the holder's share
        /// or the whole. Holding less never fails; nor does a Holding that belongs to no budget.
        [[nodiscard]] bool resize(std::uint64_t amount);
        void release();
        std::uint64_t amount() const { return amount_; }

    private:
        friend class Budget;
        Holding(Budget& budget, Holder holder) : budget_(&budget), holder_(holder) {}
        Budget* budget_ = nullptr;
        Holder holder_ = 0;
        std::uint64_t amount_ = 0;
    };

    /// Holds nothing yet, and costs nothing until it does.
    Holding open(Holder holder) { return {*this, holder}; }

    std::uint64_t held() const;                  ///< by all
    std::uint64_t held_by(Holder holder) const;  ///< by one

private:
    bool change(Holder holder, std::uint64_t before, std::uint64_t after);

    const std::uint64_t whole_, floor_;
    mutable std::mutex mutex_;
    std::uint64_t held_ = 0;
    std::unordered_map<Holder, std::uint64_t> holders_;  ///< those that hold something
};

}  // namespace poplar
