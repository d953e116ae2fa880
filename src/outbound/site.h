#pragma once
// A destination while there is mail for it.
#include <deque>
#include <string>
#include <vector>

#include "base/steady.h"
#include "outbound/runner.h"

namespace poplar::outbound {

/// The hosts that take mail for some domains, or a relay. All its connections share what is learned of it.
struct Runner::Site {
    explicit Site(Destination d) : destination(std::move(d)) {}

    Destination destination;
    std::deque<Job> jobs;            ///< that wait for a connection
    std::size_t open = 0;            ///< connections, those that are being made among them
    std::size_t standing = 0;        ///< of them, those over which mail can go
    std::size_t limit = 2;           ///< of `open`: grows with what is taken, shrinks with what breaks
    std::uint32_t broken = 0;        ///< connections in a row that broke before a recipient got a reply
    bool proven = false;             ///< mail was delivered here, and it was not dead since
    bool queued = false;             ///< it is among waiting_sites_
    SteadyTime dead_until{};         ///< nobody answers
    NoWay why;                       ///< of that
    std::vector<SteadyTimer*> idle;  ///< connections that wait for a job

    bool wake_one() {
        if (idle.empty()) return false;
        idle.back()->cancel();
        idle.pop_back();
        return true;
    }
    void wake_all() {
        while (wake_one()) {
        }
    }
};

/// A domain whose hosts are looked up, and what waits for that.
struct Runner::Domain {
    Domain(std::string n, Destination d) : name(std::move(n)), destination(std::move(d)) {}
    std::string name;
    Destination destination;  ///< without its hosts
    std::vector<Job> jobs;
};

}  // namespace poplar::outbound
