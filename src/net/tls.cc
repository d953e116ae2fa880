#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "net/certificates.h"
#include "net/ticket_keys.h"

namespace poplar::net {

namespace {

// Whether the client's certificate is any good is asked when it matters: SSL_get_verify_result.
int go_on(int, X509_STORE_CTX*) { return 1; }

// A session remembers its cipher, and that its certificate was good. It is continued on all ports, and after a reload,
// but only where the same ciphers and the same authorities are configured.
void bind_sessions(SSL_CTX* context, const std::string& ciphers) {
    using Digest = std::array<unsigned char, 32>;
    Digest all{};
    EVP_Digest(ciphers.data(), ciphers.size(), all.data(), nullptr, EVP_sha256(), nullptr);
    const auto* objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
    for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
        const auto* object = sk_X509_OBJECT_value(objects, i);
        std::array<unsigned char, 2 * Digest().size()> chain{};
        std::ranges::copy(all, chain.begin());
        auto* own = chain.data() + all.size();
        if (auto* list = X509_OBJECT_get0_X509_CRL(object))
            X509_CRL_digest(list, EVP_sha256(), own, nullptr);
        else if (auto* certificate = X509_OBJECT_get0_X509(object))
            X509_digest(certificate, EVP_sha256(), own, nullptr);
        EVP_Digest(chain.data(), chain.size(), all.data(), nullptr, EVP_sha256(), nullptr);
    }
    SSL_CTX_set_session_id_context(context, all.data(), all.size());
}

std::unexpected<TlsFault> refuse(TlsFault::Option option, std::string_view named) {
    return std::unexpected(TlsFault{option, fmt::format("{}: {}", named, openssl_reason())});
}

std::expected<void, TlsFault> ask_for_certificates(SSL_CTX* context, const std::string& file) {
    auto* store = SSL_CTX_get_cert_store(context);
    auto* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    auto* names = SSL_load_client_CA_file(file.c_str());
    if (!names) return refuse(TlsFault::Option::client_ca, file);
    SSL_CTX_set_client_CA_list(context, names);
    if (!lookup || X509_load_cert_crl_file(lookup, file.c_str(), X509_FILETYPE_PEM) < 1)
        return refuse(TlsFault::Option::client_ca, file);
    bool revocations = false;
    auto* objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i)
        revocations |= X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, i)) == X509_LU_CRL;
    if (revocations) X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, go_on);
    return {};
}

}  // namespace

std::expected<std::shared_ptr<const TlsContext>, TlsFault> TlsContext::load(const TlsOptions& options) {
    ERR_clear_error();
    SSL_CTX* made = SSL_CTX_new(TLS_server_method());
    if (!made) return refuse(TlsFault::Option::certificate, "TLS");
    std::shared_ptr<TlsContext> context(new TlsContext(made));

    SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
    SSL_CTX_set_options(made, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                  SSL_OP_PRIORITIZE_CHACHA);
    // Buffers are given back between records, so that a connection that waits holds little. No partial writes: a client
    // may want small records (RFC 6066 s4), and TlsStream counts what it gave as taken.
    SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(made, 1);
    // Resumption by tickets, which need no memory here. One each time: it costs a twentieth of a handshake, and a
    // client that comes again is given the next. With TLS 1.3, TlsStream::accept() asks for it.
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(made, 0);
    share_ticket_keys(made);
    if (SSL_CTX_set_cipher_list(made, options.ciphers.c_str()) != 1)
        return refuse(TlsFault::Option::ciphers, fmt::format("\"{}\"", options.ciphers));

    auto warnings = load_certificate(made, options.certificate, options.private_key);
    if (!warnings) return std::unexpected(std::move(warnings.error()));
    context->warnings_ = std::move(*warnings);
    context->not_after_ = expiry_of_certificate(made);
    if (!options.client_ca.empty())
        if (auto asked = ask_for_certificates(made, options.client_ca); !asked)
            return std::unexpected(std::move(asked.error()));
    bind_sessions(made, options.ciphers);
    return std::shared_ptr<const TlsContext>(std::move(context));
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

}  // namespace poplar::net
