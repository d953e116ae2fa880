#include "base/encoding.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace poplar {
namespace {

using namespace std::string_literals;

TEST(Encoding, WritesTheDocumentedBytes) {
    EXPECT_EQ(Encoder().u8(0xfe).bytes(), "\xfe");
    EXPECT_EQ(Encoder().u32(0x01020304).bytes(), "\x04\x03\x02\x01");
    EXPECT_EQ(Encoder().u64(0x0102030405060708).bytes(), "\x08\x07\x06\x05\x04\x03\x02\x01");
    EXPECT_EQ(Encoder().u32_key(0x01020304).bytes(), "\x01\x02\x03\x04");
    EXPECT_EQ(Encoder().u64_key(0x0102030405060708).bytes(), "\x01\x02\x03\x04\x05\x06\x07\x08");
    EXPECT_EQ(Encoder().string("ab\0"s).bytes(), "\x03"s + "ab\0"s);
    EXPECT_EQ(Encoder().string("").raw("xy").bytes(), "\0xy"s);
}

TEST(Encoding, VarintsAreLeb128) {
    struct Case {
        std::uint64_t value;
        std::string bytes;
    };
    for (const auto& [value, bytes] : {Case{0, "\0"s},
                                       {1, "\x01"},
                                       {127, "\x7f"},
                                       {128, "\x80\x01"},
                                       {300, "\xac\x02"},
                                       {16384, "\x80\x80\x01"},
                                       {~0ull, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}}) {
        EXPECT_EQ(Encoder().varint(value).bytes(), bytes) << value;
        Decoder in(bytes);
        EXPECT_EQ(in.varint(), value);
        EXPECT_TRUE(in.ok() && in.at_end());
    }
}

TEST(Encoding, KeysSortAsTheirNumbersDo) {
    std::mt19937_64 random(31);
    for (int i = 0; i < 2000; ++i) {
        const std::uint64_t a = random() >> (random() % 64), b = random() >> (random() % 64);
        EXPECT_EQ(a < b, Encoder().u64_key(a).bytes() < Encoder().u64_key(b).bytes()) << a << ' ' << b;
        const auto c = static_cast<std::uint32_t>(a), d = static_cast<std::uint32_t>(b);
        EXPECT_EQ(c < d, Encoder().u32_key(c).bytes() < Encoder().u32_key(d).bytes()) << c << ' ' << d;
    }
}

TEST(Encoding, ReadsBackWhatItWrote) {
    std::mt19937_64 random(32);
    for (int i = 0; i < 2000; ++i) {
        const std::uint64_t v = random() >> (random() % 64);
        const std::string text(random() % 300, static_cast<char>(v));
        Encoder out;
        out.varint(v).string(text).u8(static_cast<std::uint8_t>(v)).u32(static_cast<std::uint32_t>(v)).u64(v);
        out.u32_key(static_cast<std::uint32_t>(v)).u64_key(v).raw("tail");
        Decoder in(out.bytes());
        EXPECT_EQ(in.varint(), v);
        EXPECT_EQ(in.string(), text);
        EXPECT_EQ(in.u8(), static_cast<std::uint8_t>(v));
        EXPECT_EQ(in.u32(), static_cast<std::uint32_t>(v));
        EXPECT_EQ(in.u64(), v);
        EXPECT_EQ(in.u32_key(), static_cast<std::uint32_t>(v));
        EXPECT_EQ(in.u64_key(), v);
        EXPECT_EQ(in.remaining(), "tail");
        EXPECT_EQ(in.raw(4), "tail");
        EXPECT_TRUE(in.ok() && in.at_end());
    }
}

TEST(Encoding, EveryPrefixOfARecordFailsForGood) {
    const std::string bytes = Encoder().u32(7).string("hello").varint(1'000'000).u64_key(9).bytes();
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        Decoder in(std::string_view(bytes).substr(0, size));
        in.u32();
        in.string();
        in.varint();
        in.u64_key();
        EXPECT_EQ(in.ok(), size == bytes.size()) << size;
        if (in.ok()) continue;
        EXPECT_EQ(in.u8(), 0);
        EXPECT_EQ(in.string(), "");
        EXPECT_FALSE(in.ok());
        EXPECT_TRUE(in.at_end());
    }
}

TEST(Encoding, AnyBytesCanBeRead) {
    Decoder endless("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    EXPECT_EQ(endless.varint(), 0u);
    EXPECT_FALSE(endless.ok()) << "a varint of more than ten octets";
    const std::string bytes = Encoder().varint(~0ull).raw("x").bytes();
    Decoder huge(bytes);
    EXPECT_EQ(huge.string(), "");
    EXPECT_FALSE(huge.ok()) << "a length past the end";
}

}  // namespace
}  // namespace poplar
