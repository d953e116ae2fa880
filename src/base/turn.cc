#include "base/turn.h"

#include <deque>
#include <functional>

namespace poplar::turn {

namespace {

/// The sessions of one io_context whose turn was over. A service, because what still waits has to be dropped with the
/// context. Only the thread that runs the context touches it.
class Waiting : public asio::execution_context::service {
public:
    using key_type = Waiting;
    static inline asio::execution_context::id id;

    explicit Waiting(asio::execution_context& context) : service(context) {}

    void add(const Executor& executor, std::move_only_function<void()> resume) {
        resumes_.push_back(std::move(resume));
        if (resumes_.size() == 1) post_next(executor);
    }

private:
    void post_next(const Executor& executor) {
        asio::post(executor, [this, executor] { next(executor); });
    }

    void next(const Executor& executor) {
        auto resume = std::move(resumes_.front());
        resumes_.pop_front();
        // Before the resumed one adds itself again.
        if (!resumes_.empty()) post_next(executor);
        begin();
        resume();
    }

    void shutdown() override { resumes_.clear(); }

    std::deque<std::move_only_function<void()>> resumes_;
};

}  // namespace

Task<> let_others() {
    auto executor = co_await asio::this_coro::executor;
    auto start = [executor](auto handler) {
        auto resume = [handler = std::move(handler)]() mutable { std::move(handler)(); };
        asio::use_service<Waiting>(executor.context()).add(executor, std::move(resume));
    };
    co_await asio::async_initiate<decltype(use_awaitable), void()>(std::move(start), use_awaitable);
}

}  // namespace poplar::turn
