// Certificate and key from PEM files by OpenSSL, with words for what is wrong with them.
#include "net/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <system_error>

#include <fmt/format.h>

namespace poplar::net {

namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using File = std::unique_ptr<BIO, decltype(&BIO_free)>;

// OpenSSL would ask on the terminal; a server has none.
int no_passphrase(char*, int, int, void* asked) {
    if (asked) *static_cast<bool*>(asked) = true;
    return -1;
}

using Option = TlsFault::Option;

std::unexpected<TlsFault> refuse(Option option, const std::string& file, std::string_view why) {
    return std::unexpected(TlsFault{option, fmt::format("{}: {}", file, why)});
}

std::expected<Key, TlsFault> read_key(const std::string& file) {
    File in(BIO_new_file(file.c_str(), "r"), BIO_free);
    if (!in) return refuse(Option::private_key, file, openssl_reason());
    bool asked = false;
    Key key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, &asked), EVP_PKEY_free);
    if (key) return key;
    if (!asked) return refuse(Option::private_key, file, openssl_reason());
    ERR_clear_error();
    return refuse(Option::private_key, file,
                  fmt::format("has a passphrase, and nobody can be asked for it; `openssl pkey -in {}` prints the key "
                              "without one",
                              file));
}

/// The certificates of the file, in its order.
std::vector<X509*> certificates_in(SSL_CTX* context) {
    std::vector<X509*> found{SSL_CTX_get0_certificate(context)};
    STACK_OF(X509)* chain = nullptr;
    SSL_CTX_get0_chain_certs(context, &chain);
    for (int i = 0; i < sk_X509_num(chain); ++i) found.push_back(sk_X509_value(chain, i));
    return found;
}

std::string utc_text(const ASN1_TIME* time) {
    std::tm parts{};
    if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return {};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                       parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::vector<std::string> complaints_of(const std::string& file, const std::vector<X509*>& certificates) {
    std::vector<std::string> complaints;
    auto complain = [&](std::size_t at, const std::string& what) {
        complaints.push_back(certificates.size() == 1 ? fmt::format("{}: the certificate {}", file, what)
                                                      : fmt::format("{}: certificate {} {}", file, at + 1, what));
    };
    for (std::size_t i = 0; i < certificates.size(); ++i) {
        const auto* begin = X509_get0_notBefore(certificates[i]);
        const auto* end = X509_get0_notAfter(certificates[i]);
        if (X509_cmp_current_time(end) < 0) complain(i, fmt::format("expired at {}", utc_text(end)));
        if (X509_cmp_current_time(begin) > 0) complain(i, fmt::format("is not valid before {}", utc_text(begin)));
        // RFC 5246 s7.4.2: each certificate certifies the one before it.
        if (i > 0 && X509_check_issued(certificates[i], certificates[i - 1]) != X509_V_OK)
            complain(i, fmt::format("did not issue number {} before it: clients may refuse such a chain", i));
    }
    return complaints;
}

}  // namespace

std::string openssl_reason() {
    auto code = ERR_get_error();
    ERR_clear_error();
    if (ERR_SYSTEM_ERROR(code)) return std::system_category().message(ERR_GET_REASON(code));
    auto library = ERR_GET_LIB(code);
    if ((library == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) || library == ERR_LIB_OSSL_DECODER)
        return "holds no PEM block of this kind";
    const char* text = ERR_reason_error_string(code);
    return text ? text : "can't be read";
}

std::expected<std::vector<std::string>, TlsFault> load_certificate(SSL_CTX* context, const std::string& certificate,
                                                                   const std::string& private_key) {
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
        return refuse(Option::certificate, certificate, openssl_reason());
    auto key = read_key(private_key);
    if (!key) return std::unexpected(std::move(key.error()));
    const auto certificates = certificates_in(context);
    for (std::size_t i = 0; i < certificates.size(); ++i) {
        if (X509_check_private_key(certificates[i], key->get()) != 1) continue;
        if (i > 0)
            return refuse(Option::certificate, certificate,
                          fmt::format("the server's own certificate is number {} of {} and must be the first, then "
                                      "each one's issuer",
                                      i + 1, certificates.size()));
        if (SSL_CTX_use_PrivateKey(context, key->get()) != 1)
            return refuse(Option::private_key, private_key, openssl_reason());
        ERR_clear_error();
        return complaints_of(certificate, certificates);
    }
    ERR_clear_error();
    return refuse(Option::private_key, private_key, "does not belong to the certificate");
}

std::string expiry_of_certificate(const SSL_CTX* context) {
    const X509* certificate = SSL_CTX_get0_certificate(context);
    return certificate ? utc_text(X509_get0_notAfter(certificate)) : std::string();
}

}  // namespace poplar::net
