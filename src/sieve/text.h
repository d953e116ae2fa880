#pragma once
// Strings of a script: encoded characters (RFC 5228 s2.4.2.4) and references to variables (RFC 5229 s3).
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::sieve {

/// A piece of a string: as it stands, or the value of a variable.
struct Piece {
    enum class Kind : std::uint8_t { literal, variable, global, match };
    Kind kind = Kind::literal;
    std::string text;         ///< of a literal; or the variable's name in lower case
    std::uint32_t index = 0;  ///< of a match variable
};

class Text {
public:
    Text() = default;
    explicit Text(std::string constant) : source_(std::move(constant)) {}

    /// No variable occurs in it.
    bool constant() const { return pieces_.empty(); }
    /// Before any variable is expanded: of a constant, what it stands for.
    const std::string& source() const { return source_; }
    const std::vector<Piece>& pieces() const { return pieces_; }

    enum class Variables : std::uint8_t { none, own, own_and_global };
    /// Errors: a text for the one who wrote the script.
    static std::expected<Text, std::string> parse(std::string text, bool encoded_characters, Variables variables);

private:
    std::string source_;
    std::vector<Piece> pieces_;
};

/// Match variables have numbers up to this.
inline constexpr std::uint32_t kMatchVariables = 99;
inline constexpr std::size_t kLongestVariableName = 64;

/// An identifier: what a variable that can be set is called.
bool is_variable_name(std::string_view name);

}  // namespace poplar::sieve
