#include "directory/outside/known.h"

#include <sodium.h>

#include <algorithm>

#include "base/random.h"

namespace poplar::directory::outside {

namespace {

/// A record is written anew after this part of `cache`, so that an account that is used seldom costs few writes.
constexpr int kWritesInCache = 16;

bool same(const Digest& one, const Digest& other) { return sodium_memcmp(one.data(), other.data(), one.size()) == 0; }

}  // namespace

Known::Known(const Clock& clock, std::chrono::seconds fresh, std::chrono::seconds cache, std::size_t entries)
    : clock_(clock), fresh_(fresh), cache_(cache), most_(entries) {
    random_bytes(key_.data(), key_.size());
}

Digest Known::digest(std::string_view address, std::string_view password) const {
    Digest out{};
    crypto_generichash_state state;
    crypto_generichash_init(&state, key_.data(), key_.size(), out.size());
    auto add = [&state](std::string_view text) {
        crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    };
    add(address);
    add(std::string_view("\0", 1));  // no address has one
    add(password);
    crypto_generichash_final(&state, out.data(), out.size());
    return out;
}

// A clock that was set back makes what was heard "later" worth nothing, and not worth more.
bool Known::is_within(Timestamp then, std::chrono::seconds time) const {
    const auto now = clock_.now();
    return then <= now && now - then < time;
}

Known::Entry* Known::use(const std::string& address) {
    auto found = entries_.find(address);
    if (found == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second.order);
    return &found->second;
}

Known::Entry& Known::make(const std::string& address) {
    if (auto* there = use(address)) return *there;
    if (entries_.size() >= most_) {
        entries_.erase(order_.back());
        order_.pop_back();
    }
    order_.push_front(address);
    auto& entry = entries_[address];
    entry.order = order_.begin();
    return entry;
}

void Known::set_due(const std::string& address, Entry& entry) {
    if (!std::exchange(entry.due, true)) due_.push_back(address);
}

std::optional<Known::Seen> Known::find(const std::string& address) {
    std::lock_guard hold(mutex_);
    const auto* entry = use(address);
    if (entry == nullptr) return std::nullopt;
    const bool fresh = is_within(entry->heard, fresh_);
    if (!fresh && (!entry->exists || !is_within(entry->heard, cache_))) return std::nullopt;
    return Seen{entry->exists, fresh, entry->credential, entry->networks};
}

Known::Memory Known::remembers(const std::string& address, const Digest& password, Age age) {
    std::lock_guard hold(mutex_);
    const auto* entry = use(address);
    if (entry == nullptr || !entry->exists) return Memory::none;
    if (entry->right && same(*entry->right, password) &&
        is_within(entry->right_at, age == Age::fresh ? fresh_ : cache_))
        return Memory::right;
    for (const auto& [wrong, when] : entry->wrong)
        if (same(wrong, password) && is_within(when, fresh_)) return Memory::wrong;
    return Memory::none;
}

void Known::note(const std::string& address, const Answer& answer) {
    std::lock_guard hold(mutex_);
    auto& entry = make(address);
    const bool was_there = entry.exists;
    entry.heard = clock_.now();
    entry.exists = answer.exists;
    entry.credential = answer.credential;
    entry.networks = answer.networks;
    if (!answer.exists) {
        entry.right.reset(), entry.kept.reset(), entry.kept_of.reset(), entry.wrong.clear();
        if (was_there) set_due(address, entry);
        return;
    }
    if (!was_there || !entry.written || !is_within(*entry.written, cache_ / kWritesInCache)) set_due(address, entry);
}

bool Known::note(const std::string& address, const Digest& password, bool right) {
    std::lock_guard hold(mutex_);
    auto* entry = use(address);
    if (entry == nullptr || !entry->exists) return false;
    const auto now = clock_.now();
    std::erase_if(entry->wrong, [&](const auto& one) { return same(one.first, password); });
    if (right) {
        entry->right = password;
        entry->right_at = entry->heard;  // it may be a credential of a while ago that showed it
        if (!entry->kept || !entry->kept_of || !same(*entry->kept_of, password)) return true;
        entry->kept->right = entry->right_at;  // written with the next record
        return false;
    }
    if (entry->right && same(*entry->right, password)) {  // it was changed outside
        entry->right.reset(), entry->kept.reset(), entry->kept_of.reset();
        entry->password_known = true;
        set_due(address, *entry);
    }
    entry->wrong.emplace_front(password, now);
    if (entry->wrong.size() > kWrong) entry->wrong.pop_back();
    return false;
}

void Known::keep(const std::string& address, const Digest& password, KeptPassword kept) {
    std::lock_guard hold(mutex_);
    auto* entry = use(address);
    if (entry == nullptr || !entry->exists || !entry->right || !same(*entry->right, password)) return;
    entry->kept = kept;
    entry->kept->right = entry->right_at;
    entry->kept_of = password;
    entry->password_known = true;
    set_due(address, *entry);
}

std::vector<Known::Due> Known::take_due() {
    std::lock_guard hold(mutex_);
    std::vector<Due> all;
    for (auto& address : due_) {
        auto found = entries_.find(address);
        if (found == entries_.end()) continue;
        auto& entry = found->second;
        entry.due = false;
        entry.written = clock_.now();
        std::optional<Kept> kept;
        if (entry.exists) kept = Kept{entry.heard, entry.kept};
        all.push_back({std::move(address), std::move(kept), entry.password_known});
    }
    due_.clear();
    return all;
}

void Known::set_due(const std::string& address) {
    std::lock_guard hold(mutex_);
    if (auto* entry = use(address)) set_due(address, *entry);
}

}  // namespace poplar::directory::outside
