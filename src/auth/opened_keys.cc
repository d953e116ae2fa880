#include <sodium.h>

#include "auth/mail_keys.h"
#include "base/encoding.h"
#include "base/random.h"

namespace poplar::auth {

namespace {
constexpr std::size_t kNonce = crypto_secretbox_NONCEBYTES;
unsigned char* octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
}  // namespace

OpenedKeys::OpenedKeys(std::chrono::seconds ttl, std::size_t entries) : ttl_(ttl), entries_(entries) {}

encryption::Secret OpenedKeys::key_of(const directory::Account& account, std::string_view password) const {
    Encoder secret(password.size() + 64);
    secret.raw(own_.view()).u64(account.id.value).u64(account.credential_version).raw(password);
    auto text = std::move(secret).bytes();
    auto key = encryption::derive(text, "poplar opened key");
    sodium_memzero(text.data(), text.size());
    return key;
}

encryption::MailKeyPtr OpenedKeys::find(const directory::Account& account, std::string_view password) {
    std::string box;
    {
        std::lock_guard hold(mutex_);
        auto found = boxes_.find(account.id);
        if (found == boxes_.end()) return nullptr;
        if (SteadyClock::now() >= found->second.since + ttl_) {
            boxes_.erase(found);
            return nullptr;
        }
        box = found->second.box;
    }
    const auto key = key_of(account, password);
    encryption::Secret secret;
    if (crypto_secretbox_open_easy(secret.data(), octets(box) + kNonce, box.size() - kNonce, octets(box), key.data()) !=
        0)
        return nullptr;
    return std::make_shared<const encryption::MailKey>(std::move(secret));
}

void OpenedKeys::remember(const directory::Account& account, std::string_view password,
                          const encryption::MailKey& key) {
    if (ttl_.count() <= 0 || entries_ == 0) return;
    std::string box(kNonce + crypto_secretbox_MACBYTES + encryption::Secret::kSize, '\0');
    random_bytes(box.data(), kNonce);
    const auto under = key_of(account, password);
    crypto_secretbox_easy(octets(box) + kNonce, key.secret().data(), encryption::Secret::kSize, octets(box),
                          under.data());
    std::lock_guard hold(mutex_);
    if (boxes_.size() >= entries_ && !boxes_.contains(account.id)) boxes_.erase(boxes_.begin());
    boxes_.insert_or_assign(account.id, Entry{std::move(box), SteadyClock::now()});
}

void OpenedKeys::forget(directory::AccountId id) {
    std::lock_guard hold(mutex_);
    boxes_.erase(id);
}

}  // namespace poplar::auth
