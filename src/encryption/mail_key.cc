#include "encryption/mail_key.h"

#include <sodium.h>

#include <algorithm>

#include "base/random.h"

namespace poplar::encryption {

namespace {

constexpr auto kRenewed = std::chrono::hours(1);
constexpr char kVersion = 1;
constexpr std::size_t kNonce = crypto_box_NONCEBYTES, kMac = crypto_box_MACBYTES;
constexpr std::size_t kSealedKey = 1 + sizeof(PublicKey) + kNonce + kMac + Secret::kSize;

const unsigned char* octets(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

KeyPair KeyPair::make() {
    KeyPair made;
    made.secret = Secret::random();
    made.public_key = public_key_of(made.secret);
    return made;
}

PublicKey public_key_of(const Secret& secret) {
    PublicKey key{};
    crypto_scalarmult_base(key.data(), secret.data());
    return key;
}

std::string_view view(const PublicKey& key) { return {reinterpret_cast<const char*>(key.data()), key.size()}; }

Result<PublicKey> public_key(std::string_view octets) {
    PublicKey key{};
    if (octets.size() != key.size()) return fail(Errc::invalid, "a public key has 32 octets");
    std::ranges::copy(octets, reinterpret_cast<char*>(key.data()));
    return key;
}

bool is_sealed_key(std::string_view sealed) { return sealed.size() == kSealedKey && sealed.front() == kVersion; }

Sealer::MessageKey Sealer::make() {
    MessageKey made{Secret::random(), {}};
    made.sealed.reserve(kSealedKey);
    made.sealed.push_back(kVersion);
    std::lock_guard hold(mutex_);
    if (const auto now = SteadyClock::now(); now >= renew_) {
        auto pair = KeyPair::make();
        own_ = pair.public_key;
        // It fails only for a public key that no key pair has; then what is sealed is lost to everybody, and not open.
        if (crypto_box_beforenm(agreed_.data(), account_.data(), pair.secret.data()) != 0) agreed_ = Secret::random();
        renew_ = now + kRenewed;
    }
    made.sealed.append(view(own_));
    std::string nonce(kNonce, '\0'), box(kMac + Secret::kSize, '\0');
    random_bytes(nonce.data(), nonce.size());
    crypto_box_easy_afternm(octets(box), made.key.data(), Secret::kSize, octets(nonce), agreed_.data());
    made.sealed.append(nonce).append(box);
    return made;
}

MailKey::MailKey(Secret secret) : secret_(std::move(secret)), public_key_(public_key_of(secret_)) {}

Result<Secret> MailKey::open(std::string_view sealed) const {
    auto damaged = [] { return fail(Errc::corrupt, "the key of encrypted mail can't be opened"); };
    if (!is_sealed_key(sealed)) return damaged();
    auto from = encryption::public_key(sealed.substr(1, sizeof(PublicKey)));
    if (!from) return damaged();
    const auto nonce = sealed.substr(1 + sizeof(PublicKey), kNonce);
    const auto box = sealed.substr(1 + sizeof(PublicKey) + kNonce);
    Secret key;
    std::lock_guard hold(mutex_);
    if (last_ != *from) {
        last_ = {};
        if (crypto_box_beforenm(agreed_.data(), from->data(), secret_.data()) != 0) return damaged();
        last_ = *from;
    }
    if (crypto_box_open_easy_afternm(key.data(), octets(box), box.size(), octets(nonce), agreed_.data()) != 0)
        return damaged();
    return key;
}

Result<std::string> MailKey::open_box(std::string_view box) const {
    if (box.size() < crypto_box_SEALBYTES) return fail(Errc::corrupt, "a sealed box is too short");
    std::string plain(box.size() - crypto_box_SEALBYTES, '\0');
    if (crypto_box_seal_open(octets(plain), octets(box), box.size(), public_key_.data(), secret_.data()) != 0)
        return fail(Errc::corrupt, "a sealed box can't be opened");
    return plain;
}

std::string seal_to(const PublicKey& to, std::string_view plain) {
    std::string box(plain.size() + crypto_box_SEALBYTES, '\0');
    crypto_box_seal(octets(box), octets(plain), plain.size(), to.data());
    return box;
}

}  // namespace poplar::encryption
