// The schemes of stored passwords: their forms, the costs that are allowed, and how each is verified.
#include "auth/password.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>

#include <fmt/format.h>

#include "auth/sasl.h"
#include "auth/scram.h"
#include "base/ascii.h"

namespace poplar::auth {

namespace {

enum class Family { argon2, crypt, digest, scram, plain };
enum class Encoding { none, base64, hex };

struct Scheme {
    std::string_view name;
    Family family;
    std::string_view prefix = {};            ///< how the data begins (argon2, crypt)
    const EVP_MD* (*algorithm)() = nullptr;  ///< (digest)
    Encoding encoding = Encoding::none;      ///< unless a suffix says otherwise
    bool salted = false;                     ///< the salt follows the digest
};

constexpr auto kSchemes = std::to_array<Scheme>({
    {"ARGON2ID", Family::argon2, "$argon2id$"},
    {"ARGON2I", Family::argon2, "$argon2i$"},
    {"BLF-CRYPT", Family::crypt, "$2"},
    {"SHA512-CRYPT", Family::crypt, "$6$"},
    {"SHA256-CRYPT", Family::crypt, "$5$"},
    {"MD5-CRYPT", Family::crypt, "$1$"},
    {"DES-CRYPT", Family::crypt},
    {"CRYPT", Family::crypt},
    {"SSHA", Family::digest, {}, EVP_sha1, Encoding::base64, true},
    {"SSHA256", Family::digest, {}, EVP_sha256, Encoding::base64, true},
    {"SSHA512", Family::digest, {}, EVP_sha512, Encoding::base64, true},
    {"SMD5", Family::digest, {}, EVP_md5, Encoding::base64, true},
    {"SHA", Family::digest, {}, EVP_sha1, Encoding::base64},
    {"SHA1", Family::digest, {}, EVP_sha1, Encoding::base64},
    {"SHA256", Family::digest, {}, EVP_sha256, Encoding::base64},
    {"SHA512", Family::digest, {}, EVP_sha512, Encoding::base64},
    {"LDAP-MD5", Family::digest, {}, EVP_md5, Encoding::base64},
    {"PLAIN-MD5", Family::digest, {}, EVP_md5, Encoding::hex},
    {"SCRAM-SHA-1", Family::scram},
    {"SCRAM-SHA-256", Family::scram},
    {"PLAIN", Family::plain},
    {"CLEARTEXT", Family::plain},
});

const Scheme* find_scheme(std::string_view name) {
    if (ascii::same(name, "MD5")) name = "MD5-CRYPT";  // Dovecot's older name
    auto found = std::ranges::find_if(kSchemes, [&](auto& scheme) { return ascii::same(scheme.name, name); });
    return found == kSchemes.end() ? nullptr : &*found;
}

/// A stored password taken apart; views point into it.
struct Stored {
    const Scheme* scheme;
    Encoding encoding;
    bool encoding_given;  ///< by a suffix of the scheme
    std::string_view data;
};

std::optional<Stored> take_apart(std::string_view stored) {
    std::size_t close = stored.starts_with('{') ? stored.find('}') : std::string_view::npos;
    if (close == std::string_view::npos) return Stored{find_scheme("CRYPT"), Encoding::none, false, stored};
    auto name = stored.substr(1, close - 1);
    auto suffix = std::string_view();
    if (std::size_t dot = name.find('.'); dot != std::string_view::npos) {
        suffix = name.substr(dot + 1);
        name = name.substr(0, dot);
        if (suffix.empty()) return std::nullopt;
    }
    const Scheme* scheme = find_scheme(name);
    if (scheme == nullptr) return std::nullopt;
    auto encoding = scheme->encoding;
    if (ascii::same(suffix, "b64") || ascii::same(suffix, "base64"))
        encoding = Encoding::base64;
    else if (ascii::same(suffix, "hex"))
        encoding = Encoding::hex;
    else if (!suffix.empty())
        return std::nullopt;
    return Stored{scheme, encoding, !suffix.empty(), stored.substr(close + 1)};
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Takes what stands before `mark` off `text`, and the mark; nothing if there is no mark.
std::optional<std::string_view> take_until(std::string_view& text, char mark) {
    std::size_t end = text.find(mark);
    if (end == std::string_view::npos) return std::nullopt;
    auto taken = text.substr(0, end);
    text.remove_prefix(end + 1);
    return taken;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

// Argon2. The cost stands in the stored string, and an imported one must not take all memory or a core for minutes. The
// most that is verified is libsodium's "sensitive" (1 GiB, 4 passes).

constexpr std::uint64_t kArgon2MemoryLimit = 1024 * 1024;           // KiB
constexpr std::uint64_t kArgon2WorkLimit = 4 * kArgon2MemoryLimit;  // KiB times passes
constexpr std::uint64_t kArgon2LaneLimit = 16;
constexpr std::uint64_t kArgon2Memory = crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE / 1024;  // of new hashes
constexpr std::uint64_t kArgon2Passes = crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE;

struct Argon2Cost {
    std::uint64_t memory, passes;  ///< KiB
};

/// The cost of `<prefix>v=19$m=65536,t=2,p=1$salt$hash`; nothing if it has not that form or costs too much.
std::optional<Argon2Cost> argon2_cost(std::string_view data, std::string_view prefix) {
    if (!take_prefix(data, prefix) || !take_prefix(data, "v=19$") || !take_prefix(data, "m=")) return std::nullopt;
    auto memory = take_until(data, ',');
    if (!memory || !take_prefix(data, "t=")) return std::nullopt;
    auto passes = take_until(data, ',');
    if (!passes || !take_prefix(data, "p=")) return std::nullopt;
    auto lanes = take_until(data, '$');
    auto salt = take_until(data, '$');
    if (!lanes || !salt || salt->size() < 11 || salt->size() > 128 || data.size() < 22 || data.size() > 128)
        return std::nullopt;
    auto is_base64 = [](char c) { return ascii::is_alnum(c) || c == '+' || c == '/'; };
    if (!std::ranges::all_of(*salt, is_base64) || !std::ranges::all_of(data, is_base64)) return std::nullopt;
    auto m = parse_number(*memory), t = parse_number(*passes), p = parse_number(*lanes);
    if (!m || !t || !p || *p < 1 || *p > kArgon2LaneLimit || *m < 8 * *p || *m > kArgon2MemoryLimit)
        return std::nullopt;
    if (*t < 1 || *t > kArgon2WorkLimit / *m) return std::nullopt;
    return Argon2Cost{*m, *t};
}

// crypt(3). Limits for the same reason: about a second for the iterated digests, a few for bcrypt, 1 GiB for yescrypt.

constexpr std::uint64_t kCryptRoundsLimit = 2'000'000;
constexpr std::uint64_t kBcryptCostLimit = 16;
constexpr std::uint64_t kScryptMemoryLimit = 1ULL << 30;  // octets
constexpr std::uint64_t kScryptParallelLimit = 4;

/// A digit of crypt's own base 64, 64 if it is none.
std::uint64_t crypt_digit(char c) {
    constexpr std::string_view kDigits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::size_t at = kDigits.find(c);
    return at == std::string_view::npos ? 64 : at;
}

bool are_crypt_digits(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return crypt_digit(c) < 64; });
}

/// Five digits, least significant first: scrypt's r and p.
std::optional<std::uint64_t> crypt_number(std::string_view digits) {
    if (digits.size() != 5 || !are_crypt_digits(digits)) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = digits.size(); i-- > 0;) value = value << 6 | crypt_digit(digits[i]);
    return value;
}

bool scrypt_fits(std::uint64_t log2_n, std::uint64_t r) {
    return r >= 1 && log2_n >= 1 && log2_n <= 23 && r <= (kScryptMemoryLimit >> log2_n) / 128;
}

/// The parameters that crypt_gensalt(3) writes: flavour, log2 N, r, one digit each.
bool yescrypt_fits(std::string_view parameters) {
    if (parameters.size() != 3 || !are_crypt_digits(parameters)) return false;
    // Digits from 48 on begin a number of several digits, for costs far over the limit.
    if (crypt_digit(parameters[1]) >= 48 || crypt_digit(parameters[2]) >= 48) return false;
    return scrypt_fits(crypt_digit(parameters[1]) + 1, crypt_digit(parameters[2]) + 1);
}

bool scrypt_setting_fits(std::string_view setting) {
    if (setting.size() < 11) return false;
    auto r = crypt_number(setting.substr(1, 5)), p = crypt_number(setting.substr(6, 5));
    return crypt_digit(setting[0]) < 64 && r && p && scrypt_fits(crypt_digit(setting[0]), *r) && *p >= 1 &&
           *p <= kScryptParallelLimit;
}

/// `rounds=N$` at the beginning of `rest`, if it is there, is within the limit.
bool rounds_fit(std::string_view rest) {
    if (!take_prefix(rest, "rounds=")) return true;
    auto text = take_until(rest, '$');
    auto rounds = text ? parse_number(*text) : std::nullopt;
    return rounds && *rounds <= kCryptRoundsLimit;
}

bool bcrypt_has_form(std::string_view rest) {  // after "$2"
    if (rest.size() != 58 || std::string_view("abxy").find(rest[0]) == std::string_view::npos || rest[1] != '$' ||
        rest[4] != '$')
        return false;
    auto cost = parse_number(rest.substr(2, 2));
    return cost && *cost >= 4 && *cost <= kBcryptCostLimit && are_crypt_digits(rest.substr(5));
}

bool crypt_has_form(std::string_view data) {
    for (char c : data)  // what crypt(3) itself refuses in a setting
        if (c <= ' ' || c > '~' || std::string_view("!*:;\\").find(c) != std::string_view::npos) return false;
    if (!data.starts_with('$'))
        return (data.size() == 13 || (data.size() == 20 && data[0] == '_')) &&
               are_crypt_digits(data.substr(data[0] == '_' ? 1 : 0));

    auto hash = data.substr(data.rfind('$') + 1);
    auto rest = data;
    if (take_prefix(rest, "$3$$")) return rest.size() == 32;  // hex, not crypt's digits
    if (take_prefix(rest, "$2")) return bcrypt_has_form(rest);
    if (!are_crypt_digits(hash) || std::ranges::count(data, '$') < 3) return false;
    if (take_prefix(rest, "$1$")) return hash.size() == 22;
    if (take_prefix(rest, "$5$")) return hash.size() == 43 && rounds_fit(rest);
    if (take_prefix(rest, "$6$")) return hash.size() == 86 && rounds_fit(rest);
    if (take_prefix(rest, "$y$") || take_prefix(rest, "$gy$")) {
        auto parameters = take_until(rest, '$');
        return hash.size() == 43 && parameters && yescrypt_fits(*parameters);
    }
    if (take_prefix(rest, "$7$")) return hash.size() == 43 && scrypt_setting_fits(rest);
    if (take_prefix(rest, "$sha1$")) {
        auto text = take_until(rest, '$');
        auto rounds = text ? parse_number(*text) : std::nullopt;
        return hash.size() == 28 && rounds && *rounds <= kCryptRoundsLimit;
    }
    if (take_prefix(rest, "$md5$")) return hash.size() == 22;
    if (take_prefix(rest, "$md5,")) return hash.size() == 22 && rounds_fit(rest);
    return false;
}

bool crypt_matches(std::string_view data, std::string_view password) {
    // crypt(3) takes C strings: what stands behind a NUL would not count.
    if (password.find('\0') != std::string_view::npos) return false;
    auto work = std::make_unique<crypt_data>();  // 32 KB: too much for a small stack
    std::string phrase(password), setting(data);
    const char* made = crypt_r(phrase.c_str(), setting.c_str(), work.get());
    bool equal = made != nullptr && made[0] != '*' && setting.size() == std::string_view(made).size() &&
                 sodium_memcmp(made, setting.data(), setting.size()) == 0;
    sodium_memzero(work.get(), sizeof *work);
    sodium_memzero(phrase.data(), phrase.size());
    return equal;
}

std::optional<std::string> hex_decode(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        unsigned value = 0;
        auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
        if (error != std::errc{} || end != text.data() + i + 2) return std::nullopt;
        bytes.push_back(static_cast<char>(value));
    }
    return bytes;
}

std::optional<std::string> decode(std::string_view data, Encoding encoding) {
    if (encoding == Encoding::none) return std::string(data);
    if (encoding == Encoding::hex) return hex_decode(data);
    auto decoded = base64_decode(data);
    if (!decoded) return std::nullopt;
    return std::move(*decoded);
}

/// The digest and what follows it (the salt), if there is the right number of octets.
std::optional<std::string> digest_and_salt(const Stored& stored) {
    auto size = static_cast<std::size_t>(EVP_MD_get_size(stored.scheme->algorithm()));
    auto encoding = stored.encoding;
    // As Dovecot does: without a suffix, data of just the length that hex would have is hex.
    if (!stored.encoding_given && !stored.scheme->salted && stored.data.size() == 2 * size) encoding = Encoding::hex;
    auto bytes = decode(stored.data, encoding);
    if (!bytes || bytes->size() < size || (bytes->size() > size && !stored.scheme->salted)) return std::nullopt;
    return bytes;
}

bool digest_matches(const Stored& stored, std::string_view password) {
    auto bytes = digest_and_salt(stored);
    if (!bytes) return false;
    auto size = static_cast<std::size_t>(EVP_MD_get_size(stored.scheme->algorithm()));
    std::string input(password);
    input.append(*bytes, size);
    unsigned char made[EVP_MAX_MD_SIZE];
    unsigned made_size = 0;
    bool done = EVP_Digest(input.data(), input.size(), made, &made_size, stored.scheme->algorithm(), nullptr) == 1;
    sodium_memzero(input.data(), input.size());
    return done && made_size == size && sodium_memcmp(made, bytes->data(), size) == 0;
}

/// Compares digests of both, so that the time tells nothing of the length either.
bool plain_matches(std::string_view stored, std::string_view password) {
    auto digest = [](std::string_view text) {
        std::array<unsigned char, crypto_generichash_BYTES> out;
        crypto_generichash(out.data(), out.size(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                           nullptr, 0);
        return out;
    };
    auto a = digest(stored), b = digest(password);
    return sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

void prepare_sodium() {
    static const bool ready = sodium_init() >= 0;  // lets it choose the fastest code for this processor
    if (!ready) std::abort();                      // no randomness
}

Result<ScramKeys> scram_keys(const Stored& stored) {
    return parse_scram_keys(fmt::format("{{{}}}{}", stored.scheme->name, stored.data));
}

bool has_form(const Stored& stored) {
    const Scheme& scheme = *stored.scheme;
    switch (scheme.family) {
        case Family::argon2: return !stored.encoding_given && argon2_cost(stored.data, scheme.prefix).has_value();
        case Family::crypt:
            return !stored.encoding_given && stored.data.starts_with(scheme.prefix) && crypt_has_form(stored.data);
        case Family::digest: return digest_and_salt(stored).has_value();
        case Family::scram: return !stored.encoding_given && scram_keys(stored).has_value();
        case Family::plain: {
            auto text = decode(stored.data, stored.encoding);
            return text && !text->empty();
        }
    }
    return false;
}

}  // namespace

bool is_valid_hash(std::string_view stored) {
    auto parts = take_apart(stored);
    return parts && has_form(*parts);
}

bool matches(std::string_view stored, std::string_view password) {
    auto parts = take_apart(stored);
    if (!parts || !has_form(*parts)) return false;
    prepare_sodium();
    switch (parts->scheme->family) {
        case Family::argon2:
            errno = 0;
            if (crypto_pwhash_str_verify(std::string(parts->data).c_str(), password.data(), password.size()) == 0)
                return true;
            if (errno == ENOMEM) throw std::bad_alloc();
            return false;
        case Family::crypt: return crypt_matches(parts->data, password);
        case Family::digest: return digest_matches(*parts, password);
        case Family::scram: return matches(*scram_keys(*parts), password);
        case Family::plain: return plain_matches(*decode(parts->data, parts->encoding), password);
    }
    return false;
}

std::string hash_argon2id(std::string_view password) {
    prepare_sodium();
    std::array<char, crypto_pwhash_STRBYTES> out{};
    if (crypto_pwhash_str_alg(out.data(), password.data(), password.size(), crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE,
                              crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE, crypto_pwhash_ALG_ARGON2ID13) != 0)
        throw std::bad_alloc();
    return std::string("{ARGON2ID}") + out.data();
}

bool is_outdated(std::string_view stored) {
    auto parts = take_apart(stored);
    if (!parts || parts->scheme->name != "ARGON2ID" || !has_form(*parts)) return true;
    auto cost = argon2_cost(parts->data, parts->scheme->prefix);
    return !cost || cost->memory < kArgon2Memory || cost->passes < kArgon2Passes;  // a dearer one is left alone
}

std::string_view scheme_of(std::string_view stored) {
    auto parts = take_apart(stored);
    return parts ? parts->scheme->name : std::string_view();
}

}  // namespace poplar::auth
