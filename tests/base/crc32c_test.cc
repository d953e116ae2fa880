#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace poplar {
namespace {

std::uint32_t bit_by_bit(std::string_view bytes) {
    std::uint32_t crc = 0xffffffff;
    for (unsigned char c : bytes) {
        crc ^= c;
        for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0u);
    }
    return ~crc;
}

TEST(Crc32c, MatchesTheKnownVectors) {  // RFC 3720 appendix B.4
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
    EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
    EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
}

TEST(Crc32c, IsTheSameAsTheDefinitionAtEveryLength) {
    std::string bytes(13000, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131 + i / 7);
    auto check = [&bytes](std::size_t begin, std::size_t size) {
        auto some = std::string_view(bytes).substr(begin, size);
        EXPECT_EQ(crc32c(some), bit_by_bit(some)) << begin << ' ' << size;
    };
    for (std::size_t size = 0; size <= 600; ++size) check(size % 67, size);
    for (std::size_t size : {1023, 1024, 1025, 4079, 4080, 4081, 8160, 8167, 12240, 12999}) check(1, size);
}

TEST(Crc32c, ContinuesWhereItStopped) {
    std::string bytes(9001, 'x');
    for (std::size_t cut : {0u, 1u, 4080u, 5000u, 9001u}) {
        auto first = crc32c(std::string_view(bytes).substr(0, cut));
        EXPECT_EQ(crc32c(std::string_view(bytes).substr(cut), first), crc32c(bytes)) << cut;
    }
}

}  // namespace
}  // namespace poplar
