#pragma once
// The bounds of scripts and of their runs. Each is a key of the configuration (settings.cc).
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace poplar::sieve {

struct Options {
    // Of a script, when it is compiled.
    std::size_t script_octets = 256 * 1024;  ///< of one script
    std::uint32_t nesting = 32;              ///< blocks and tests within each other
    std::uint32_t strings = 20'000;          ///< in one script
    std::uint32_t commands = 5000;           ///< commands and tests in one script
    std::uint32_t regexes = 50;              ///< in one script
    std::size_t regex_octets = 1000;         ///< of one regular expression

    // Of a run.
    std::uint64_t instructions = 4'000'000;   ///< about 10 to 30 nanoseconds each
    std::size_t memory = 12u << 20;           ///< octets that a run may make, beyond the message
    std::uint32_t variables = 200;            ///< of one script; and of those that scripts share
    std::size_t variable_octets = 64 * 1024;  ///< of one variable; a longer value is cut there (RFC 5229 s6)
    std::uint32_t includes = 50;              ///< scripts that a run includes
    std::uint32_t include_depth = 10;         ///< scripts within each other
    std::uint32_t redirects = 5;              ///< addresses that a message is sent on to
    std::uint32_t notifications = 5;          ///< that a message leads to
    std::uint32_t actions = 50;               ///< of all kinds
    std::uint32_t flags = 200;                ///< of one message

    std::chrono::seconds vacation_default = std::chrono::days(7);
    std::chrono::seconds vacation_longest = std::chrono::days(90);
    std::chrono::seconds duplicate_default = std::chrono::days(7);
    std::chrono::seconds duplicate_longest = std::chrono::days(30);
};

}  // namespace poplar::sieve
