#pragma once
// A script that has been compiled. It never changes, and several runs may use it at the same time.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sieve/collation.h"
#include "sieve/language.h"
#include "sieve/options.h"
#include "sieve/regex.h"
#include "sieve/syntax.h"
#include "sieve/text.h"

namespace poplar::sieve {

/// How a test compares (RFC 5228 s2.7, RFC 5231, RFC 6134, the draft of regex).
struct Match {
    enum class Type : std::uint8_t { is, contains, matches, regex, count, value, list };
    Type type = Type::is;
    Comparator comparator = Comparator::ascii_casemap;
    Relation relation = Relation::eq;
    /// Of each key that is constant its expression; null where a key has variables in it.
    std::vector<std::shared_ptr<const Regex>> regexes = {};
};

/// A tagged argument as it was given.
struct GivenTag {
    Tag tag;
    std::uint64_t number = 0;
    std::vector<Text> strings = {};
};

/// A positional argument as it was given.
struct GivenArgument {
    bool given = false;
    std::uint64_t number = 0;
    std::vector<Text> strings = {};
};

/// A command or a test that the checker has found sound.
struct Node {
    Op op = Op::unknown;
    Position at;
    std::vector<GivenTag> tags;
    std::vector<GivenArgument> arguments;  ///< as many as the command's row has
    Match match;
    std::vector<Node> tests;
    std::vector<Node> block;
    Capabilities unsure;  ///< `require` has none of these: `ihave` must have found one of them before this runs
    std::string trouble;  ///< of Op::unknown: the error that running it is

    const GivenTag* tag(Tag wanted) const {
        for (const auto& one : tags)
            if (one.tag == wanted) return &one;
        return nullptr;
    }
    bool has(Tag wanted) const { return tag(wanted) != nullptr; }
};

struct Script {
    std::vector<Node> commands;
    Capabilities required;
    bool looks_into_body = false;  ///< it may ask for more than the header
    std::size_t memory = 0;        ///< octets that it takes, about
};

/// Actions that a server can't do, though the language has them: each makes a script that uses it wrong.
struct Refused {
    Op op;
    std::string because;
};

struct Compiled {
    std::shared_ptr<const Script> script;  ///< null if there are errors
    std::vector<Problem> errors;           ///< at most kMostErrors, in their order
    std::vector<Problem> warnings;         ///< of a script without errors: as many at most
};
inline constexpr std::size_t kMostErrors = 20;

Compiled compile(std::string_view text, const Options& options, const std::vector<Refused>& refused = {});

/// Whether a script may be called so (RFC 5804 s1.6): UTF-8, 1 to 512 octets, without controls and "/".
bool is_script_name(std::string_view name);

}  // namespace poplar::sieve
