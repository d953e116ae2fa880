#include "sieve/collation.h"

#include <unistr.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/casemap.h"

namespace poplar::sieve {

namespace {

constexpr std::uint64_t kOctetsAnInstruction = 16;

void charge_octets(Meter& meter, std::size_t octets) { meter.charge(1 + octets / kOctetsAnInstruction); }

std::string_view digits_of(std::string_view text) {
    std::size_t size = 0;
    while (size < text.size() && ascii::is_digit(text[size])) ++size;
    auto digits = text.substr(0, size);
    while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
    return digits;
}

/// RFC 4790 s9.1: a text that begins with no digit is infinite.
std::weak_ordering compare_numbers(std::string_view a, std::string_view b) {
    a = digits_of(a);
    b = digits_of(b);
    if (a.empty() || b.empty()) return int(a.empty()) <=> int(b.empty());
    if (a.size() != b.size()) return a.size() <=> b.size();
    return a.compare(b) <=> 0;
}

std::weak_ordering compare_ascii(std::string_view a, std::string_view b) {
    const auto size = std::min(a.size(), b.size());
    for (std::size_t i = 0; i < size; ++i)
        if (a[i] != b[i]) {
            const auto x = static_cast<unsigned char>(ascii::upper(a[i]));
            const auto y = static_cast<unsigned char>(ascii::upper(b[i]));
            if (x != y) return x <=> y;
        }
    return a.size() <=> b.size();
}

/// The first place of either octet from `at` on.
std::size_t find_either(std::string_view text, char a, char b, std::size_t at) {
    for (; at < text.size(); ++at)
        if (text[at] == a || text[at] == b) return at;
    return std::string_view::npos;
}

bool contains_ascii(std::string_view text, std::string_view key, Meter& meter) {
    if (key.empty()) return true;
    const char lower = ascii::lower(key.front()), upper = ascii::upper(key.front());
    for (std::size_t at = 0; at + key.size() <= text.size(); ++at) {
        at = find_either(text, lower, upper, at);
        if (at == std::string_view::npos || at + key.size() > text.size()) return false;
        std::size_t same = 1;
        while (same < key.size() && ascii::lower(text[at + same]) == ascii::lower(key[same])) ++same;
        if (same == key.size()) return true;
        if (same > 1) meter.charge(same / 4 + 1);
    }
    return false;
}

/// A text as a comparator sees it. What is compared is `octets`; where characters have another form there, `begins`
/// has the place of each and `source` where it stands in the text.
struct Subject {
    std::string mapped;
    std::string_view octets;
    std::vector<std::uint32_t> begins, source;  // of each character, and the end; empty: an octet is a character
};

/// An element of a pattern: an octet, or a wildcard.
struct Element {
    enum class Kind : std::uint8_t { octet, one, any };
    Kind kind;
    char octet;
};

std::vector<Element> read_pattern(std::string_view pattern) {
    std::vector<Element> out;
    out.reserve(pattern.size());
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c == '*')
            out.push_back({Element::Kind::any, c});
        else if (c == '?')
            out.push_back({Element::Kind::one, c});
        else if (c == '\\' && i + 1 < pattern.size())
            out.push_back({Element::Kind::octet, pattern[++i]});
        else
            out.push_back({Element::Kind::octet, c});
    }
    return out;
}

std::optional<Subject> unicode_subject(std::string_view text) {
    if (!mail::is_utf8(text)) return std::nullopt;
    Subject out;
    std::string scratch;
    for (std::size_t at = 0; at < text.size();) {
        ucs4_t c = 0;
        const auto size = static_cast<std::size_t>(
            u8_mbtouc(&c, reinterpret_cast<const std::uint8_t*>(text.data()) + at, text.size() - at));
        out.begins.push_back(static_cast<std::uint32_t>(out.mapped.size()));
        out.source.push_back(static_cast<std::uint32_t>(at));
        out.mapped += mail::casemapped_character(c, scratch);
        at += size;
    }
    out.begins.push_back(static_cast<std::uint32_t>(out.mapped.size()));
    out.source.push_back(static_cast<std::uint32_t>(text.size()));
    return out;
}

/// Walks a pattern over a subject: its parts between asterisks are looked for from left to right, the first where the
/// text begins, the last where it ends. Each first place is the right one, because it leaves most to those behind.
class Glob {
public:
    Glob(std::string_view text, const Subject& subject, Comparator comparator, Meter& meter)
        : text_(text), subject_(subject), ascii_(comparator == Comparator::ascii_casemap), meter_(meter) {}

    /// The places in the text that each wildcard stands for.
    struct Span {
        std::size_t begin, end;
    };

    bool match(const std::vector<Element>& pattern, std::vector<Span>& spans) {
        std::size_t at = 0, begin = 0;
        bool anchored = true;
        for (;;) {
            std::size_t end = begin;
            while (end < pattern.size() && pattern[end].kind != Element::Kind::any) ++end;
            const std::span part(pattern.data() + begin, end - begin);
            const bool last = end == pattern.size();
            const auto place = anchored ? (fits(part, at) ? at : kNowhere) : last ? from_end(part, at) : find(part, at);
            if (place == kNowhere) return false;
            if (!anchored) spans.push_back({at, place});
            at = pass(part, place, spans);
            if (last) return at == size();
            anchored = false;
            begin = end + 1;
        }
    }

    std::string source(Span span) const {
        const auto begin = source_place(span.begin), end = source_place(span.end);
        return std::string(text_.substr(begin, end - begin));
    }

private:
    static constexpr auto kNowhere = static_cast<std::size_t>(-1);

    std::size_t size() const { return subject_.octets.size(); }
    bool by_characters() const { return !subject_.begins.empty(); }
    bool begins_character(std::size_t at) const {
        return !by_characters() || std::ranges::binary_search(subject_.begins, static_cast<std::uint32_t>(at));
    }
    std::size_t next_character(std::size_t at) const {
        if (!by_characters()) return at + 1;
        return *std::ranges::upper_bound(subject_.begins, static_cast<std::uint32_t>(at));
    }
    std::size_t source_place(std::size_t at) const {
        if (!by_characters()) return at;
        const auto found = std::ranges::lower_bound(subject_.begins, static_cast<std::uint32_t>(at));
        return subject_.source[static_cast<std::size_t>(found - subject_.begins.begin())];
    }
    bool same(char a, char b) const { return a == b || (ascii_ && ascii::lower(a) == ascii::lower(b)); }

    bool fits(std::span<const Element> part, std::size_t at) {
        std::uint64_t looked = 0;
        bool good = true;
        for (const auto& element : part) {
            ++looked;
            if (at >= size()) {
                good = false;
            } else if (element.kind == Element::Kind::one) {
                good = begins_character(at);
                if (good) at = next_character(at);
            } else {
                good = same(subject_.octets[at], element.octet);
                ++at;
            }
            if (!good) break;
        }
        meter_.charge(1 + looked / 4);
        return good && begins_character(at);
    }

    std::size_t find(std::span<const Element> part, std::size_t at) {
        for (; at <= size(); ++at) {
            if (!part.empty() && part.front().kind == Element::Kind::octet && !by_characters()) {
                const char c = part.front().octet;
                const auto found =
                    find_either(subject_.octets, ascii_ ? ascii::lower(c) : c, ascii_ ? ascii::upper(c) : c, at);
                meter_.charge((std::min(found, size()) - at) / kOctetsAnInstruction);
                if (found == std::string_view::npos) return kNowhere;
                at = found;
            }
            if (begins_character(at) && fits(part, at)) return at;
        }
        return kNowhere;
    }

    /// The place from which the part reaches the end of the text exactly.
    std::size_t from_end(std::span<const Element> part, std::size_t at) {
        std::size_t place = size();
        for (std::size_t i = part.size(); i-- > 0;) {
            if (place <= at) return kNowhere;
            if (part[i].kind == Element::Kind::octet || !by_characters()) {
                --place;
            } else {
                const auto here = std::ranges::lower_bound(subject_.begins, static_cast<std::uint32_t>(place));
                if (here == subject_.begins.end() || *here != place || here == subject_.begins.begin()) return kNowhere;
                place = *(here - 1);
            }
        }
        return place >= at && begins_character(place) && fits(part, place) ? place : kNowhere;
    }

    std::size_t pass(std::span<const Element> part, std::size_t at, std::vector<Span>& spans) const {
        for (const auto& element : part) {
            const auto next = element.kind == Element::Kind::one ? next_character(at) : at + 1;
            if (element.kind == Element::Kind::one) spans.push_back({at, next});
            at = next;
        }
        return at;
    }

    std::string_view text_;
    const Subject& subject_;
    bool ascii_;
    Meter& meter_;
};

}  // namespace

std::optional<Comparator> find_comparator(std::string_view name) {
    if (name == "i;octet") return Comparator::octet;
    if (name == "i;ascii-casemap") return Comparator::ascii_casemap;
    if (name == "i;ascii-numeric") return Comparator::ascii_numeric;
    if (name == "i;unicode-casemap") return Comparator::unicode_casemap;
    return std::nullopt;
}

namespace {

constexpr std::array<std::pair<std::string_view, Relation>, 6> kRelations = {{{"gt", Relation::gt},
                                                                              {"ge", Relation::ge},
                                                                              {"lt", Relation::lt},
                                                                              {"le", Relation::le},
                                                                              {"eq", Relation::eq},
                                                                              {"ne", Relation::ne}}};

}  // namespace

std::optional<Relation> find_relation(std::string_view name) {
    for (const auto& [known, relation] : kRelations)
        if (ascii::same(known, name)) return relation;
    return std::nullopt;
}

std::string_view name_of(Relation relation) {
    for (const auto& [name, known] : kRelations)
        if (known == relation) return name;
    return {};
}

bool holds(Relation relation, std::weak_ordering order) {
    switch (relation) {
        case Relation::gt: return order > 0;
        case Relation::ge: return order >= 0;
        case Relation::lt: return order < 0;
        case Relation::le: return order <= 0;
        case Relation::eq: return order == 0;
        case Relation::ne: return order != 0;
    }
    return false;
}

std::optional<std::string> unicode_casemap(std::string_view text) {
    if (!mail::is_utf8(text)) return std::nullopt;
    return mail::casemapped(text);
}

std::optional<std::weak_ordering> compare(Comparator comparator, std::string_view a, std::string_view b, Meter& meter) {
    charge_octets(meter, std::min(a.size(), b.size()));
    switch (comparator) {
        case Comparator::octet: return a.compare(b) <=> 0;
        case Comparator::ascii_casemap: return compare_ascii(a, b);
        case Comparator::ascii_numeric: return compare_numbers(a, b);
        case Comparator::unicode_casemap: break;
    }
    meter.charge(a.size() + b.size());
    const auto x = unicode_casemap(a), y = unicode_casemap(b);
    if (!x || !y) return std::nullopt;
    return x->compare(*y) <=> 0;
}

bool equal(Comparator comparator, std::string_view a, std::string_view b, Meter& meter) {
    if ((comparator == Comparator::octet || comparator == Comparator::ascii_casemap) && a.size() != b.size()) {
        meter.charge(1);
        return false;
    }
    const auto order = compare(comparator, a, b, meter);
    return order && *order == 0;
}

bool contains(Comparator comparator, std::string_view text, std::string_view key, Meter& meter) {
    charge_octets(meter, text.size());
    switch (comparator) {
        case Comparator::octet: {
            if (key.empty()) return true;
            return text.size() >= key.size() && memmem(text.data(), text.size(), key.data(), key.size()) != nullptr;
        }
        case Comparator::ascii_casemap: return contains_ascii(text, key, meter);
        case Comparator::ascii_numeric: return false;
        case Comparator::unicode_casemap: break;
    }
    meter.charge(text.size() + key.size());
    const auto x = unicode_casemap(text), y = unicode_casemap(key);
    return x && y && memmem(x->data(), x->size(), y->data(), y->size()) != nullptr;
}

bool matches(Comparator comparator, std::string_view text, std::string_view pattern, std::vector<std::string>* found,
             Meter& meter) {
    if (comparator == Comparator::ascii_numeric) return false;
    charge_octets(meter, pattern.size());
    Subject subject;
    subject.octets = text;
    std::string mapped_pattern;
    if (comparator == Comparator::unicode_casemap) {
        meter.charge(2 * (text.size() + pattern.size()));
        auto by_characters = unicode_subject(text);
        auto mapped = unicode_casemap(pattern);
        if (!by_characters || !mapped) return false;
        subject = std::move(*by_characters);
        subject.octets = subject.mapped;
        mapped_pattern = std::move(*mapped);
        pattern = mapped_pattern;
    }
    Glob glob(text, subject, comparator, meter);
    std::vector<Glob::Span> spans;
    if (!glob.match(read_pattern(pattern), spans)) return false;
    if (found) {
        found->clear();
        found->emplace_back(text);
        for (const auto& span : spans) found->push_back(glob.source(span));
    }
    return true;
}

}  // namespace poplar::sieve
