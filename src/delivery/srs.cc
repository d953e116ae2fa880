// SRS0 holds a sender; SRS1 holds one that another server has wrapped already, and that server's name.
#include "delivery/srs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/ascii.h"
#include "base/random.h"

namespace poplar::delivery {

namespace {

constexpr std::size_t kHashLength = 8;  // characters of 5 bits
constexpr std::size_t kLongestLocalPart = 64;
constexpr std::int64_t kDays = 1024;  // after so many the day's number begins anew
constexpr std::size_t kShortestSecret = 16;

std::int64_t day_of(Timestamp now) {
    return std::chrono::floor<std::chrono::days>(now).time_since_epoch().count() % kDays;
}

/// Takes the text up to the first '=' from the front of `rest`.
std::optional<std::string_view> take(std::string_view& rest) {
    const auto end = rest.find('=');
    if (end == rest.npos) return std::nullopt;
    const auto part = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return part;
}

}  // namespace

// `text` begins with the address's kind, so that one is no other. In lower case, and compared so: some servers change
// the case of local parts.
std::string Srs::hash_of(std::string_view text) const {
    const auto lower = ascii::to_lower(text);
    std::array<unsigned char, 16> hash{};
    const auto octets = [](std::string_view from) { return reinterpret_cast<const unsigned char*>(from.data()); };
    std::array<unsigned char, 32> key{};
    crypto_generichash(key.data(), key.size(), octets(options_.srs_secret), options_.srs_secret.size(), nullptr, 0);
    crypto_generichash(hash.data(), hash.size(), octets(lower), lower.size(), key.data(), key.size());
    std::uint64_t number = 0;
    std::memcpy(&number, hash.data(), sizeof number);
    number |= std::uint64_t(1) << 63;  // so that there are always enough characters
    return base32_text(number).substr(1, kHashLength);
}

std::string Srs::wrap(const std::string& sender, Timestamp now) const {
    const auto at = sender.rfind('@');
    if (!enabled() || at == std::string::npos || sender.front() == '"') return sender;
    const auto local = std::string_view(sender).substr(0, at), domain = std::string_view(sender).substr(at + 1);
    if (ascii::same(domain, options_.srs_domain)) return sender;
    std::string wrapped;
    if (ascii::starts_with(local, "SRS0") && local.size() > 5) {
        const auto inner = fmt::format("{}={}", domain, local.substr(4));
        wrapped = fmt::format("SRS1={}={}", hash_of("1" + inner), inner);
    } else if (ascii::starts_with(local, "SRS1=")) {
        auto rest = local.substr(5);
        if (!take(rest)) return sender;
        wrapped = fmt::format("SRS1={}={}", hash_of(fmt::format("1{}", rest)), rest);
    } else {
        const auto inner = fmt::format("{}={}={}", base32_text(static_cast<std::uint64_t>(day_of(now))), domain, local);
        wrapped = fmt::format("SRS0={}={}", hash_of("0" + inner), inner);
    }
    if (wrapped.size() > kLongestLocalPart) return sender;
    return fmt::format("{}@{}", wrapped, options_.srs_domain);
}

bool Srs::is_wrapped(const mail::Address& address) const {
    return enabled() && ascii::same(address.domain, options_.srs_domain) &&
           (ascii::starts_with(address.local, "SRS0=") || ascii::starts_with(address.local, "SRS1="));
}

Result<std::string> Srs::unwrap(const mail::Address& address, Timestamp now) const {
    const auto bad = [] { return fail(Errc::invalid, "the forwarded address was not made here"); };
    if (!is_wrapped(address)) return bad();
    auto rest = std::string_view(address.local).substr(5);
    const auto hash = take(rest);
    if (!hash || !ascii::same(*hash, hash_of(fmt::format("{}{}", address.local[3], rest)))) return bad();
    if (ascii::starts_with(address.local, "SRS1=")) {
        const auto domain = take(rest);
        if (!domain || rest.empty()) return bad();
        return fmt::format("SRS0{}@{}", rest, *domain);
    }
    const auto day = take(rest), domain = take(rest);
    const auto number = day ? parse_base32(ascii::to_lower(*day)) : std::nullopt;
    if (!number || !domain || rest.empty()) return bad();
    const auto age = (day_of(now) - static_cast<std::int64_t>(*number) + kDays) % kDays;
    if (std::chrono::days(age) > options_.srs_lifetime) return fail(Errc::invalid, "the forwarded address is too old");
    return fmt::format("{}@{}", rest, *domain);
}

Result<std::string> read_srs_secret(const std::string& file) {
    const int made = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made >= 0) {
        const auto secret = random_text(52) + "\n";
        const bool written =
            write(made, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) && fsync(made) == 0;
        if (close(made) != 0 || !written) {
            unlink(file.c_str());
            return fail(Errc::io, fmt::format("{} can't be written", file));
        }
    } else if (errno != EEXIST) {
        return fail(Errc::io, fmt::format("{} can't be made: {}", file, std::strerror(errno)));
    }
    std::ifstream in(file);
    std::string secret;
    if (!in || !(in >> secret)) return fail(Errc::io, fmt::format("{} can't be read", file));
    if (secret.size() < kShortestSecret)
        return fail(Errc::invalid, fmt::format("{} has fewer than {} characters", file, kShortestSecret));
    return secret;
}

}  // namespace poplar::delivery
