// Addresses (RFC 5321 s4.1.2, RFC 6531 s3.3): parsed, compared, and written in one spelling.
#include "mail/address.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/ascii.h"

namespace poplar::mail {
namespace {

constexpr std::size_t kMaxLocal = 255;
constexpr std::size_t kMaxDomain = 255;                               // RFC 5321 s4.5.3.1.2
constexpr std::size_t kMaxLabel = 63;                                 // RFC 1035 s2.3.4
constexpr std::size_t kMaxText = 2 * kMaxLocal + 2 + 1 + kMaxDomain;  // each octet of the local part behind a "\"

struct Free {
    void operator()(void* p) const { std::free(p); }
};

const std::uint8_t* octets(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

using ascii::is_alpha;
using ascii::is_digit;
bool is_8bit(char c) { return static_cast<unsigned char>(c) > 0x7f; }
bool is_ascii(std::string_view text) { return std::ranges::none_of(text, is_8bit); }

/// atext (RFC 5322 s3.2.3), and what RFC 6531 s3.3 adds.
bool is_atext(char c) {
    return is_alpha(c) || is_digit(c) || is_8bit(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").contains(c);
}

/// Valid UTF-8 without controls: neither C0 and DEL nor C1, which Net-Unicode (RFC 5198 s2) keeps out too.
bool is_clean_utf8(std::string_view text) {
    if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return false;
    if (is_ascii(text)) return true;
    if (u8_check(octets(text), text.size()) != nullptr) return false;
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
        if (text[i] == '\xc2' && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;
    return true;
}

/// RFC 5321 s4.1.2: atoms between single dots.
bool is_dot_string(std::string_view text) {
    bool atom = false;
    for (char c : text) {
        if (c == '.' ? !atom : !is_atext(c)) return false;
        atom = c != '.';
    }
    return atom;
}

/// The labels of a name: letters, digits, inner hyphens (RFC 5321 s4.1.2 sub-domain); `with_utf8`: U-labels as well.
bool is_domain_name(std::string_view name, bool with_utf8, Grammar grammar = Grammar::strict) {
    if (name.empty() || name.size() > kMaxDomain) return false;
    for (;;) {
        const std::string_view label = name.substr(0, name.find('.'));
        const bool ascii = is_ascii(label);
        if (label.empty() || label.front() == '-' || label.back() == '-') return false;
        if (ascii ? label.size() > kMaxLabel : !with_utf8) return false;
        for (char c : label)
            if (!is_alpha(c) && !is_digit(c) && c != '-' && !is_8bit(c) && (c != '_' || grammar == Grammar::strict))
                return false;
        if (label.size() == name.size()) return true;
        name.remove_prefix(label.size() + 1);
    }
}

/// The one spelling of an address literal with its brackets (RFC 5321 s4.1.3). IPv6 is the only tag there is.
std::optional<std::string> canonical_literal(std::string_view text) {
    if (text.size() < 2 || text.front() != '[' || text.back() != ']') return std::nullopt;
    const std::string inner(text.substr(1, text.size() - 2));
    if (inner.contains('\0')) return std::nullopt;
    constexpr std::string_view kTag = "ipv6:";
    const bool v6 = inner.size() > kTag.size() && ascii::starts_with(inner, kTag);
    const int family = v6 ? AF_INET6 : AF_INET;
    std::array<unsigned char, sizeof(in6_addr)> binary{};
    if (inet_pton(family, inner.c_str() + (v6 ? kTag.size() : 0), binary.data()) != 1) return std::nullopt;
    std::array<char, INET6_ADDRSTRLEN> out{};
    inet_ntop(family, binary.data(), out.data(), out.size());
    return (v6 ? "[ipv6:" : "[") + std::string(out.data()) + "]";
}

/// Reads a quoted-string from the front of `text` (RFC 5321 s4.1.2) and removes it: what it stands for.
std::optional<std::string> take_quoted(std::string_view& text) {
    std::string local;
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            text.remove_prefix(i + 1);
            return local;
        }
        if (text[i] == '\\') {
            if (++i == text.size() || is_8bit(text[i])) return std::nullopt;  // quoted-pairSMTP is ASCII
        }
        local += text[i];
    }
    return std::nullopt;
}

std::unexpected<Error> invalid(std::string reason) { return fail(Errc::invalid, std::move(reason)); }

Result<std::string> canonical_local(std::string_view local, LocalPartCase local_case) {
    if (local.empty() || !is_clean_utf8(local)) return invalid("local part is empty, not UTF-8 or has controls");
    if (is_ascii(local)) {
        std::string out(local);
        if (local_case == LocalPartCase::fold) std::ranges::transform(out, out.begin(), ascii::lower);
        return out;
    }
    std::size_t size = 0;
    std::unique_ptr<std::uint8_t, Free> out(
        local_case == LocalPartCase::fold
            ? u8_casefold(octets(local), local.size(), nullptr, UNINORM_NFC, nullptr, &size)
            : u8_normalize(UNINORM_NFC, octets(local), local.size(), nullptr, &size));
    if (out == nullptr) return invalid("local part cannot be normalized");
    return std::string(reinterpret_cast<const char*>(out.get()), size);
}

}  // namespace

Result<Address> parse_address(std::string_view text, Grammar grammar) {
    if (text.size() > kMaxText) return invalid("address is too long");
    if (!is_clean_utf8(text)) return invalid("address is not UTF-8 or has controls");
    Address address;
    if (text.starts_with('"')) {
        auto local = take_quoted(text);
        if (!local) return invalid("quoted local part has no end");
        address.local = std::move(*local);
    } else {
        const std::string_view local = text.substr(0, text.find('@'));
        const bool loose =
            grammar == Grammar::tolerant && std::ranges::all_of(local, [](char c) { return is_atext(c) || c == '.'; });
        if (!loose && !is_dot_string(local)) return invalid("local part breaks the grammar");
        address.local = local;
        text.remove_prefix(local.size());
    }
    // `""@domain` is in the grammar, but names nobody: s4.1.2 warns of it.
    if (address.local.empty()) return invalid("local part is empty");
    if (address.local.size() > kMaxLocal) return invalid("local part is longer than 255 octets");
    if (!text.starts_with('@')) return invalid("no @ after the local part");
    address.domain = text.substr(1);
    if (address.domain.size() > kMaxDomain) return invalid("domain is longer than 255 octets");
    const bool good = address.domain.starts_with('[') ? canonical_literal(address.domain).has_value()
                                                      : is_domain_name(address.domain, true, grammar);
    if (!good) return invalid("domain breaks the grammar");
    return address;
}

std::string to_string(const Address& address) {
    std::string out;
    out.reserve(address.local.size() + address.domain.size() + 3);
    if (is_dot_string(address.local)) {
        out += address.local;
    } else {
        out += '"';
        for (char c : address.local) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    out.append("@").append(address.domain);
    return out;
}

bool is_utf8(std::string_view text) { return is_ascii(text) || u8_check(octets(text), text.size()) == nullptr; }

bool needs_smtputf8(const Address& address) { return !is_ascii(address.local) || !is_ascii(address.domain); }

Result<std::string> canonical_domain(std::string_view domain) {
    if (domain.starts_with('[')) {
        auto literal = canonical_literal(domain);
        if (!literal) return invalid("not an address literal");
        return std::move(*literal);
    }
    if (domain.ends_with('.')) domain.remove_suffix(1);
    if (domain.size() > kMaxDomain || !is_clean_utf8(domain)) return invalid("domain is too long or not UTF-8");
    std::string out(domain);
    if (!is_ascii(domain)) {
        std::uint8_t* looked_up = nullptr;
        const int status = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(out.c_str()), &looked_up,
                                          IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
        const std::unique_ptr<std::uint8_t, void (*)(void*)> owner(looked_up, idn2_free);
        if (status != IDN2_OK) return invalid(std::string("domain: ") + idn2_strerror(status));
        out = reinterpret_cast<const char*>(looked_up);
        if (out.ends_with('.')) out.pop_back();  // from an ideographic full stop
    }
    std::ranges::transform(out, out.begin(), ascii::lower);
    if (!is_domain_name(out, false)) return invalid("domain breaks the grammar");
    return out;
}

Result<Address> canonical(const Address& address, LocalPartCase local_case) {
    auto domain = canonical_domain(address.domain);
    if (!domain) return pass_on(domain);
    auto local = canonical_local(address.local, local_case);
    if (!local) return pass_on(local);
    return Address{std::move(*local), std::move(*domain)};
}

LocalPart split_detail(std::string_view local, char separator) {
    const std::size_t at = local.find(separator, 1);
    if (at == std::string_view::npos) return {local, {}};
    return {local.substr(0, at), local.substr(at + 1)};
}

}  // namespace poplar::mail
