#pragma once
// IMAP's grammar (RFC 9051 s9, RFC 3501 s9): the words of one command. A command is one text in which its literals
// stand as they came, `{5}` CRLF and the octets, so that any part of it can be read again.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::imap {

/// A literal that the end of a line announces (RFC 9051 s4.3, RFC 7888).
struct LiteralMark {
    std::uint64_t octets = 0;
    bool waits = true;    ///< the client waits for "+" before it sends them
    bool binary = false;  ///< `~{5}`: it may hold NUL (RFC 3516 s4.4)
    std::size_t at = 0;   ///< where it begins in the line
};
/// The one that `line`, without its CRLF, ends with; nothing: it ends with none. A number beyond 63 bits counts as the
/// largest.
std::optional<LiteralMark> literal_at_end(std::string_view line);

/// Numbers from `first` to `last`, which is not before it.
struct NumberRange {
    std::uint32_t first, last;
    bool operator==(const NumberRange&) const = default;
};

/// Message numbers or UIDs as a client named them (RFC 9051 s9, sequence-set).
class SequenceSet {
public:
    static constexpr std::uint32_t kStar = 0;  ///< "*" in a range; no number is 0

    struct Given {
        std::uint32_t first, last;  ///< in the order in which they came
        bool operator==(const Given&) const = default;
    };
    std::vector<Given> ranges;
    bool saved = false;  ///< it is "$", the saved result (RFC 9051 s2.1)

    /// Ascending, joined and apart from each other. `star`: what "*" stands for; 0: nothing, and a range with it is
    /// only its other end.
    std::vector<NumberRange> resolve(std::uint32_t star) const;
    /// Whether a number, or `*` if there is nothing, is beyond `count`: a message number that no message has.
    bool passes(std::uint32_t count) const;
};
/// Sorts and joins.
std::vector<NumberRange> joined(std::vector<NumberRange> ranges);
bool contains(const std::vector<NumberRange>& ranges, std::uint32_t number);
/// Ascending numbers as a set: "1:3,7".
std::string to_set(const std::vector<NumberRange>& ranges);
/// Adds a number that is larger than all before.
void append_number(std::vector<NumberRange>& ranges, std::uint32_t number);

/// Reads a command from left to right. A function that finds something else than it looks for returns nothing, or
/// false, and has read nothing, or part of it: the command is refused then. Never reads beyond the end.
class Parser {
public:
    explicit Parser(std::string_view command) : left_(command) {}

    bool at_end() const { return left_.empty(); }
    std::string_view left() const { return left_; }
    char peek() const { return left_.empty() ? '\0' : left_.front(); }
    /// This octet is next.
    bool take(char octet);
    bool space() { return take(' '); }
    /// This word is next, in any case, and no atom that only begins with it.
    bool word(std::string_view wanted);

    /// ATOM-CHARs, at least one.
    std::optional<std::string_view> atom();
    /// As atom(), and "]" too.
    std::optional<std::string_view> astring_atom();
    /// Up to a space or the end: a tag. "+" is not in it.
    std::optional<std::string_view> tag();
    std::optional<std::string> quoted();
    /// {5}, {5+} or ~{5}, and the octets.
    std::optional<std::string> literal();
    std::optional<std::string> string();
    std::optional<std::string> astring();
    /// nil is a string without octets here.
    std::optional<std::string> nstring();
    /// Digits, up to 2^32 - 1.
    std::optional<std::uint32_t> number();
    /// The same, but not 0.
    std::optional<std::uint32_t> nz_number();
    /// Up to 2^63 - 1.
    std::optional<std::uint64_t> number64();
    std::optional<SequenceSet> sequence_set();
    /// A name with LIST's wildcards.
    std::optional<std::string> list_mailbox();
    /// `\Seen` or a keyword.
    std::optional<std::string> flag();
    /// `(\Seen a)`; may be `()`.
    std::optional<std::vector<std::string>> flag_list();
    /// "17-Jul-1996 02:44:25 -0700", with its quotes: milliseconds since 1970.
    std::optional<std::int64_t> date_time();
    /// Passes over one word, string or list in parentheses.
    bool skip_value();

private:
    template <class Is>
    std::string_view run(Is is);

    std::string_view left_;
};

bool is_atom_char(char c);

}  // namespace poplar::imap
