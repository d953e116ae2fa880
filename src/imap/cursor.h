#pragma once
// Reads a command's octets, of IMAP's grammar (RFC 9051 s9, RFC 3501 s9), from left to right. The command is in one
// piece: literals stand in it as they came, `{5}` CRLF and five octets.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace poplar::imap {

/// May stand in an atom: an ATOM-CHAR.
bool is_atom_char(char c);
/// May stand in an astring that is not quoted: an ASTRING-CHAR.
bool is_astring_char(char c);

/// Each function that gives an optional takes what it gives, or takes nothing. Any octets are allowed.
class Cursor {
public:
    explicit Cursor(std::string_view octets) : rest_(octets) {}

    bool at_end() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }
    void skip(std::size_t octets) { rest_.remove_prefix(octets < rest_.size() ? octets : rest_.size()); }

    bool at(char c) const { return rest_.starts_with(c); }
    bool take(char c) {
        if (!at(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    /// One space: SP.
    bool space() { return take(' '); }
    /// These octets, in any case.
    bool take_word(std::string_view word);

    /// One or more ATOM-CHARs.
    std::optional<std::string_view> atom();
    /// Digits. Nothing: none, or more than fit.
    std::optional<std::uint64_t> number();
    /// Digits of a number of 32 bits.
    std::optional<std::uint32_t> number32();
    /// Digits of a number of 32 bits that does not begin with 0: nz-number.
    std::optional<std::uint32_t> nonzero();
    /// quoted or literal; not a literal8. What a quoted one stands for.
    std::optional<std::string> string();
    /// ASTRING-CHARs, or a string.
    std::optional<std::string> astring();
    /// A literal's octets, in place; a literal8's, too, if it may be one. NUL is in a literal8 alone (RFC 9051 s4.3).
    enum class Literal8 : bool { no, yes };
    std::optional<std::string_view> literal(Literal8 may_be = Literal8::no);

private:
    std::string_view rest_;
};

}  // namespace poplar::imap
