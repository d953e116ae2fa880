#include "auth/mechanism.h"

#include <algorithm>
#include <array>

namespace poplar::auth {

namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, 10> kNames{
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "EXTERNAL",
    "OAUTHBEARER",        "XOAUTH2",          "CRAM-MD5",      "PLAIN",       "LOGIN"};

}  // namespace

std::string_view name_of(Mechanism mechanism) { return kNames[static_cast<std::size_t>(mechanism)]; }

std::optional<Mechanism> find_mechanism(std::string_view name) {
    auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
    for (auto mechanism : all_mechanisms())
        if (std::ranges::equal(name, name_of(mechanism), {}, upper)) return mechanism;
    return std::nullopt;
}

const std::vector<Mechanism>& all_mechanisms() {
    static const auto* all = [] {
        auto* made = new std::vector<Mechanism>;
        for (std::size_t i = 0; i < kNames.size(); ++i) made->push_back(static_cast<Mechanism>(i));
        return made;
    }();
    return *all;
}

}  // namespace poplar::auth
