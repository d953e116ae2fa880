#include "auth/device_uses.h"

#include <utility>

#include "base/log.h"

namespace poplar::auth {

std::string_view to_string(directory::Service service) {
    switch (service) {
        case directory::Service::pop3: return "pop3";
        case directory::Service::imap: return "imap";
        case directory::Service::submission: return "submission";
        case directory::Service::sieve: return "sieve";
    }
    return "";
}

std::optional<directory::Service> service_of(std::string_view word) {
    using directory::Service;
    for (auto service : {Service::pop3, Service::imap, Service::submission, Service::sieve})
        if (to_string(service) == word) return service;
    return std::nullopt;
}

void DeviceUses::Session::swap(Session& other) noexcept {
    std::swap(uses_, other.uses_);
    std::swap(account_, other.account_);
    std::swap(device_, other.device_);
    std::swap(fetched_, other.fetched_);
    std::swap(deleted_, other.deleted_);
}

DeviceUses::Session::~Session() {
    if (uses_ != nullptr && (fetched_ != 0 || deleted_ != 0))
        uses_->add({account_, device_}, {.fetched = fetched_, .deleted = deleted_});
}

DeviceUses::Session DeviceUses::begin(directory::AccountId account, std::uint32_t device, std::string_view peer,
                                      directory::Service service) {
    add({account, device},
        {.last = clock_.now(), .peer = std::string(peer), .protocol = std::string(to_string(service)), .logins = 1});
    return {*this, account, device};
}

void DeviceUses::add(const Key& key, directory::DeviceUse use) {
    std::lock_guard hold(mutex_);
    if (pending_.size() >= kPending && !pending_.contains(key)) return;
    pending_[key].add(use);
}

std::vector<directory::Directory::UsedDevice> DeviceUses::take_some() {
    std::vector<directory::Directory::UsedDevice> some;
    std::lock_guard hold(mutex_);
    while (!pending_.empty() && some.size() < kAtOnce) {
        auto node = pending_.extract(pending_.begin());
        some.push_back({node.key().first, node.key().second, std::move(node.mapped())});
    }
    return some;
}

Task<> DeviceUses::flush() {
    auto turn = co_await flushing_.lock();
    for (;;) {
        auto some = take_some();
        if (some.empty()) co_return;
        auto noted = co_await directory_.note_device_uses(some);
        if (noted) continue;
        log::warning("auth.device_uses_not_kept",
                     {{"devices", some.size()}, {"reason", to_string(noted.error().code())}});
        for (auto& [account, device, use] : some) add({account, device}, std::move(use));
        co_return;  // the next call tries again
    }
}

}  // namespace poplar::auth
