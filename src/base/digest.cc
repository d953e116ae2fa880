#include "base/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <new>

namespace poplar {

struct Digest::Impl {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Digest::Digest() : impl_(std::make_unique<Impl>()) {
    if (!impl_->context || EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}

Digest::~Digest() { EVP_MD_CTX_free(impl_->context); }

void Digest::add(std::string_view bytes) { EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()); }

void Digest::add_zeros(std::uint64_t count) {
    static const std::string zeros(64 << 10, '\0');
    for (; count > 0; count -= std::min<std::uint64_t>(count, zeros.size()))
        add(std::string_view(zeros).substr(0, std::min<std::uint64_t>(count, zeros.size())));
}

std::string Digest::finish() {
    unsigned char octets[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(impl_->context, octets, &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", octets[i]);
    return text;
}

}  // namespace poplar
