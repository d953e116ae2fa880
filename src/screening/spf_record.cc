// The grammar of SPF records and their macros.
#include "screening/spf_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "base/asio.h"
#include "dns/record.h"
#include "screening/tag_list.h"

namespace poplar::screening {

namespace {

constexpr std::string_view kVersion = "v=spf1";
constexpr std::size_t kMostTerms = 500;

std::unexpected<Error> bad(std::string text) { return fail(Errc::invalid, std::move(text)); }

/// A macro behind "%{", up to "}".
struct Macro {
    char letter = 0;
    std::size_t keep = 0;  // parts on the right; 0: all
    bool reverse = false, escape = false;
    std::string_view delimiters = ".";
};

constexpr std::string_view kDelimiters = ".-+,/_=";

std::optional<Macro> parse_macro(std::string_view text) {
    Macro macro;
    if (text.empty() || std::string_view("slodiphv").find(ascii::lower(text.front())) == std::string_view::npos)
        return std::nullopt;
    macro.letter = ascii::lower(text.front());
    macro.escape = macro.letter != text.front();
    text.remove_prefix(1);
    std::size_t digits = 0;
    while (digits < text.size() && ascii::is_digit(text[digits])) ++digits;
    if (digits > 0) {
        const auto keep = digits <= 3 ? parse_count(text.substr(0, digits)) : std::optional<std::uint64_t>(999);
        if (!keep || *keep == 0) return std::nullopt;
        macro.keep = *keep;
        text.remove_prefix(digits);
    }
    if (!text.empty() && ascii::lower(text.front()) == 'r') {
        macro.reverse = true;
        text.remove_prefix(1);
    }
    if (text.find_first_not_of(kDelimiters) != text.npos) return std::nullopt;
    if (!text.empty()) macro.delimiters = text;
    return macro;
}

/// Calls `literal` and `macro` for each piece. False: the text is no macro-string.
template <class Literal, class Found>
bool walk_macros(std::string_view text, Literal literal, Found macro) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] < '!' || text[i] > '~') return false;
        if (text[i] != '%') {
            literal(text.substr(i, 1));
            continue;
        }
        if (++i == text.size()) return false;
        if (text[i] == '%')
            literal("%");
        else if (text[i] == '_')
            literal(" ");
        else if (text[i] == '-')
            literal("%20");
        else if (text[i] == '{') {
            const auto end = text.find('}', i);
            if (end == text.npos) return false;
            const auto parsed = parse_macro(text.substr(i + 1, end - i - 1));
            if (!parsed) return false;
            macro(*parsed);
            i = end;
        } else {
            return false;
        }
    }
    return true;
}

bool is_macro_string(std::string_view text) {
    return walk_macros(text, [](std::string_view) {}, [](const Macro&) {});
}

/// RFC 7208 s7.1, domain-spec: ends with a macro or with "." and a label that a top-level domain may have.
bool is_domain_spec(std::string_view text) {
    if (text.empty() || !is_macro_string(text)) return false;
    if (text.ends_with('}')) return true;
    if (text.ends_with('.')) text.remove_suffix(1);
    const auto dot = text.rfind('.');
    const auto label = dot == text.npos ? std::string_view() : text.substr(dot + 1);
    return !label.empty() && label.front() != '-' && label.back() != '-' &&
           std::ranges::all_of(label, [](char c) { return ascii::is_alnum(c) || c == '-'; }) &&
           std::ranges::any_of(label, [](char c) { return ascii::is_alpha(c) || c == '-'; });
}

/// Takes "/24" and "//64" off the end of `rest`. False: malformed.
bool take_prefixes(std::string_view& rest, unsigned& prefix4, unsigned& prefix6) {
    const auto number = [](std::string_view text, unsigned most, unsigned& into) {
        const auto value =
            text.size() <= 3 && (text.size() == 1 || !text.starts_with('0')) ? parse_count(text) : std::nullopt;
        if (!value || *value > most) return false;
        into = static_cast<unsigned>(*value);
        return true;
    };
    const auto digits_behind = [&](std::size_t at) {
        const auto tail = rest.substr(at);
        return !tail.empty() && std::ranges::all_of(tail, ascii::is_digit);
    };
    if (const auto two = rest.rfind("//"); two != rest.npos && rest.find('}', two) == rest.npos) {
        if (!digits_behind(two + 2) || !number(rest.substr(two + 2), 128, prefix6)) return false;
        rest = rest.substr(0, two);
    }
    if (const auto one = rest.rfind('/'); one != rest.npos && rest.find('}', one) == rest.npos) {
        if (!digits_behind(one + 1) || !number(rest.substr(one + 1), 32, prefix4)) return false;
        rest = rest.substr(0, one);
    }
    return true;
}

std::optional<SpfMechanism::Kind> kind_of(std::string_view name) {
    using Kind = SpfMechanism::Kind;
    constexpr std::array<std::pair<std::string_view, Kind>, 8> kKinds{{{"all", Kind::all},
                                                                       {"include", Kind::include},
                                                                       {"a", Kind::a},
                                                                       {"mx", Kind::mx},
                                                                       {"ptr", Kind::ptr},
                                                                       {"ip4", Kind::ip4},
                                                                       {"ip6", Kind::ip6},
                                                                       {"exists", Kind::exists}}};
    for (const auto& [text, kind] : kKinds)
        if (ascii::same(text, name)) return kind;
    return std::nullopt;
}

bool read_network(std::string_view text, SpfMechanism& out) {
    const bool v6 = out.kind == SpfMechanism::Kind::ip6;
    const auto slash = text.find('/');
    if (slash != text.npos) {
        const auto value = parse_count(text.substr(slash + 1));
        if (!value || text.size() - slash > 4 || *value > (v6 ? 128u : 32u)) return false;
        (v6 ? out.prefix6 : out.prefix4) = static_cast<unsigned>(*value);
        text = text.substr(0, slash);
    }
    boost::system::error_code error;
    const auto address = asio::ip::make_address(std::string(text), error);
    if (error || address.is_v6() != v6 || text.find('%') != text.npos) return false;
    out.network.v6 = v6;
    if (v6)
        std::ranges::copy(address.to_v6().to_bytes(), out.network.octets.begin());
    else
        std::ranges::copy(address.to_v4().to_bytes(), out.network.octets.begin());
    return true;
}

Result<SpfMechanism> parse_mechanism(std::string_view term) {
    using Kind = SpfMechanism::Kind;
    SpfMechanism out;
    const auto wrong = [&] { return bad(fmt::format("malformed term {}", term.substr(0, 60))); };
    auto rest = term;
    switch (rest.front()) {
        case '+': break;
        case '-': out.qualifier = Outcome::fail; break;
        case '~': out.qualifier = Outcome::softfail; break;
        case '?': out.qualifier = Outcome::neutral; break;
        default: rest = std::string_view(); break;
    }
    rest = rest.empty() ? term : term.substr(1);
    const auto end = std::min(rest.find_first_of(":/"), rest.size());
    const auto kind = kind_of(rest.substr(0, end));
    if (!kind) return bad(fmt::format("unknown mechanism {}", rest.substr(0, std::min<std::size_t>(end, 60))));
    out.kind = *kind;
    rest.remove_prefix(end);
    const bool colon = rest.starts_with(':');
    const auto has_domain = colon;
    switch (out.kind) {
        case Kind::all:
            if (!rest.empty()) return wrong();
            return out;
        case Kind::ip4:
        case Kind::ip6:
            if (!colon || !read_network(rest.substr(1), out)) return wrong();
            return out;
        case Kind::include:
        case Kind::exists:
            if (!has_domain || !is_domain_spec(rest.substr(1))) return wrong();
            out.domain = rest.substr(1);
            return out;
        case Kind::ptr:
            if (!rest.empty() && (!has_domain || !is_domain_spec(rest.substr(1)))) return wrong();
            if (has_domain) out.domain = rest.substr(1);
            return out;
        case Kind::a:
        case Kind::mx: break;
    }
    if (!take_prefixes(rest, out.prefix4, out.prefix6)) return wrong();
    if (has_domain && (rest.empty() || !is_domain_spec(rest.substr(1)))) return wrong();
    if (has_domain) out.domain = rest.substr(1);
    if (!has_domain && !rest.empty()) return wrong();
    return out;
}

/// "name=", if the term is a modifier.
std::optional<std::string_view> modifier_name(std::string_view term) {
    const auto equals = term.find('=');
    if (equals == term.npos || !ascii::is_alpha(term.front())) return std::nullopt;
    const auto name = term.substr(0, equals);
    const bool good =
        std::ranges::all_of(name, [](char c) { return ascii::is_alnum(c) || c == '-' || c == '_' || c == '.'; });
    return good ? std::optional(name) : std::nullopt;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    boost::system::error_code error;
    auto address = asio::ip::make_address(std::string(text), error);
    if (error) return std::nullopt;
    IpAddress out;
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    out.v6 = address.is_v6();
    if (out.v6)
        std::ranges::copy(address.to_v6().to_bytes(), out.octets.begin());
    else
        std::ranges::copy(address.to_v4().to_bytes(), out.octets.begin());
    return out;
}

bool IpAddress::is_in(const IpAddress& network, unsigned prefix) const {
    if (v6 != network.v6) return false;
    const auto whole = prefix / 8;
    if (std::memcmp(octets.data(), network.octets.data(), whole) != 0) return false;
    const auto left = prefix % 8;
    return left == 0 || ((octets[whole] ^ network.octets[whole]) >> (8 - left)) == 0;
}

std::string IpAddress::text() const {
    if (!v6) return fmt::format("{}.{}.{}.{}", octets[0], octets[1], octets[2], octets[3]);
    return asio::ip::address_v6(octets).to_string();
}

std::string IpAddress::reverse_name() const {
    std::string out;
    if (!v6) return fmt::format("{}.{}.{}.{}.in-addr.arpa", octets[3], octets[2], octets[1], octets[0]);
    for (auto octet = octets.rbegin(); octet != octets.rend(); ++octet)
        out += fmt::format("{:x}.{:x}.", *octet & 15, *octet >> 4);
    return out + "ip6.arpa";
}

bool SpfRecord::is_one(std::string_view text) {
    return ascii::starts_with(text, kVersion) && (text.size() == kVersion.size() || text[kVersion.size()] == ' ');
}

Result<SpfRecord> SpfRecord::parse(std::string_view text) {
    if (!is_one(text)) return bad("no SPF record");
    SpfRecord record;
    text.remove_prefix(kVersion.size());
    std::size_t terms = 0;
    while (!text.empty()) {
        const auto end = std::min(text.find(' '), text.size());
        const auto term = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (term.empty()) continue;
        if (++terms > kMostTerms) return bad("too many terms");
        const auto modifier = modifier_name(term);
        if (!modifier) {
            auto mechanism = parse_mechanism(term);
            if (!mechanism) return pass_on(mechanism);
            record.mechanisms.push_back(std::move(*mechanism));
            continue;
        }
        const auto value = term.substr(modifier->size() + 1);
        const bool redirect = ascii::same(*modifier, "redirect");
        if (!redirect && !ascii::same(*modifier, "exp")) {
            if (!is_macro_string(value)) return bad("a modifier can't be read");
            continue;
        }
        auto& into = redirect ? record.redirect : record.explanation;
        if (into) return bad(fmt::format("{}= twice", *modifier));
        if (!is_domain_spec(value)) return bad(fmt::format("{}= is no domain", *modifier));
        into = std::string(value);
    }
    return record;
}

bool needs_validated_name(std::string_view spec) {
    bool found = false;
    walk_macros(spec, [](std::string_view) {}, [&](const Macro& macro) { found |= macro.letter == 'p'; });
    return found;
}

namespace {

constexpr std::size_t kMostExpanded = 64u << 10;  // octets: a record of macros alone stands for megabytes

std::string value_of(char letter, const SpfMacros& macros) {
    switch (letter) {
        case 's': return macros.local + "@" + macros.sender_domain;
        case 'l': return macros.local;
        case 'o': return macros.sender_domain;
        case 'd': return macros.domain;
        case 'p': return macros.validated;
        case 'h': return macros.helo;
        case 'v': return macros.address.v6 ? "ip6" : "in-addr";
        default: break;
    }
    if (!macros.address.v6) return macros.address.text();
    std::string nibbles;  // RFC 7208 s7.3: of IPv6, dotted
    for (const auto octet : macros.address.octets)
        nibbles += fmt::format("{}{:x}.{:x}", nibbles.empty() ? "" : ".", octet >> 4, octet & 15);
    return nibbles;
}

std::string transformed(const Macro& macro, const std::string& value) {
    std::vector<std::string> parts(1);
    for (const char c : value) {
        if (macro.delimiters.find(c) != std::string_view::npos)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    if (macro.reverse) std::ranges::reverse(parts);
    if (macro.keep > 0 && macro.keep < parts.size())
        parts.erase(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(macro.keep));
    const auto joined = fmt::format("{}", fmt::join(parts, "."));
    if (!macro.escape) return joined;
    std::string out;
    for (const char c : joined) {
        const bool plain = ascii::is_alnum(c) || std::string_view("-._~").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

Result<std::string> expand_macros(std::string_view spec, const SpfMacros& macros) {
    std::string out;
    const bool good = walk_macros(
        spec, [&](std::string_view literal) { out += literal; },
        [&](const Macro& macro) {
            if (out.size() <= kMostExpanded) out += transformed(macro, value_of(macro.letter, macros));
        });
    if (!good) return bad("a macro can't be read");
    if (out.size() > kMostExpanded) return bad("macros make too long a name");
    if (out.ends_with('.')) out.pop_back();
    if (out.size() > dns::kNameLimit) {  // RFC 7208 s7.3: labels go from the left until it fits
        const auto dot = out.find('.', out.size() - dns::kNameLimit - 1);
        if (dot != out.npos) out.erase(0, dot + 1);
    }
    return out;
}

}  // namespace poplar::screening
