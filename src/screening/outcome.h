#pragma once
#include <cstdint>
#include <string_view>

namespace poplar::screening {

/// The result of a check, in the words of RFC 8601 s2.7.
enum class Outcome : std::uint8_t { none, pass, fail, softfail, neutral, policy, temperror, permerror };

constexpr std::string_view name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::none: return "none";
        case Outcome::pass: return "pass";
        case Outcome::fail: return "fail";
        case Outcome::softfail: return "softfail";
        case Outcome::neutral: return "neutral";
        case Outcome::policy: return "policy";
        case Outcome::temperror: return "temperror";
        case Outcome::permerror: return "permerror";
    }
    return "none";
}

}  // namespace poplar::screening
