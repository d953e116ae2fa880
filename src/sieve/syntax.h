#pragma once
// A script as its grammar has it (RFC 5228 s8.2), before anybody knows what its words mean.
#include <cstdint>
#include <string>
#include <vector>

namespace poplar::sieve {

/// Both count from 1; columns count octets.
struct Position {
    std::uint32_t line = 1, column = 1;
    bool operator==(const Position&) const = default;
};

/// Something that is wrong with a script.
struct Problem {
    Position at;
    std::string message;
    bool operator==(const Problem&) const = default;
};

namespace syntax {

struct String {
    std::string text;
    Position at;
};

struct Argument {
    enum class Kind : std::uint8_t { tag, number, string, list };
    Kind kind = Kind::number;
    Position at;
    std::string tag;  ///< in lower case, without its colon
    std::uint64_t number = 0;
    std::vector<String> strings;  ///< of a string, one
};

/// A command or a test.
struct Node {
    std::string name;  ///< in lower case
    Position at;
    std::vector<Argument> arguments;
    std::vector<Node> tests;
    bool test_list = false;  ///< the tests stood in parentheses
    bool has_block = false;
    std::vector<Node> block;
};

}  // namespace syntax

}  // namespace poplar::sieve
