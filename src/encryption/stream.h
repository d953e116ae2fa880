#pragma once
// The octets of one message, encrypted under a key of its own: libsodium's secretstream (XChaCha20-Poly1305) in chunks
// of 64 KB. Each chunk is authenticated in its place, and the last one is marked: nothing can be changed, moved, left
// out or cut off without being noticed. Memory does not grow with the message.
#include <sodium.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "encryption/secret.h"

namespace poplar::encryption {

inline constexpr std::size_t kChunk = 64 * 1024;  ///< octets of a chunk but the last, encrypted
inline constexpr std::size_t kPlainChunk = kChunk - crypto_secretstream_xchacha20poly1305_ABYTES;

/// Octets that a message of `plain` octets takes encrypted.
std::uint64_t encrypted_octets(std::uint64_t plain);

class StreamSealer {
public:
    explicit StreamSealer(const Secret& key);
    ~StreamSealer();
    StreamSealer(const StreamSealer&) = delete;
    StreamSealer& operator=(const StreamSealer&) = delete;
    /// Appends what is ready of the encrypted octets to `out`.
    void push(std::string_view plain, std::string& out);
    void finish(std::string& out);

private:
    void seal(std::string_view plain, unsigned char tag, std::string& out);

    crypto_secretstream_xchacha20poly1305_state state_;
    std::string header_, chunk_;
};

class StreamOpener {
public:
    explicit StreamOpener(const Secret& key);
    ~StreamOpener();
    StreamOpener(const StreamOpener&) = delete;
    StreamOpener& operator=(const StreamOpener&) = delete;
    /// Appends what is authenticated of the plain octets to `out`. Errors: corrupt (also with another key).
    Result<> push(std::string_view sealed, std::string& out);
    /// The stored octets end here; appends the rest. Errors: corrupt (the end is not there).
    Result<> finish(std::string& out);

private:
    Result<> open(std::string_view chunk, std::string& out);

    Secret key_;
    crypto_secretstream_xchacha20poly1305_state state_;
    bool begun_ = false, ended_ = false;
    std::string pending_;  // less than a header or a chunk
};

}  // namespace poplar::encryption
