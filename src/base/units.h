#pragma once
// Durations and sizes as an operator writes them.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace poplar {

/// "500ms", "30s", "10m", "2h", "30d", "1w", or parts joined as in "1h30m"; digits alone are seconds. Errors: invalid.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// "50MB" (decimal), "64MiB" (binary), "512" or "512B" (octets). Units: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, in any
/// case. Errors: invalid.
Result<std::uint64_t> parse_size(std::string_view text);

/// The shortest form that parse_duration() reads back: "10m", "1h30m", "0s".
std::string format_duration(std::chrono::milliseconds value);
/// The shortest exact form that parse_size() reads back: "256MiB", "50MB", "1234".
std::string format_size(std::uint64_t octets);

/// For people: "1.4 MB", "312 B".
std::string human_size(std::uint64_t octets);
/// For people: "3 d 4 h", "12 min", "8 s".
std::string human_duration(std::chrono::seconds value);
/// "2026-11-22 03:05:09Z".
std::string human_time(Timestamp time);

/// The one of `known` that `word` was probably meant to be: about a third of its letters may be
/// wrong. Empty: none.
template <class Names>
std::string_view nearest(std::string_view word, const Names& known);
std::size_t edit_distance(std::string_view a, std::string_view b);

template <class Names>
std::string_view nearest(std::string_view word, const Names& known) {
    std::string_view best;
    std::size_t best_distance = word.size() / 3 + 2;
    for (std::string_view name : known) {
        auto distance = edit_distance(word, name);
        if (distance < best_distance) best = name, best_distance = distance;
    }
    return best;
}

}  // namespace poplar
