#include "screening/digest.h"

#include <array>
#include <new>

namespace poplar::screening {

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    if (!context_ || EVP_DigestInit_ex2(context_.get(), EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}

void Sha256::feed(std::string_view octets) { EVP_DigestUpdate(context_.get(), octets.data(), octets.size()); }

std::string Sha256::finish() {
    std::array<unsigned char, 32> out{};
    EVP_DigestFinal_ex(context_.get(), out.data(), nullptr);
    return {out.begin(), out.end()};
}

std::string sha256(std::string_view octets) {
    Sha256 hash;
    hash.feed(octets);
    return hash.finish();
}

}  // namespace poplar::screening
