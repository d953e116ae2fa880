#include "encryption/stream.h"

#include <algorithm>

namespace poplar::encryption {

namespace {

constexpr std::size_t kHeader = crypto_secretstream_xchacha20poly1305_HEADERBYTES;
constexpr std::size_t kTagged = crypto_secretstream_xchacha20poly1305_ABYTES;

const unsigned char* octets(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

std::uint64_t encrypted_octets(std::uint64_t plain) {
    const auto chunks = plain == 0 ? 1 : (plain + kPlainChunk - 1) / kPlainChunk;
    return kHeader + plain + chunks * kTagged;
}

StreamSealer::StreamSealer(const Secret& key) : header_(kHeader, '\0') {
    crypto_secretstream_xchacha20poly1305_init_push(&state_, octets(header_), key.data());
}

StreamSealer::~StreamSealer() {
    sodium_memzero(&state_, sizeof state_);
    sodium_memzero(chunk_.data(), chunk_.size());
}

void StreamSealer::seal(std::string_view plain, unsigned char tag, std::string& out) {
    if (!header_.empty()) {
        out += header_;
        header_.clear();
    }
    const auto before = out.size();
    out.resize(before + plain.size() + kTagged);
    crypto_secretstream_xchacha20poly1305_push(&state_, octets(out) + before, nullptr, octets(plain), plain.size(),
                                               nullptr, 0, tag);
}

// A chunk waits until an octet follows it, because the last one has its own mark.
void StreamSealer::push(std::string_view plain, std::string& out) {
    while (chunk_.size() + plain.size() > kPlainChunk) {
        if (chunk_.empty()) {
            seal(plain.substr(0, kPlainChunk), crypto_secretstream_xchacha20poly1305_TAG_MESSAGE, out);
            plain.remove_prefix(kPlainChunk);
            continue;
        }
        const auto missing = kPlainChunk - chunk_.size();
        chunk_.append(plain.substr(0, missing));
        plain.remove_prefix(missing);
        seal(chunk_, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE, out);
        chunk_.clear();
    }
    chunk_.append(plain);
}

void StreamSealer::finish(std::string& out) {
    seal(chunk_, crypto_secretstream_xchacha20poly1305_TAG_FINAL, out);
    sodium_memzero(chunk_.data(), chunk_.size());
    chunk_.clear();
}

StreamOpener::StreamOpener(const Secret& key) : key_(key.copy()) {}

StreamOpener::~StreamOpener() { sodium_memzero(&state_, sizeof state_); }

Result<> StreamOpener::open(std::string_view chunk, std::string& out) {
    auto damaged = [] { return fail(Errc::corrupt, "encrypted mail is damaged"); };
    if (ended_ || chunk.size() < kTagged) return damaged();
    const auto before = out.size();
    out.resize(before + chunk.size() - kTagged);
    unsigned char tag = 0;
    if (crypto_secretstream_xchacha20poly1305_pull(&state_, octets(out) + before, nullptr, &tag, octets(chunk),
                                                   chunk.size(), nullptr, 0) != 0) {
        out.resize(before);
        return damaged();
    }
    ended_ = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    return {};
}

Result<> StreamOpener::push(std::string_view sealed, std::string& out) {
    if (!begun_) {
        const auto missing = std::min(kHeader - pending_.size(), sealed.size());
        pending_.append(sealed.substr(0, missing));
        sealed.remove_prefix(missing);
        if (pending_.size() < kHeader) return {};
        if (crypto_secretstream_xchacha20poly1305_init_pull(&state_, octets(pending_), key_.data()) != 0)
            return fail(Errc::corrupt, "encrypted mail is damaged");
        begun_ = true;
        pending_.clear();
    }
    while (pending_.size() + sealed.size() >= kChunk) {
        if (pending_.empty()) {
            if (auto opened = open(sealed.substr(0, kChunk), out); !opened) return opened;
            sealed.remove_prefix(kChunk);
            continue;
        }
        const auto missing = kChunk - pending_.size();
        pending_.append(sealed.substr(0, missing));
        sealed.remove_prefix(missing);
        if (auto opened = open(pending_, out); !opened) return opened;
        pending_.clear();
    }
    pending_.append(sealed);
    return {};
}

Result<> StreamOpener::finish(std::string& out) {
    if (begun_ && !pending_.empty()) {
        if (auto opened = open(pending_, out); !opened) return opened;
        pending_.clear();
    }
    if (!begun_ || !ended_) return fail(Errc::corrupt, "the end of encrypted mail is not there");
    return {};
}

}  // namespace poplar::encryption
