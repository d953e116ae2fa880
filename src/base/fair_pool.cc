#include "base/fair_pool.h"

namespace poplar {

FairPool::FairPool(std::size_t threads, std::size_t waiting) : queue_(waiting) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

FairPool::~FairPool() {
    {
        std::lock_guard guard(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void FairPool::add(const Share& share, Job job) {
    std::optional<Job> refused;
    {
        std::lock_guard guard(mutex_);
        refused = queue_.push(share, std::move(job));
    }
    changed_.notify_one();
    if (refused) (*refused)(Errand::refuse);
}

void FairPool::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ending_ || queue_.size() != 0; });
        auto job = queue_.pop();
        if (!job) return;
        lock.unlock();
        (*job)(Errand::run);
        job.reset();
        lock.lock();
    }
}

std::size_t FairPool::waiting() const {
    std::lock_guard guard(mutex_);
    return queue_.size();
}

}  // namespace poplar
