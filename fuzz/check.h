#pragma once
// Shared by the fuzz targets.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

/// Ends the run, and so reports a finding, if a promise is broken. Stays in optimised builds.
#define CHECK(promise)                                                                         \
    do {                                                                                       \
        if (!(promise)) {                                                                      \
            std::fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #promise); \
            std::abort();                                                                      \
        }                                                                                      \
    } while (false)

namespace poplar::fuzz {

/// Hands out the octets that the fuzzer made up: first numbers that steer the run, then the input itself.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
    std::uint8_t number() {
        if (rest_.empty()) return 0;
        const auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

/// `text` in pieces whose sizes depend on `seed` (0: one octet each).
inline std::vector<std::string_view> cut(std::string_view text, std::uint32_t seed) {
    std::vector<std::string_view> pieces;
    std::uint32_t state = seed * 2654435761u;
    while (!text.empty()) {
        state = state * 1664525u + 1013904223u;
        const std::size_t size = seed == 0 ? 1 : std::min<std::size_t>((state >> 24) % (2 * seed + 1), text.size());
        pieces.push_back(text.substr(0, size));
        text.remove_prefix(size);
    }
    return pieces;
}

}  // namespace poplar::fuzz
