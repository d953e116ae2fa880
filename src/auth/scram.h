#pragma once
// SCRAM (RFC 5802 with SHA-1, RFC 7677 with SHA-256): the keys that are stored instead of a password, and the server's
// side of the exchange. Pure functions over bytes: no I/O, no accounts.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "encryption/secret.h"

struct evp_mac_ctx_st;

namespace poplar::auth {

enum class ScramHash { sha1, sha256 };

/// The keys that a server keeps of a password (RFC 5802 s3, s9). Octets, not base64.
struct ScramKeys {
    ScramHash hash = ScramHash::sha256;
    std::uint32_t iterations = 0;
    std::string salt, stored_key, server_key;
    bool operator==(const ScramKeys&) const = default;
};

/// The least RFC 5802 s5.1 and RFC 7677 s4 allow, and the most we take: about a second of work.
inline constexpr std::uint32_t kScramLeastIterations = 4096, kScramMostIterations = 2'000'000;

/// `{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey`, the last three in base64, as Dovecot writes it. Errors:
/// invalid (also fewer or more iterations than the limits).
Result<ScramKeys> parse_scram_keys(std::string_view stored);
std::string to_string(const ScramKeys& keys);
/// Finds the first keys of `hash` in `several`, a text of keys one behind the other.
std::optional<ScramKeys> find_scram_keys(std::string_view several, ScramHash hash);
/// The same, and takes them and all before them off `several`: calls one after the other give all keys of `hash`.
std::optional<ScramKeys> take_scram_keys(std::string_view& several, ScramHash hash);

/// As slow as `iterations` say. Prepares the password first (RFC 5802 s2.2: SASLprep), or takes it as it is if it can't
/// be prepared.
ScramKeys derive_scram_keys(ScramHash hash, std::string_view password, std::string_view salt, std::uint32_t iterations);
/// With a fresh salt.
ScramKeys derive_scram_keys(ScramHash hash, std::string_view password, std::uint32_t iterations);
/// The ClientKey of a password (RFC 5802 s3), which is stored nowhere. As slow as derive_scram_keys().
encryption::SecretText scram_client_key(ScramHash hash, std::string_view password, std::string_view salt,
                                        std::uint32_t iterations);
bool matches(const ScramKeys& keys, std::string_view password);

/// The way in which keys were made, as far as a challenge shows it.
struct ScramKind {
    std::uint32_t iterations = 0;
    std::size_t salt_octets = 16;
    auto operator<=>(const ScramKind&) const = default;
};

/// Keys that no password has, always the same for a name: a stranger can't tell them from an account's.
ScramKeys pretended_scram_keys(ScramHash hash, std::string_view server_secret, std::string_view name, ScramKind kind);

/// Chooses a kind for a name that nobody has. `kinds` says how many accounts have each, and each is chosen for that
/// share of all names. The choice for a name is always the same, and when `kinds` changes it changes for as few names
/// as possible. `kinds` must not be empty.
ScramKind choose_scram_kind(const std::map<ScramKind, std::size_t>& kinds, std::string_view server_secret,
                            std::string_view name);

/// SASLprep (RFC 4013), unassigned code points allowed; nothing if the text can't be prepared.
std::optional<std::string> sasl_prepare(std::string_view text);
/// Text that is not ASCII and has a character of RFC 4013 s2.3: names and passwords with one are refused (RFC 6856
/// s2.2).
bool sasl_prohibits(std::string_view text);

/// The header before the message proper, `n,a=name,` (RFC 5801 s4; RFC 7628 s3.1 has it too).
struct Gs2Header {
    char flag = 'n';               ///< 'n': no channel binding; 'y': would have, had we offered it; 'p': bound
    std::string binding;           ///< with 'p': its type
    std::string authorization_id;  ///< empty: none
    std::size_t octets = 0;        ///< that it takes
};
/// Errors: invalid.
Result<Gs2Header> parse_gs2_header(std::string_view message);

/// The client's first message. RFC 5802 s5.1, s7.
struct ScramClientFirst {
    Gs2Header gs2;
    std::string gs2_text;  ///< the header as it stands
    std::string bare;      ///< what follows it
    std::string name, nonce;
};
/// Errors: invalid.
Result<ScramClientFirst> parse_scram_client_first(std::string_view message);

/// A client's proof that it knows a password. It can be held against the keys of several passwords, if they share the
/// salt and the iterations that the client was told.
class ScramProof {
public:
    /// `message`: what the proof signs; `proof`: as long as `hash` is.
    ScramProof(ScramHash hash, std::string message, std::string proof);

    ScramHash hash() const { return hash_; }
    /// The server's last message, `v=...`, if the client knows the password of these keys, which are of hash().
    std::optional<std::string> answer(const ScramKeys& keys);
    /// The client's ClientKey, after an answer(); to be taken once.
    encryption::SecretText take_client_key() { return std::move(client_key_); }

private:
    struct Free {
        void operator()(evp_mac_ctx_st* hmac) const;
    };
    ScramHash hash_;
    std::string message_, proof_;
    encryption::SecretText client_key_;
    std::unique_ptr<evp_mac_ctx_st, Free> hmac_;  ///< OpenSSL's; making one costs three times as much as using it
};

/// One exchange, from the client's first message on.
class ScramServer {
public:
    /// `challenge`: keys with the salt and the iterations that the client is told. `nonce` is the server's part:
    /// printable, no comma. `binding`: the channel's data of the type the client named.
    ScramServer(ScramClientFirst first, const ScramKeys& challenge, std::string_view nonce, std::string binding);

    const std::string& first_message() const { return first_message_; }
    /// Errors: invalid (malformed), denied (another nonce or channel binding).
    Result<ScramProof> read_proof(std::string_view client_final) const;

private:
    ScramClientFirst first_;
    ScramHash hash_;
    std::string nonce_, binding_, first_message_;
};

}  // namespace poplar::auth
