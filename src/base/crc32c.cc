#include "base/crc32c.h"

#include <isa-l/crc.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace poplar {

namespace {

// ISA-L may leave the upper halves of the vector registers in use, and every SSE instruction after that waits for them:
// a message of 4 KB fetched took a quarter longer.
#ifdef __x86_64__
__attribute__((target("avx"))) void leave_upper_halves() { _mm256_zeroupper(); }
const bool has_upper_halves = __builtin_cpu_supports("avx");
#else
void leave_upper_halves() {}
constexpr bool has_upper_halves = false;
#endif

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
    constexpr std::size_t kAtOnce = 1u << 30;  // its length is an int
    while (!bytes.empty()) {
        auto some = bytes.substr(0, kAtOnce);
        auto* octets = reinterpret_cast<unsigned char*>(const_cast<char*>(some.data()));  // it only reads
        crc = ~crc32_iscsi(octets, static_cast<int>(some.size()), ~crc);
        bytes.remove_prefix(some.size());
    }
    if (has_upper_halves) leave_upper_halves();
    return crc;
}

}  // namespace poplar
