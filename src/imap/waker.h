#pragma once
#include <functional>
#include <memory>
#include <utility>

#include "base/asio.h"
#include "net/wakeable.h"

namespace poplar::imap {

/// Wakes a session from any thread, as long as it lives.
class Waker {
public:
    Waker(net::Wakeable& connection, Executor executor)
        : executor_(std::move(executor)), target_(std::make_shared<Target>(Target{&connection})) {}

    // Holds work of the session's context, which thus is there still if the hint runs when the session has ended.
    std::function<void()> hint() const {
        return [work = asio::make_work_guard(executor_), target = std::weak_ptr(target_)] {
            asio::post(work.get_executor(), [target] {
                if (const auto alive = target.lock()) alive->connection->wake();
            });
        };
    }

private:
    struct Target {
        net::Wakeable* connection;
    };
    Executor executor_;
    std::shared_ptr<Target> target_;  // used, and dropped, on the session's thread
};

}  // namespace poplar::imap
