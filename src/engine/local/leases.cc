#include "engine/local/leases.h"

namespace poplar::engine::local {

class Leases::Held final : public Lease {
public:
    Held(std::shared_ptr<Leases> leases, Name name, FencingToken token)
        : leases_(std::move(leases)), name_(std::move(name)), token_(token) {}
    ~Held() override {
        std::lock_guard guard(leases_->mutex_);
        leases_->held_.erase(name_);
    }
    FencingToken token() const override { return token_; }

private:
    std::shared_ptr<Leases> leases_;
    Name name_;
    FencingToken token_;
};

Result<std::unique_ptr<Lease>> Leases::acquire(PartitionId partition, std::string name) {
    std::lock_guard guard(mutex_);
    Name key(partition, std::move(name));
    auto [it, fresh] = held_.try_emplace(key, FencingToken(last_token_ + 1));
    if (!fresh) return fail(Errc::busy, "the lease is held");
    ++last_token_;
    return std::make_unique<Held>(shared_from_this(), std::move(key), it->second);
}

bool Leases::held(PartitionId partition, const Batch::Fence& fence) const {
    std::lock_guard guard(mutex_);
    auto it = held_.find({partition, fence.lease});
    return it != held_.end() && it->second == fence.token;
}

class Watches::Watching final : public Watch {
public:
    using Entry = std::multimap<PartitionId, std::shared_ptr<std::function<void()>>>::iterator;
    Watching(std::shared_ptr<Watches> watches, Entry entry) : watches_(std::move(watches)), entry_(entry) {}
    ~Watching() override {
        std::lock_guard guard(watches_->mutex_);
        watches_->watches_.erase(entry_);
        --watches_->count_;
    }

private:
    std::shared_ptr<Watches> watches_;
    Entry entry_;
};

std::unique_ptr<Watch> Watches::add(PartitionId partition, std::function<void()> hint) {
    std::lock_guard guard(mutex_);
    auto shared = std::make_shared<std::function<void()>>(std::move(hint));
    auto entry = watches_.emplace(partition, std::move(shared));
    ++count_;
    return std::make_unique<Watching>(shared_from_this(), entry);
}

void Watches::changed(const std::vector<PartitionId>& partitions) {
    if (count_ == 0) return;
    std::vector<std::shared_ptr<std::function<void()>>> hints;
    {
        std::lock_guard guard(mutex_);
        for (auto partition : partitions) {
            auto [begin, end] = watches_.equal_range(partition);
            for (auto it = begin; it != end; ++it) hints.push_back(it->second);
        }
    }
    for (const auto& hint : hints) (*hint)();
}

}  // namespace poplar::engine::local
