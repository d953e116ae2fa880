#include "net/ticket_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "base/random.h"

namespace poplar::net {

namespace {

TicketKeys& keys_of_the_process() {
    static TicketKeys keys;
    return keys;
}

bool set_mac_key(EVP_MAC_CTX* mac, const TicketKeys::Key& key) {
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.mac.data()),
                                          key.mac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

// OpenSSL calls this for each ticket. It wants these answers: below 0 for a failure, 0 for no ticket, 1 for a ticket, 2
// for one that is good and should be replaced.
int prepare(SSL*, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int make) {
    auto& keys = keys_of_the_process();
    if (make != 0) {
        const auto key = keys.current();
        std::ranges::copy(key.name, name);
        random_bytes(iv, static_cast<std::size_t>(EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())));
        const bool ready = EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher.data(), iv, nullptr) == 1;
        return ready && set_mac_key(mac, key) ? 1 : -1;
    }
    const auto key = keys.find(std::span(name, TicketKeys::Name().size()));
    if (!key) return 0;
    const bool ready = EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher.data(), iv, nullptr) == 1;
    if (!ready || !set_mac_key(mac, *key)) return -1;
    return TicketKeys::is_current(*key) ? 1 : 2;
}

void wipe(TicketKeys::Key& key) { OPENSSL_cleanse(&key, sizeof key); }

}  // namespace

TicketKeys::~TicketKeys() { std::ranges::for_each(keys_, wipe); }

void TicketKeys::drop_old() {
    while (!keys_.empty() && SteadyClock::now() - keys_.back().made >= kAccepted) {
        wipe(keys_.back());
        keys_.pop_back();
    }
}

TicketKeys::Key TicketKeys::current() {
    std::lock_guard guard(mutex_);
    drop_old();
    if (keys_.empty() || !is_current(keys_.front())) {
        auto& key = keys_.emplace_front();
        random_bytes(key.name.data(), key.name.size());
        random_bytes(key.cipher.data(), key.cipher.size());
        random_bytes(key.mac.data(), key.mac.size());
        key.made = SteadyClock::now();
    }
    return keys_.front();
}

std::optional<TicketKeys::Key> TicketKeys::find(std::span<const unsigned char> name) {
    std::lock_guard guard(mutex_);
    drop_old();
    auto found = std::ranges::find_if(keys_, [&](const Key& key) { return std::ranges::equal(key.name, name); });
    return found == keys_.end() ? std::nullopt : std::optional(*found);
}

void share_ticket_keys(ssl_ctx_st* context) { SSL_CTX_set_tlsext_ticket_key_evp_cb(context, prepare); }

}  // namespace poplar::net
