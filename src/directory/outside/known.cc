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
    : clock_(clock),
      fresh_(fresh),
      cache_(cache),
      most_gone_(std::max<std::size_t>(entries / 4, 1)),
      most_there_(std::max(entries, most_gone_ + 1) - most_gone_) {
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
    auto& order = order_of(found->second);
    order.splice(order.begin(), order, found->second.order);
    return &found->second;
}

/// The entry, a new one where there is none, before all others of its kind.
Known::Entry& Known::place(const std::string& address, bool exists) {
    auto [found, is_new] = entries_.try_emplace(address);
    auto& entry = found->second;
    auto& order = exists ? there_ : gone_;
    if (is_new)
        entry.order = order.insert(order.begin(), address);
    else
        order.splice(order.begin(), order_of(entry), entry.order);
    entry.exists = exists;
    if (order.size() > (exists ? most_there_ : most_gone_)) evict(order);
    return entry;
}

void Known::evict(std::list<std::string>& order) {
    const auto found = entries_.find(order.back());
    if (found->second.due) add_late(due_of(found->first, found->second));
    entries_.erase(found);
    order.pop_back();
}

void Known::set_due(const std::string& address, Entry& entry) {
    if (!std::exchange(entry.due, true)) due_.push_back(address);
}

/// The stored record goes, too.
void Known::forget_password(const std::string& address, Entry& entry) {
    entry.right.reset(), entry.kept.reset(), entry.kept_of.reset();
    entry.password_known = true;
    set_due(address, entry);
}

Known::Due Known::due_of(const std::string& address, const Entry& entry) {
    std::optional<Kept> kept;
    if (entry.exists) kept = Kept{entry.heard, entry.kept};
    return {address, std::move(kept), entry.password_known};
}

/// More than there may be entries come together only while the store fails for long.
void Known::add_late(Due due) {
    if (late_.size() < most_there_) late_.push_back(std::move(due));
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
        if (same(wrong, password) && (age == Age::stale || is_within(when, fresh_))) return Memory::wrong;
    return Memory::none;
}

void Known::note(const std::string& address, const Answer& answer) {
    std::lock_guard hold(mutex_);
    const auto found = entries_.find(address);
    const bool was_there = found != entries_.end() && found->second.exists;
    auto& entry = place(address, answer.exists);
    const bool has_changed = !entry.credential.empty() && entry.credential != answer.credential;
    entry.heard = clock_.now();
    entry.credential = answer.credential;
    entry.networks = answer.networks;
    if (!answer.exists) {
        entry.right.reset(), entry.kept.reset(), entry.kept_of.reset(), entry.wrong.clear();
        if (was_there) set_due(address, entry);
        return;
    }
    if (has_changed) {
        entry.wrong.clear();
        forget_password(address, entry);
    }
    if (!was_there || !entry.written || !is_within(*entry.written, cache_ / kWritesInCache)) set_due(address, entry);
}

bool Known::note(const std::string& address, const Digest& password, bool right, std::string_view credential) {
    std::lock_guard hold(mutex_);
    auto* entry = use(address);
    if (entry == nullptr || !entry->exists || entry->credential != credential) return false;
    const auto now = clock_.now();
    std::erase_if(entry->wrong, [&](const auto& one) { return same(one.first, password); });
    if (right) {
        // The kept or stored password may be another one, which this one has replaced.
        if (!entry->right || !same(*entry->right, password)) {
            const bool is_kept = entry->kept && entry->kept_of && same(*entry->kept_of, password);
            if (!is_kept) forget_password(address, *entry);
        }
        entry->right = password;
        entry->right_at = entry->heard;  // it may be a credential of a while ago that showed it
        if (!entry->kept) return true;
        entry->kept->right = entry->right_at;  // written with the next record
        return false;
    }
    if (entry->right && same(*entry->right, password)) forget_password(address, *entry);  // it was changed outside
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
    auto all = std::exchange(late_, {});  // first: an entry that came back knows more
    for (const auto& address : due_) {
        auto found = entries_.find(address);
        if (found == entries_.end() || !std::exchange(found->second.due, false)) continue;
        found->second.written = clock_.now();
        all.push_back(due_of(address, found->second));
    }
    due_.clear();
    return all;
}

void Known::put_back(Due due) {
    std::lock_guard hold(mutex_);
    if (auto* entry = use(due.address))
        set_due(due.address, *entry);
    else
        add_late(std::move(due));
}

void Known::drop_record(const std::string& address) {
    std::lock_guard hold(mutex_);
    if (auto* entry = use(address))
        set_due(address, *entry);
    else
        add_late({address, std::nullopt, true});
}

}  // namespace poplar::directory::outside
