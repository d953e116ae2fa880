#pragma once
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace poplar::screening {

/// SHA-256, as octets come.
class Sha256 {
public:
    Sha256();
    void feed(std::string_view octets);
    std::string finish();  ///< 32 octets; once

private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::string sha256(std::string_view octets);

}  // namespace poplar::screening
