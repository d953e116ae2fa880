#pragma once
#include <expected>
#include <string>
#include <string_view>

#include "sieve/syntax.h"

namespace poplar::sieve {

struct Token {
    enum class Kind : std::uint8_t { end, identifier, tag, number, string, punctuation };
    Kind kind = Kind::end;
    Position at;
    std::string text;          ///< of an identifier or a tag in lower case; of a string what it stands for
    std::uint64_t number = 0;  ///< with its quantifier counted in (RFC 5228 s2.4.1)
    char punctuation = 0;      ///< one of , ; ( ) [ ] { }
};

/// The tokens of RFC 5228 s8.1, one at a time. Takes lines that end in LF alone, too: what is kept of them ends in
/// CRLF.
class Lexer {
public:
    explicit Lexer(std::string_view script) : rest_(script) {}
    std::expected<Token, Problem> next();

private:
    std::expected<void, Problem> skip_space();
    std::expected<Token, Problem> quoted(Token token);
    std::expected<Token, Problem> multi_line(Token token);
    std::expected<Token, Problem> number(Token token);
    std::unexpected<Problem> wrong(Position at, std::string message) const;
    bool at_multi_line() const;
    std::size_t line_end() const;  // octets of the line end that comes next: 0, 1 or 2
    void advance(std::size_t octets);
    std::string word();

    std::string_view rest_;
    Position at_;
};

}  // namespace poplar::sieve
