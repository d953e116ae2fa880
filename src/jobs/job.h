#pragma once
// Work that nobody asks for and that can wait: a class with round(), run by jobs/runner.h, or by a test.
#include <chrono>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/error.h"

namespace poplar::jobs {

/// A round's way to whoever runs it: pauses, the order to end, how far it is.
class Control {
public:
    virtual ~Control() = default;
    /// To be called between pieces of work, so that others go first: waits for `time`, and for as long as an operator
    /// has paused the job. Errors: cancelled (the round must end now, with that).
    virtual Task<Result<>> pause(std::chrono::milliseconds time) = 0;
    /// How far the round is, for people.
    virtual void tell(std::string progress) = 0;
};

class Job {
public:
    virtual ~Job() = default;
    virtual std::string_view name() const = 0;  ///< the same always: "housekeeping"
    /// Does all there is to do now, and logs what came of it. A round that failed or was cancelled is simply followed
    /// by the next one, so what it did so far must be good by itself. Errors: cancelled, and the job's own.
    virtual Task<Result<>> round(Control& control) = 0;
};

}  // namespace poplar::jobs
