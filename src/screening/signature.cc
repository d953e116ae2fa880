#include "screening/signature.h"

#include <algorithm>
#include <map>

#include "base/ascii.h"
#include "mail/address.h"
#include "screening/tag_list.h"

namespace poplar::screening {

namespace {

constexpr std::size_t kMostFields = 500;  // in h=
constexpr std::size_t kShown = 8;         // octets of a signature in a result (RFC 6008 s4)
constexpr std::size_t kSha256Octets = 32;

std::optional<Canonical> form_of(std::string_view name) {
    if (name == "simple") return Canonical::simple;
    if (name == "relaxed") return Canonical::relaxed;
    return std::nullopt;
}

/// Seconds; nothing is an error where the tag is there.
Result<> read_time(const TagList& tags, std::string_view name, std::optional<std::uint64_t>& into) {
    const auto* value = tags.find(name);
    if (!value) return {};
    into = parse_count(*value);
    if (!into) return fail(Errc::invalid, std::string(name) + "= is no number");
    return {};
}

}  // namespace

bool is_selector(std::string_view text) {
    return !text.empty() && text.size() <= 253 &&
           std::ranges::all_of(text, [](char c) { return ascii::is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_below(std::string_view domain, std::string_view parent) {
    if (domain.size() <= parent.size()) return ascii::same(domain, parent);
    const auto at = domain.size() - parent.size();
    return !parent.empty() && domain[at - 1] == '.' && ascii::same(domain.substr(at), parent);
}

Result<> Signature::parse(std::string_view text, Kind kind, Signature& out) {
    const auto bad = [](std::string why) { return fail(Errc::invalid, std::move(why)); };
    const auto tags = TagList::parse(text);
    if (!tags) return bad("tags can't be read");
    out.shown = without_space(tags->value("b")).substr(0, kShown);
    auto domain = mail::canonical_domain(without_space(tags->value("d")));
    if (domain) out.domain = *domain;
    out.selector = ascii::to_lower(tags->value("s"));
    for (const char* needed : {"a", "b", "bh", "d", "h", "s"})
        if (!tags->find(needed)) return bad(std::string(needed) + "= is missing");
    if (!domain || !is_selector(*domain)) return bad("d= is no domain");
    if (!is_selector(out.selector)) return bad("s= is no selector");
    if (kind == Kind::dkim && tags->value("v") != "1") return bad("v= is not 1");
    const auto algorithm = tags->value("a");
    if (algorithm == "rsa-sha1") return fail(Errc::denied, "SHA-1 is not believed");
    if (algorithm == name_of(Algorithm::ed25519_sha256))
        out.algorithm = Algorithm::ed25519_sha256;
    else if (algorithm != name_of(Algorithm::rsa_sha256))
        return bad("a= is unknown");
    const auto forms = split(tags->value("c", "simple/simple"), '/');
    const auto header = form_of(forms[0]), body = form_of(forms.size() > 1 ? std::string_view(forms[1]) : "simple");
    if (!header || !body || forms.size() > 2) return bad("c= is unknown");
    out.header_form = *header;
    out.body_form = *body;
    auto signature = decode_base64(tags->value("b")), hash = decode_base64(tags->value("bh"));
    if (!signature || signature->empty() || !hash || hash->size() != kSha256Octets)
        return bad("b= or bh= is malformed");
    out.signature = std::move(*signature);
    out.body_hash = std::move(*hash);
    out.fields = split(ascii::to_lower(tags->value("h")), ':');
    if (out.fields.size() > kMostFields) return bad("h= is too long");
    if (kind == Kind::dkim && std::ranges::find(out.fields, "from") == out.fields.end())
        return bad("From is not signed");  // RFC 6376 s3.5
    if (auto read = read_time(*tags, "t", out.time); !read) return read;
    if (auto read = read_time(*tags, "x", out.expires); !read) return read;
    if (out.time && out.expires && *out.expires < *out.time) return bad("x= is before t=");
    if (const auto* length = tags->find("l")) {
        out.length = parse_count(*length);
        if (!out.length) return bad("l= is no number");
    }
    if (const auto* query = tags->find("q")) {
        const auto ways = split(*query, ':');
        if (std::ranges::find(ways, "dns/txt") == ways.end()) return bad("q= is unknown");
    }
    if (kind == Kind::arc) {
        const auto instance = parse_count(tags->value("i"));
        if (!instance || *instance == 0 || *instance > 50) return bad("i= is no instance");
        out.instance = static_cast<std::uint32_t>(*instance);
        return {};
    }
    out.identity = without_space(tags->value("i", "@" + out.domain));
    const auto at = out.identity.rfind('@');
    if (at == out.identity.npos) return bad("i= is no identity");
    const auto whose = mail::canonical_domain(out.identity.substr(at + 1));
    if (!whose || !is_below(*whose, out.domain)) return bad("i= is not below d=");  // RFC 6376 s3.5
    return {};
}

std::string without_signature(std::string_view field) {
    auto at = std::min(field.find(':'), field.size() - 1) + 1;
    while (at < field.size()) {
        const auto end = std::min(field.find(';', at), field.size());
        const auto equals = field.find('=', at);
        if (equals != field.npos && equals < end && without_space(field.substr(at, equals - at)) == "b") {
            auto kept = std::string(field.substr(0, equals + 1));
            kept += field.substr(end);
            return kept;
        }
        at = end + 1;
    }
    return std::string(field);
}

// RFC 6376 s5.4.2: the last field of a name first; a name that has no more fields stands for none, so that adding one
// breaks the signature.
std::string signed_text(const Header& header, const std::vector<std::string>& names, Canonical form,
                        std::string_view own) {
    std::string text;
    std::map<std::string_view, std::size_t> used;
    for (const auto& name : names) {
        const auto& all = header.named(name);
        auto& count = used[name];
        if (count == all.size()) continue;
        text += canonical_field(header.fields()[all[all.size() - ++count]].raw, form);
    }
    auto last = canonical_field(without_signature(own), form);
    last.resize(last.size() - 2);  // RFC 6376 s3.7: without its CRLF
    return text + last;
}

}  // namespace poplar::screening
