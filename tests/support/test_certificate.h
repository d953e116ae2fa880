#pragma once
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>

namespace poplar::test {

/// A fresh self-signed certificate for `localhost` and its key, in files of a folder that goes away with it.
class TestCertificate {
public:
    TestCertificate() {
        std::string pattern = (std::filesystem::temp_directory_path() / "poplar-cert-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
        std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
        ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
        X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
        X509_gmtime_adj(X509_getm_notAfter(made.get()), 86400);
        X509_set_pubkey(made.get(), key.get());
        auto* name = X509_get_subject_name(made.get());
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1,
                                   -1, 0);
        X509_set_issuer_name(made.get(), name);
        X509_sign(made.get(), key.get(), EVP_sha256());
        write(certificate(), [&](std::FILE* out) { PEM_write_X509(out, made.get()); });
        write(private_key(),
              [&](std::FILE* out) { PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    }
    ~TestCertificate() { std::filesystem::remove_all(folder_); }
    TestCertificate(const TestCertificate&) = delete;
    TestCertificate& operator=(const TestCertificate&) = delete;

    std::string certificate() const { return folder_ + "/certificate.pem"; }
    std::string private_key() const { return folder_ + "/key.pem"; }

private:
    template <class Write>
    static void write(const std::string& path, Write write_to) {
        std::FILE* out = std::fopen(path.c_str(), "w");
        write_to(out);
        std::fclose(out);
    }
    std::string folder_;
};

}  // namespace poplar::test
