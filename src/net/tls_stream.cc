// TLS over a socket: OpenSSL reads and writes through a BIO of ours, one attempt at a time.
#include "net/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "net/tls.h"

namespace poplar::net {

namespace {

// An earlier failure must not be taken for the reason of the next one. Clearing the queue costs as much as a read, and
// nearly always it is empty.
void forget_errors() {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

std::string tls_message() {
    auto code = ERR_get_error();
    if (const char* reason = ERR_reason_error_string(code)) return fmt::format("TLS: {}", reason);
    return "TLS failed";
}

/// The rfc822Names of a client certificate that was verified.
std::vector<std::string> certificate_addresses(SSL* ssl) {
    std::vector<std::string> addresses;
    X509* certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return addresses;
    auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
        const auto* name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_EMAIL) continue;
        std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.rfc822Name)),
                         static_cast<std::size_t>(ASN1_STRING_length(name->d.rfc822Name)));
        if (text.find('\0') == text.npos) addresses.push_back(std::move(text));
    }
    GENERAL_NAMES_free(names);
    return addresses;
}

/// RFC 9266 s2. Before TLS 1.3 only with the extended master secret (s4.2).
std::string exported_binding(SSL* ssl) {
    constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
    constexpr unsigned char kNoContext[] = "";
    std::string out(32, '\0');
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) return {};
    auto* into = reinterpret_cast<unsigned char*>(out.data());
    if (SSL_export_keying_material(ssl, into, out.size(), kLabel.data(), kLabel.size(), kNoContext, 0, 1) != 1)
        return {};
    return out;
}

/// RFC 5929 s3: the first Finished of the handshake, the client's in a full one, ours in a resumed one. TLS 1.3 has
/// none (RFC 9266 s3), and a session resumed without the extended master secret could be another's (RFC 7627).
std::string unique_binding(SSL* ssl) {
    bool resumed = SSL_session_reused(ssl) != 0;
    if (SSL_version(ssl) >= TLS1_3_VERSION || (resumed && SSL_get_extms_support(ssl) != 1)) return {};
    std::string out(EVP_MAX_MD_SIZE, '\0');
    out.resize(resumed ? SSL_get_finished(ssl, out.data(), out.size())
                       : SSL_get_peer_finished(ssl, out.data(), out.size()));
    return out;
}

/// RFC 5929 s4.1: the digest of our certificate, by the hash of its signature; SHA-256 in place of MD5 and SHA-1. Not
/// defined where the signature has no hash of its own (Ed25519).
std::string end_point_binding(SSL* ssl) {
    X509* certificate = SSL_get_certificate(ssl);
    int hash = NID_undef;
    if (!certificate || X509_get_signature_info(certificate, &hash, nullptr, nullptr, nullptr) != 1) return {};
    if (hash == NID_md5 || hash == NID_sha1) hash = NID_sha256;
    const EVP_MD* algorithm = hash == NID_undef ? nullptr : EVP_get_digestbynid(hash);
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!algorithm || X509_digest(certificate, algorithm, out, &size) != 1) return {};
    return {reinterpret_cast<const char*>(out), size};
}

constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH, kRecordsTogether = 2;

// Records on their way to the socket. One for all streams of a thread: each takes out at once what it put in. There is
// room for what else OpenSSL may have to say (a key update).
struct Records {
    static constexpr std::size_t kLargest = kRecord + SSL3_RT_HEADER_LENGTH + SSL3_RT_MAX_ENCRYPTED_OVERHEAD;
    std::array<char, (kRecordsTogether + 1) * kLargest> octets;
    std::size_t size = 0;
    std::array<char, kRecord> joined;  // a record's octets, if it begins in one piece and goes on in the next
};
thread_local Records t_records;

}  // namespace

// A BIO of our own, because OpenSSL's reads the socket without need, and its writes raise SIGPIPE when the peer is
// gone.
struct TlsStream::Wire {
    static TlsStream& of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

    static int read(BIO* bio, char* into, int size) {
        BIO_clear_retry_flags(bio);
        auto& stream = of(bio);
        auto want = static_cast<std::size_t>(size);
        if (stream.begin_ < stream.ahead_.size()) {
            auto some = std::min(want, stream.ahead_.size() - stream.begin_);
            std::memcpy(into, stream.ahead_.data() + stream.begin_, some);
            stream.begin_ += some;
            return static_cast<int>(some);
        }
        if (!stream.drained_) {
            auto got = ::recv(stream.socket_, into, want, 0);
            stream.drained_ = got > 0 && static_cast<std::size_t>(got) < want;
            if (got == 0) errno = 0;
            if (got >= 0 || !try_again()) return static_cast<int>(got);
        }
        BIO_set_retry_read(bio);
        return -1;
    }

    static int write(BIO* bio, const char* from, int size) {
        BIO_clear_retry_flags(bio);
        auto octets = static_cast<std::size_t>(size);
        // The last record leaves from where OpenSSL made it. (A small one may have another of OpenSSL's own behind it.)
        if (of(bio).gathers_ && of(bio).last_ && octets > kRecord)
            return of(bio).send_gathered({from, octets}) ? size : -1;
        if (of(bio).gathers_) {
            if (octets > t_records.octets.size() - t_records.size) return -1;
            std::memcpy(t_records.octets.data() + t_records.size, from, octets);
            t_records.size += octets;
            return size;
        }
        auto sent = ::send(of(bio).socket_, from, octets, MSG_NOSIGNAL);
        if (sent < 0 && try_again()) BIO_set_retry_write(bio);
        return static_cast<int>(sent);
    }

    static bool try_again() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

    static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

    static int create(BIO* bio) {
        BIO_set_init(bio, 1);
        return 1;
    }

    static const BIO_METHOD* method() {
        static const BIO_METHOD* const made = [] {
            BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "poplar");
            BIO_meth_set_read(method, read);
            BIO_meth_set_write(method, write);
            BIO_meth_set_ctrl(method, control);
            BIO_meth_set_create(method, create);
            return method;
        }();
        return made;
    }
};

void TlsStream::SslFree::operator()(ssl_st* ssl) const { SSL_free(ssl); }

Result<std::unique_ptr<TlsStream>> TlsStream::make(const TlsContext& context, int socket) {
    forget_errors();
    std::unique_ptr<TlsStream> stream(new TlsStream);
    stream->socket_ = socket;
    stream->ssl_.reset(SSL_new(context.native()));
    BIO* wire = BIO_new(Wire::method());
    if (!stream->ssl_ || !wire) {
        BIO_free(wire);
        return fail(Errc::closed, tls_message());
    }
    BIO_set_data(wire, stream.get());
    SSL_set_bio(stream->ssl_.get(), wire, wire);
    return stream;
}

TlsStream::~TlsStream() = default;

std::span<char> TlsStream::room(std::size_t octets) {
    ahead_.erase(0, begin_);
    begin_ = 0;
    room_ = octets;
    // Returns its own size and not its argument, because libstdc++ 12 may pass a larger one, and there would be a gap
    // before what comes.
    const auto size = ahead_.size() + octets;
    ahead_.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
    return std::span(ahead_).last(octets);
}

void TlsStream::received(std::size_t octets) {
    ahead_.resize(ahead_.size() - room_ + octets);
    drained_ = octets != 0 && octets < room_;
}

void TlsStream::give_back_buffer() {
    if (begin_ == ahead_.size()) std::exchange(ahead_, {}), begin_ = 0;
}

bool TlsStream::nothing_unread() const {
    return drained_ && begin_ == ahead_.size() && SSL_has_pending(ssl_.get()) == 0;
}

Attempt TlsStream::outcome(int result) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: drained_ = false; return {Attempt::Outcome::want_read};
        case SSL_ERROR_WANT_WRITE: return {Attempt::Outcome::want_write};
        case SSL_ERROR_ZERO_RETURN: return Attempt::over("the peer closed");
        case SSL_ERROR_SYSCALL: failed_ = true; return Attempt::over(errno ? system_message(errno) : "the peer closed");
        default: failed_ = true; return Attempt::over(tls_message());
    }
}

Attempt TlsStream::accept() {
    forget_errors();
    int result = SSL_accept(ssl_.get());
    if (result != 1) return outcome(result);
    shaken_ = true;
    // The ticket leaves with what is said next. Before TLS 1.3 it was a part of the handshake: then this does nothing.
    SSL_new_session_ticket(ssl_.get());
    return Attempt::moved(0);
}

Attempt TlsStream::read(std::span<char> into) {
    forget_errors();
    int got = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
    return got > 0 ? Attempt::moved(static_cast<std::size_t>(got)) : outcome(got);
}

// Makes records in t_records. All are full but the last of all: a record costs as much as its octets' copy.
Attempt TlsStream::encrypt(std::string_view bytes, std::span<const std::string_view> more) {
    forget_errors();
    t_records.size = 0;
    gathers_ = true;
    auto done = Attempt::moved(0);
    for (std::size_t n = 0; n < kRecordsTogether && done.outcome == Attempt::Outcome::moved; ++n) {
        auto record = bytes.substr(0, kRecord);
        bytes.remove_prefix(record.size());
        if (record.size() < kRecord && !more.empty()) {
            auto size = record.copy(t_records.joined.data(), record.size());
            while (size < kRecord && !more.empty()) {
                bytes = more.front();
                auto some = bytes.copy(t_records.joined.data() + size, kRecord - size);
                size += some;
                bytes.remove_prefix(some);
                more = more.subspan(1);
            }
            record = {t_records.joined.data(), size};
        }
        if (record.empty()) break;
        last_ = n + 1 == kRecordsTogether && !parting_;
        int taken = SSL_write(ssl_.get(), record.data(), static_cast<int>(record.size()));
        done = taken > 0 ? Attempt::moved(done.octets + record.size()) : outcome(taken);
    }
    if (parting_ && done.outcome == Attempt::Outcome::moved && bytes.empty() && more.empty()) SSL_shutdown(ssl_.get());
    gathers_ = last_ = false;
    return done;
}

// Sends what is gathered, and `last` behind it; what the socket does not take is kept. False: the socket has failed.
bool TlsStream::send_gathered(std::string_view last) {
    std::string_view records(t_records.octets.data(), std::exchange(t_records.size, 0));
    iovec parts[] = {{const_cast<char*>(records.data()), records.size()},
                     {const_cast<char*>(last.data()), last.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = std::size(parts);
    const auto result = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
    if (result < 0 && !Wire::try_again()) return false;
    const auto sent = result < 0 ? 0 : static_cast<std::size_t>(result);
    if (sent == records.size() + last.size()) return true;
    unsent_.assign(records.substr(std::min(sent, records.size())));
    unsent_.append(last.substr(sent - std::min(sent, records.size())));
    return true;
}

// Several records are sent with one call: the kernel's work for each would cost more than putting them together. Octets
// have moved when all their records have.
Attempt TlsStream::write(std::string_view bytes, std::span<const std::string_view> more) {
    bool sound = true;
    if (unsent_.empty()) {
        auto encrypted = encrypt(bytes, more);
        if (encrypted.outcome != Attempt::Outcome::moved) return encrypted;
        in_records_ = encrypted.octets;
        if (t_records.size != 0) sound = send_gathered({});
    } else {
        const std::string before = std::exchange(unsent_, {});
        t_records.size = 0;
        sound = send_gathered(before);
    }
    if (!sound) {
        failed_ = true;
        return Attempt::over(system_message(errno));
    }
    if (!unsent_.empty()) return {Attempt::Outcome::want_write};
    return Attempt::moved(std::exchange(in_records_, 0));
}

void TlsStream::shutdown() {
    const bool said = SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN;
    if (said || failed_ || !unsent_.empty() || !shaken_) return;
    forget_errors();
    // Nothing was said since the handshake: OpenSSL still has the ticket to send.
    if (!SSL_is_init_finished(ssl_.get())) SSL_do_handshake(ssl_.get());
    SSL_shutdown(ssl_.get());
}

TlsInfo TlsStream::info() const {
    SSL* ssl = ssl_.get();
    return {SSL_get_version(ssl), SSL_get_cipher_name(ssl), SSL_session_reused(ssl) != 0, certificate_addresses(ssl)};
}

std::string TlsStream::channel_binding(std::string_view type) const {
    if (type == "tls-exporter") return exported_binding(ssl_.get());
    if (type == "tls-unique") return unique_binding(ssl_.get());
    return type == "tls-server-end-point" ? end_point_binding(ssl_.get()) : std::string();
}

}  // namespace poplar::net
