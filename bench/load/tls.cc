#include "bench/load/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <stdexcept>

#include "bench/load/channel.h"

namespace poplar::bench {

namespace {

SslContext make_context(const SSL_METHOD* method) {
    SslContext context(SSL_CTX_new(method));
    if (!context) throw std::runtime_error("TLS: " + tls_error());
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_read_ahead(context.get(), 1);  // a record's header and body with one read
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    return context;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
    static_cast<Channel*>(SSL_get_app_data(ssl))->keep(session);
    return 1;  // ours now
}

void use_new_certificate(SSL_CTX* context) {
    std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>> key(EVP_EC_gen("P-256"));
    std::unique_ptr<X509, FreeBy<X509_free>> certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 30L * 24 * 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1,
                               0);
    X509_set_issuer_name(certificate.get(), name);
    if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0 ||
        SSL_CTX_use_certificate(context, certificate.get()) != 1 || SSL_CTX_use_PrivateKey(context, key.get()) != 1)
        throw std::runtime_error("a certificate: " + tls_error());
}

}  // namespace

SslContext client_tls(TlsSessions sessions) {
    auto context = make_context(TLS_client_method());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    if (sessions == TlsSessions::resumed) {
        SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context.get(), keep_session);
    }
    return context;
}

SslContext server_tls(const std::string& certificate_file, const std::string& key_file) {
    auto context = make_context(TLS_server_method());
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // tickets need none
    SSL_CTX_set_num_tickets(context.get(), 1);
    if (certificate_file.empty())
        use_new_certificate(context.get());
    else if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1 ||
             SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        throw std::runtime_error(fmt::format("{}, {}: {}", certificate_file, key_file, tls_error()));
    return context;
}

std::string tls_error() {
    std::string text;
    while (unsigned long code = ERR_get_error()) {
        const char* reason = ERR_reason_error_string(code);
        if (!text.empty()) text += "; ";
        text += reason ? reason : "unknown";
    }
    return text.empty() ? "no reason given" : text;
}

}  // namespace poplar::bench
