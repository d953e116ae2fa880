#pragma once
// An amount that many draw on, and that no one of them may use up: octets of memory, octets staged on the disk.
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace poplar {

/// Each holder is named by a key, a peer's network (base/peer_network.h) or an account, and may hold at most as much as
/// stays free for the others. One holder alone gets half of the whole, two get a third each, and a newcomer always
/// finds room for as much as the largest holder has. May be called from any thread; each change takes a lock.
class Budget {
public:
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
        Holding(Budget& budget, std::string holder) : budget_(&budget), holder_(std::move(holder)) {}
        Budget* budget_ = nullptr;
        std::string holder_;
        std::uint64_t amount_ = 0;
    };

    /// Holds nothing yet, and costs nothing until it does.
    Holding open(std::string holder) { return {*this, std::move(holder)}; }

    std::uint64_t held() const;                         ///< by all
    std::uint64_t held_by(std::string_view key) const;  ///< by one holder

private:
    bool change(const std::string& holder, std::uint64_t before, std::uint64_t after);

    const std::uint64_t whole_, floor_;
    mutable std::mutex mutex_;
    std::uint64_t held_ = 0;
    std::unordered_map<std::string, std::uint64_t> holders_;  ///< those that hold something
};

}  // namespace poplar
