#include "encryption/keychain.h"

#include <sodium.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/random.h"

namespace poplar::encryption {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kIsPending = 1, kHasDevice = 2, kHasTag = 4, kIsCostly = 8, kAllFields = 15;
constexpr std::size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kBox = kNonce + Secret::kSize + crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t kPendingBox = Secret::kSize + crypto_box_SEALBYTES;
constexpr std::size_t kSalt = crypto_pwhash_SALTBYTES, kLongestTag = 64;
// As the hashes of passwords: a wrap is no easier to guess by than they are.
constexpr std::uint32_t kPasses = crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE;
constexpr std::uint32_t kMemory = crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE / 1024;
constexpr std::uint32_t kMostPasses = 100, kMostMemory = 1u << 20;  // 1 GB

const unsigned char* octets(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

/// What a wrap is bound to: it opens nowhere else.
std::string bound_to(const PublicKey& key, const Wrap& wrap) {
    return Encoder()
        .raw("poplar wrap")
        .u8(static_cast<std::uint8_t>(wrap.kind))
        .u32(wrap.device)
        .raw(view(key))
        .bytes();
}

std::string box_of(const MailKey& key, const Wrap& wrap, const Secret& wrapping) {
    std::string box(kBox, '\0');
    random_bytes(box.data(), kNonce);
    const auto bound = bound_to(key.public_key(), wrap);
    crypto_aead_xchacha20poly1305_ietf_encrypt(octets(box) + kNonce, nullptr, key.secret().data(), Secret::kSize,
                                               octets(bound), bound.size(), nullptr, octets(box), wrapping.data());
    return box;
}

MailKeyPtr open_box(const Keychain& keychain, const Wrap& wrap, const Secret& wrapping) {
    if (wrap.pending || wrap.box.size() != kBox) return nullptr;
    const auto bound = bound_to(keychain.public_key, wrap);
    Secret secret;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(secret.data(), nullptr, nullptr, octets(wrap.box) + kNonce,
                                                   kBox - kNonce, octets(bound), bound.size(), octets(wrap.box),
                                                   wrapping.data()) != 0)
        return nullptr;
    auto key = std::make_shared<const MailKey>(std::move(secret));
    return key->public_key() == keychain.public_key ? key : nullptr;
}

Result<Secret> password_key(const Wrap& wrap, std::string_view password) {
    Secret key;
    if (crypto_pwhash(key.data(), Secret::kSize, password.data(), password.size(), octets(wrap.tag), wrap.passes,
                      std::size_t{wrap.memory} * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return fail(Errc::busy, "no memory for a password's key");
    return key;
}

bool is_sound(const Wrap& wrap) {
    const auto kind = static_cast<std::uint8_t>(wrap.kind);
    if (kind < 1 || kind > 5 || wrap.tag.size() > kLongestTag) return false;
    if (wrap.kind == WrapKind::escrow)
        return !wrap.pending && wrap.tag.size() == sizeof(PublicKey) && wrap.box.size() == kPendingBox;
    if (wrap.box.size() != (wrap.pending ? kPendingBox : kBox)) return false;
    if (wrap.kind != WrapKind::password) return wrap.passes == 0 && wrap.memory == 0;
    return !wrap.pending && wrap.tag.size() == kSalt && wrap.passes >= 1 && wrap.passes <= kMostPasses &&
           wrap.memory >= 8 && wrap.memory <= kMostMemory;
}

}  // namespace

Result<> check(const Keychain& keychain) {
    if (keychain.wraps.size() > kMostWraps) return fail(Errc::too_large, "too many credentials for encrypted mail");
    return {};
}

std::string encode(const Keychain& keychain) {
    Encoder out;
    out.u8(kVersion).raw(view(keychain.public_key)).varint(keychain.wraps.size());
    for (const auto& wrap : keychain.wraps) {
        const bool costly = wrap.kind == WrapKind::password;
        out.u8(static_cast<std::uint8_t>(wrap.kind));
        out.u8(static_cast<std::uint8_t>((wrap.pending ? kIsPending : 0) | (wrap.device != kNoDevice ? kHasDevice : 0) |
                                         (!wrap.tag.empty() ? kHasTag : 0) | (costly ? kIsCostly : 0)));
        if (wrap.device != kNoDevice) out.varint(wrap.device);
        if (!wrap.tag.empty()) out.string(wrap.tag);
        if (costly) out.varint(wrap.passes).varint(wrap.memory);
        out.string(wrap.box);
    }
    return std::move(out).bytes();
}

Result<Keychain> decode_keychain(std::string_view value) {
    auto damaged = [] { return fail(Errc::corrupt, "a keychain can't be decoded"); };
    Decoder in(value);
    Keychain keychain;
    if (in.u8() != kVersion) return damaged();
    auto key = public_key(in.raw(keychain.public_key.size()));
    if (!key) return damaged();
    keychain.public_key = *key;
    auto left = in.varint();
    if (left > kMostWraps) return damaged();
    for (; left > 0 && in.ok(); --left) {
        Wrap wrap;
        wrap.kind = static_cast<WrapKind>(in.u8());
        const auto fields = in.u8();
        wrap.pending = (fields & kIsPending) != 0;
        if (fields & kHasDevice) wrap.device = static_cast<std::uint32_t>(in.varint());
        if (fields & kHasTag) wrap.tag = in.string();
        if (fields & kIsCostly) {
            wrap.passes = static_cast<std::uint32_t>(in.varint());
            wrap.memory = static_cast<std::uint32_t>(in.varint());
        }
        wrap.box = in.string();
        if ((fields & ~kAllFields) != 0 || !is_sound(wrap)) return damaged();
        keychain.wraps.push_back(std::move(wrap));
    }
    if (!in.ok() || !in.at_end()) return damaged();
    return keychain;
}

Wrap wrap(const MailKey& key, WrapKind kind, const Secret& wrapping, std::uint32_t device, std::string tag) {
    Wrap made{.kind = kind, .device = device, .tag = std::move(tag), .box = {}};
    made.box = box_of(key, made, wrapping);
    return made;
}

Result<Wrap> wrap_password(const MailKey& key, std::string_view password) {
    Wrap made{
        .kind = WrapKind::password, .tag = std::string(kSalt, '\0'), .passes = kPasses, .memory = kMemory, .box = {}};
    random_bytes(made.tag.data(), kSalt);
    auto wrapping = password_key(made, password);
    if (!wrapping) return pass_on(wrapping);
    made.box = box_of(key, made, *wrapping);
    return made;
}

Wrap pending_wrap(const PublicKey& to, WrapKind kind, const Secret& wrapping, std::uint32_t device, std::string tag) {
    return {
        .kind = kind, .device = device, .tag = std::move(tag), .pending = true, .box = seal_to(to, wrapping.view())};
}

MailKeyPtr open(const Keychain& keychain, WrapKind kind, const Secret& wrapping) {
    for (const auto& wrap : keychain.wraps)
        if (wrap.kind == kind)
            if (auto key = open_box(keychain, wrap, wrapping)) return key;
    return nullptr;
}

Result<MailKeyPtr> open_by_password(const Keychain& keychain, std::string_view password) {
    for (const auto& wrap : keychain.wraps) {
        if (wrap.kind != WrapKind::password) continue;
        auto wrapping = password_key(wrap, password);
        if (!wrapping) return pass_on(wrapping);
        if (auto key = open_box(keychain, wrap, *wrapping)) return key;
    }
    return nullptr;
}

Wrap wrap_for_operator(const MailKey& key, const PublicKey& escrow) {
    return {.kind = WrapKind::escrow, .tag = std::string(view(escrow)), .box = seal_to(escrow, key.secret().view())};
}

bool has_wrap_for(const Keychain& keychain, const PublicKey& escrow) {
    return std::ranges::any_of(
        keychain.wraps, [&](const Wrap& wrap) { return wrap.kind == WrapKind::escrow && wrap.tag == view(escrow); });
}

MailKeyPtr open_by_operator(const Keychain& keychain, const Secret& escrow) {
    const MailKey own(escrow.copy());
    for (const auto& wrap : keychain.wraps) {
        if (wrap.kind != WrapKind::escrow || wrap.tag != view(own.public_key())) continue;
        auto opened = own.open_box(wrap.box);
        if (!opened || opened->size() != Secret::kSize) continue;
        Secret secret;
        std::ranges::copy(*opened, reinterpret_cast<char*>(secret.data()));
        sodium_memzero(opened->data(), opened->size());
        auto key = std::make_shared<const MailKey>(std::move(secret));
        if (key->public_key() == keychain.public_key) return key;
    }
    return nullptr;
}

bool complete(Keychain& keychain, const MailKey& key) {
    if (!has_pending(keychain)) return false;
    std::vector<Wrap> wraps;
    for (auto& one : keychain.wraps) {
        if (!one.pending) {
            wraps.push_back(std::move(one));
            continue;
        }
        auto opened = key.open_box(one.box);
        if (!opened || opened->size() != Secret::kSize) continue;
        Secret wrapping;
        std::ranges::copy(*opened, reinterpret_cast<char*>(wrapping.data()));
        sodium_memzero(opened->data(), opened->size());
        wraps.push_back(wrap(key, one.kind, wrapping, one.device, std::move(one.tag)));
    }
    keychain.wraps = std::move(wraps);
    return true;
}

bool has_pending(const Keychain& keychain) { return std::ranges::any_of(keychain.wraps, &Wrap::pending); }

}  // namespace poplar::encryption
