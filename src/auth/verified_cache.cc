#include "auth/verified_cache.h"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "base/random.h"

namespace poplar::auth {

namespace {
constexpr std::size_t kShards = 16;
std::size_t shard_count(std::size_t entries) { return std::clamp<std::size_t>(entries, 1, kShards); }
}  // namespace

VerifiedCache::VerifiedCache(std::chrono::seconds ttl, std::size_t entries)
    : ttl_(ttl), shard_entries_(ttl.count() <= 0 ? 0 : entries / shard_count(entries)), shards_(shard_count(entries)) {
    random_bytes(key_.data(), key_.size());
}

VerifiedCache::~VerifiedCache() { sodium_memzero(key_.data(), key_.size()); }

void VerifiedCache::Shard::erase(std::unordered_map<directory::AccountId, Entry>::iterator entry) {
    order.erase(entry->second.order);
    entries.erase(entry);
}

// The key goes in front of what is hashed, which BLAKE2b allows, because its hashes can not be lengthened. As a
// parameter it would take a block of its own, and every poll would pay for two.
VerifiedCache::Digest VerifiedCache::digest(const directory::Account& account, std::string_view password) const {
    const std::array<std::uint64_t, 2> whose{account.id.value, account.credential_version};
    Digest out;
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, out.size());
    crypto_generichash_update(&state, key_.data(), key_.size());
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(whose.data()), sizeof whose);
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(password.data()), password.size());
    crypto_generichash_final(&state, out.data(), out.size());
    return out;
}

bool VerifiedCache::contains(const directory::Account& account, std::string_view password) {
    if (shard_entries_ == 0) return false;
    auto& here = shard(account.id);
    auto wanted = digest(account, password);
    std::lock_guard hold(here.mutex);
    auto found = here.entries.find(account.id);
    if (found == here.entries.end()) return false;
    if (SteadyClock::now() >= found->second.since + ttl_) {
        here.erase(found);
        return false;
    }
    return sodium_memcmp(found->second.digest.data(), wanted.data(), wanted.size()) == 0;
}

void VerifiedCache::remember(const directory::Account& account, std::string_view password) {
    if (shard_entries_ == 0) return;
    auto& here = shard(account.id);
    auto made = digest(account, password);
    std::lock_guard hold(here.mutex);
    if (auto old = here.entries.find(account.id); old != here.entries.end()) here.erase(old);
    if (here.entries.size() >= shard_entries_) here.erase(here.entries.find(here.order.front()));
    auto order = here.order.insert(here.order.end(), account.id);
    here.entries.emplace(account.id, Entry{made, SteadyClock::now(), order});
}

void VerifiedCache::forget(directory::AccountId id) {
    auto& here = shard(id);
    std::lock_guard hold(here.mutex);
    if (auto found = here.entries.find(id); found != here.entries.end()) here.erase(found);
}

std::size_t VerifiedCache::size() const {
    std::size_t sum = 0;
    for (auto& each : shards_) {
        std::lock_guard hold(each.mutex);
        sum += each.entries.size();
    }
    return sum;
}

}  // namespace poplar::auth
