// Asio's sockets and TLS streams under one timer, which closes the socket when it fires.
#include "net/outgoing.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <boost/asio/ssl.hpp>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "base/steady.h"
#include "net/certificates.h"
#include "net/tls.h"

namespace poplar::net {

namespace {

namespace ssl = asio::ssl;
using tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<tcp, Executor>;

constexpr auto kValues = asio::as_tuple(use_awaitable);
constexpr std::size_t kReadOctets = 4096;

struct Context final : ClientTls {
    Context() : context(ssl::context::tls_client) {}
    mutable ssl::context context;  // OpenSSL's context may be used by many threads at once
};

std::string name_of_cipher(SSL* tls) {
    const char* name = SSL_get_cipher_name(tls);
    return name ? name : "";
}

}  // namespace

Result<std::shared_ptr<const ClientTls>> ClientTls::load(const std::string& ca_file) {
    auto made = std::make_shared<Context>();
    boost::system::error_code error;
    auto& context = made->context;
    context.set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 | ssl::context::default_workarounds);
    if (ca_file.empty())
        context.set_default_verify_paths(error);
    else
        context.load_verify_file(ca_file, error);
    if (error) return fail(Errc::invalid, fmt::format("{}: {}", ca_file, error.message()));
    if (SSL_CTX_set_cipher_list(context.native_handle(), kOpportunisticCiphers) != 1)
        return fail(Errc::invalid, openssl_reason());
    // RFC 7672 s3.1.1: with usage DANE-EE neither the name nor the dates of the certificate matter.
    if (SSL_CTX_dane_enable(context.native_handle()) != 1) return fail(Errc::invalid, openssl_reason());
    SSL_CTX_dane_set_flags(context.native_handle(), DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    return std::shared_ptr<const ClientTls>(std::move(made));
}

struct Outgoing::Impl : std::enable_shared_from_this<Impl> {
    explicit Impl(const Executor& executor) : socket(executor), timer(executor) {}

    void cut() {
        boost::system::error_code ignored;
        if (socket.is_open()) socket.close(ignored);
    }

    /// From now on the time runs; stop_timer() ends it.
    void start_timer(Time within) {
        expired = false;
        timer.expires_after(within);
        timer.async_wait([watched = weak_from_this(), round = ++round](boost::system::error_code error) {
            auto self = watched.lock();
            if (error || !self || self->round != round) return;
            self->expired = true;
            self->cut();
        });
    }
    void stop_timer() {
        ++round;
        timer.cancel();
    }

    std::unexpected<Error> failure(const boost::system::error_code& error, Errc code = Errc::closed) const {
        if (expired) return fail(Errc::timed_out, "no answer in time");
        if (error == asio::error::eof) return fail(code, "the other end has closed the connection");
        if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor)
            return fail(Errc::closed, "cut by us");
        return fail(code, error.message());
    }

    /// Waits for more input. Errors: as read_line()'s.
    Task<Result<>> receive() {
        std::array<char, kReadOctets> block;
        boost::system::error_code error;
        std::size_t octets = 0;
        if (tls)
            std::tie(error, octets) = co_await tls->async_read_some(asio::buffer(block), kValues);
        else
            std::tie(error, octets) = co_await socket.async_read_some(asio::buffer(block), kValues);
        input.append(block.data(), octets);
        if (error) co_return failure(error);
        co_return Result<>();
    }

    Socket socket;
    SteadyTimer timer;
    std::uint64_t round = 0;
    bool expired = false;
    std::shared_ptr<const Context> context;  ///< of the stream
    std::optional<ssl::stream<Socket&>> tls;
    std::string input;  ///< received and not read
};

void OutgoingSet::cut() {
    for (auto* one : all_) one->cut();
}

Outgoing::Outgoing(Executor executor, OutgoingSet* among) : impl_(std::make_shared<Impl>(executor)), among_(among) {
    if (among_) among_->all_.insert(this);
}

Outgoing::~Outgoing() {
    if (among_) among_->all_.erase(this);
    impl_->stop_timer();
    impl_->cut();
}

void Outgoing::cut() { impl_->cut(); }

bool Outgoing::encrypted() const { return impl_->tls.has_value(); }

Task<Result<>> Outgoing::connect(std::string address, std::uint16_t port, std::string source, Time within) {
    auto impl = impl_;
    boost::system::error_code error;
    const auto to = asio::ip::make_address(address, error);
    if (error) co_return fail(Errc::invalid, fmt::format("\"{}\" is no address", address));
    impl->socket.open(to.is_v6() ? tcp::v6() : tcp::v4(), error);
    if (!error && !source.empty()) {
        const auto from = asio::ip::make_address(source, error);
        if (!error && from.is_v6() == to.is_v6()) impl->socket.bind({from, 0}, error);
    }
    if (error) co_return fail(Errc::io, error.message());
    impl->start_timer(within);
    auto [failed] = co_await impl->socket.async_connect({to, port}, kValues);
    impl->stop_timer();
    if (failed) co_return impl->failure(failed, Errc::io);
    impl->socket.set_option(tcp::no_delay(true), error);
    co_return Result<>();
}

Task<Result<std::string>> Outgoing::read_line(std::size_t limit, Time within) {
    auto impl = impl_;
    impl->start_timer(within);
    for (std::size_t searched = 0;;) {
        if (const auto end = impl->input.find('\n', searched); end != std::string::npos && end < limit) {
            impl->stop_timer();
            auto line = impl->input.substr(0, end);
            impl->input.erase(0, end + 1);
            if (line.ends_with('\r')) line.pop_back();
            co_return line;
        }
        searched = impl->input.size();
        if (searched >= limit) {
            impl->stop_timer();
            co_return fail(Errc::too_large, "a line of the other end is too long");
        }
        if (auto more = co_await impl->receive(); !more) {
            impl->stop_timer();
            co_return pass_on(more);
        }
    }
}

Task<Result<std::string>> Outgoing::read_some(std::size_t limit, Time within) {
    auto impl = impl_;
    if (impl->input.empty()) {
        impl->start_timer(within);
        auto more = co_await impl->receive();
        impl->stop_timer();
        if (!more) co_return pass_on(more);
    }
    auto part = impl->input.substr(0, limit);
    impl->input.erase(0, part.size());
    co_return part;
}

Task<Result<>> Outgoing::write(std::string_view bytes, Time within) {
    auto impl = impl_;
    impl->start_timer(within);
    boost::system::error_code error;
    std::size_t octets = 0;
    if (impl->tls)
        std::tie(error, octets) = co_await asio::async_write(*impl->tls, asio::buffer(bytes), kValues);
    else
        std::tie(error, octets) = co_await asio::async_write(impl->socket, asio::buffer(bytes), kValues);
    impl->stop_timer();
    if (error) co_return impl->failure(error);
    co_return Result<>();
}

namespace {

/// Returns whether any record is usable.
bool expect_peer(SSL* tls, const ExpectedPeer& peer) {
    bool usable = false;
    if (!peer.tlsa.empty() && SSL_dane_enable(tls, peer.name.c_str()) == 1) {
        for (const auto& one : peer.tlsa)
            usable |= SSL_dane_tlsa_add(tls, one.usage, one.selector, one.matching,
                                        reinterpret_cast<const unsigned char*>(one.data.data()), one.data.size()) > 0;
        ERR_clear_error();  // of records that are malformed
    } else {
        SSL_set1_host(tls, peer.name.c_str());
    }
    SSL_set_tlsext_host_name(tls, peer.name.c_str());
    for (const auto& name : peer.other_names) SSL_add1_host(tls, name.c_str());
    return usable;
}

}  // namespace

Task<Result<OutgoingTls>> Outgoing::start_tls(std::shared_ptr<const ClientTls> context, ExpectedPeer peer,
                                              Time within) {
    auto impl = impl_;
    impl->context = std::static_pointer_cast<const Context>(std::move(context));
    impl->input.clear();
    impl->tls.emplace(impl->socket, impl->context->context);
    SSL* tls = impl->tls->native_handle();
    // The chain is judged all the same; with this the handshake goes on whatever comes of it.
    SSL_set_verify(tls, SSL_VERIFY_NONE, nullptr);
    const bool usable = expect_peer(tls, peer);
    impl->start_timer(within);
    auto [error] = co_await impl->tls->async_handshake(ssl::stream_base::client, kValues);
    impl->stop_timer();
    if (error) co_return impl->failure(error);
    OutgoingTls facts{SSL_get_version(tls), name_of_cipher(tls)};
    const auto verdict = SSL_get_verify_result(tls);
    facts.verified = verdict == X509_V_OK && SSL_get0_peer_certificate(tls) != nullptr;
    facts.usable_tlsa = usable;
    // Without a usable record OpenSSL asks the authorities as ever, which is not what the records promise.
    if (!peer.tlsa.empty() && (!usable || SSL_get0_dane_authority(tls, nullptr, nullptr) < 0)) facts.verified = false;
    if (!facts.verified) facts.why_not = X509_verify_cert_error_string(verdict);
    co_return facts;
}

}  // namespace poplar::net
