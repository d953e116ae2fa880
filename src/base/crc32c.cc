#include "base/crc32c.h"

#include <boost/crc.hpp>
#include <cstring>

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

namespace poplar {

#ifdef __SSE4_2__

namespace {

// The crc32 instruction has a latency of 3 cycles and a throughput of 1, so three independent streams fill it. Their
// results are joined by advancing each over the bytes that follow it: crc(A B) = shift(crc(A), |B|) ^ crc(B), where
// shift multiplies by x^(8|B|) modulo the polynomial; four tables make that one lookup a byte of the crc.
constexpr std::size_t kLane = 1360;  // three lanes of 1,360: 4,080 octets a round
constexpr std::uint32_t kPolynomial = 0x82f63b78;

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {  // in GF(2)[x] mod P, bits reflected
    std::uint32_t product = 0;
    for (int i = 0; i < 32; ++i) {
        if (a & 0x80000000u) product ^= b;
        a <<= 1;
        b = (b >> 1) ^ ((b & 1) ? kPolynomial : 0);
    }
    return product;
}

constexpr std::uint32_t x_to_the(std::size_t bits) {
    std::uint32_t power = 0x40000000u, result = 0x80000000u;  // x^1 and x^0
    for (; bits != 0; bits >>= 1, power = multiply(power, power))
        if (bits & 1) result = multiply(power, result);
    return result;
}

struct ShiftTable {
    std::uint32_t byte[4][256];
    constexpr explicit ShiftTable(std::size_t octets) : byte() {
        std::uint32_t factor = x_to_the(8 * octets);
        for (int position = 0; position < 4; ++position)
            for (std::uint32_t v = 0; v < 256; ++v) byte[position][v] = multiply(factor, v << (8 * position));
    }
    std::uint32_t apply(std::uint32_t crc) const {
        return byte[0][crc & 255] ^ byte[1][crc >> 8 & 255] ^ byte[2][crc >> 16 & 255] ^ byte[3][crc >> 24];
    }
};

std::uint64_t load(const char* p) {
    std::uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
    static const ShiftTable one_lane(kLane);
    const char* p = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t a = ~crc;
    for (; left >= 3 * kLane; p += 3 * kLane, left -= 3 * kLane) {
        std::uint64_t b = 0, c = 0;
        for (std::size_t i = 0; i < kLane; i += 8) {
            a = _mm_crc32_u64(a, load(p + i));
            b = _mm_crc32_u64(b, load(p + kLane + i));
            c = _mm_crc32_u64(c, load(p + 2 * kLane + i));
        }
        auto joined = one_lane.apply(static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b);
        a = one_lane.apply(joined) ^ static_cast<std::uint32_t>(c);
    }
    for (; left >= 8; p += 8, left -= 8) a = _mm_crc32_u64(a, load(p));
    auto tail = static_cast<std::uint32_t>(a);
    for (; left > 0; ++p, --left) tail = _mm_crc32_u8(tail, static_cast<unsigned char>(*p));
    return ~tail;
}

#else

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
    boost::crc_optimal<32, 0x1edc6f41, 0xffffffff, 0xffffffff, true, true> sum(0);
    // boost takes the remainder before its final xor and reflection
    std::uint32_t reversed = 0;
    for (int i = 0; i < 32; ++i) reversed |= ((~crc >> i) & 1u) << (31 - i);
    sum.reset(reversed);
    sum.process_bytes(bytes.data(), bytes.size());
    return sum.checksum();
}

#endif

}  // namespace poplar
