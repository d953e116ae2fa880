#pragma once
// A worker's thread serves many sessions. One that always has something to do must not keep the thread for itself: its
// turn is bounded by time, because a line or a lookup may cost a hundred times what another does.
#include "base/asio.h"
#include "base/steady.h"

namespace poplar::turn {

/// After so long, other sessions of the thread get their turn. A switch costs a thousandth of it.
inline constexpr std::chrono::milliseconds kLimit{1};

namespace detail {
inline thread_local SteadyTime begun;
}

/// The thread begins to run something that has waited. Code that resumes a session calls it; where that is forgotten,
/// the turn counts from an earlier one, and ends too early.
inline void begin() { detail::begun = SteadyClock::now(); }

/// Whether this turn has lasted too long. Costs a look at the clock (about 25 ns). Code that works long without a wait
/// asks it every few microseconds or more seldom: `if (turn::over()) co_await turn::let_others();`
inline bool over() { return SteadyClock::now() - detail::begun >= kLimit; }

/// Begins a new turn, after all others of the thread that are ready have had theirs. Of the sessions that wait here,
/// one goes on each time, first come first served: however many they are, a session that needs the thread only for a
/// moment waits for one or two of them.
Task<> let_others();

}  // namespace poplar::turn
