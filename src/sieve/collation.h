#pragma once
// Comparators (RFC 4790, RFC 5051) and the match types that stand on them (RFC 5228 s2.7).
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::sieve {

enum class Comparator : std::uint8_t { octet, ascii_casemap, ascii_numeric, unicode_casemap };
std::optional<Comparator> find_comparator(std::string_view name);

enum class Relation : std::uint8_t { gt, ge, lt, le, eq, ne };
std::optional<Relation> find_relation(std::string_view name);
std::string_view name_of(Relation relation);  ///< "ge"
bool holds(Relation relation, std::weak_ordering order);

/// Counts what comparing costs; throws what the run ends by when that was too much.
class Meter {
public:
    virtual void charge(std::uint64_t instructions) = 0;

protected:
    ~Meter() = default;
};

/// Nothing: one of them can't be compared so (RFC 4790 s4.2's "undefined"), which is no match.
std::optional<std::weak_ordering> compare(Comparator comparator, std::string_view a, std::string_view b, Meter& meter);
bool equal(Comparator comparator, std::string_view a, std::string_view b, Meter& meter);
bool contains(Comparator comparator, std::string_view text, std::string_view key, Meter& meter);
/// `*` and `?`; wildcards match as little as possible. If it matches and `found` is not null, it gets the text, then
/// what each wildcard stands for (RFC 5229 s3.2).
bool matches(Comparator comparator, std::string_view text, std::string_view pattern, std::vector<std::string>* found,
             Meter& meter);

/// i;unicode-casemap's form of a text: each character in title case, then decomposed. Nothing: it is not UTF-8.
std::optional<std::string> unicode_casemap(std::string_view text);

}  // namespace poplar::sieve
