#include "net/workers.h"

#include <pthread.h>

#include "base/log.h"

namespace poplar::net {

namespace {

constexpr auto kPatience = std::chrono::seconds(2);

void run(asio::io_context& context) {
    for (;;) {
        try {
            context.run();
            return;
        } catch (const std::exception& e) {  // a session's failures end there; this would be our own mistake
            log::error("net.worker_exception", {{"what", std::string_view(e.what())}});
        }
    }
}

}  // namespace

Workers::Workers(std::size_t threads) {
    for (std::size_t i = 0; i < threads; ++i) {
        own_.push_back(std::make_unique<asio::io_context>(1));
        contexts_.push_back(own_.back().get());
        guards_.emplace_back(contexts_.back()->get_executor());
        // The context's descriptors are opened here, where running out of them is an error of the start-up.
        asio::steady_timer opens_them(*contexts_.back());
    }
}

Workers::~Workers() { stop(); }

void Workers::start() {
    running_ = own_.size();
    for (std::size_t i = 0; i < own_.size(); ++i) {
        threads_.emplace_back([this, &context = *own_[i]] {
            run(context);
            std::lock_guard guard(mutex_);
            --running_;
            finished_.notify_one();
        });
        pthread_setname_np(threads_.back().native_handle(), fmt::format("worker-{}", i).c_str());
    }
}

void Workers::stop() {
    guards_.clear();
    {
        // A thread of the store or of a pool may just be handing a result to a context: it holds work there until its
        // hands are off. So a context that ends for want of work is nobody's any more.
        std::unique_lock lock(mutex_);
        finished_.wait_for(lock, kPatience, [this] { return running_ == 0; });
    }
    for (auto& context : own_) context->stop();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
}

}  // namespace poplar::net
