#include "encryption/stream.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace poplar::encryption {
namespace {

std::string seal(const Secret& key, std::string_view plain, std::size_t part) {
    StreamSealer sealer(key);
    std::string out;
    for (std::size_t at = 0; at < plain.size(); at += part) sealer.push(plain.substr(at, part), out);
    sealer.finish(out);
    return out;
}

Result<std::string> open(const Secret& key, std::string_view sealed, std::size_t part) {
    StreamOpener opener(key);
    std::string out;
    for (std::size_t at = 0; at < sealed.size(); at += part)
        if (auto pushed = opener.push(sealed.substr(at, part), out); !pushed) return pass_on(pushed);
    if (auto ended = opener.finish(out); !ended) return pass_on(ended);
    return out;
}

std::string some_text(std::size_t size) {
    std::string text(size, '\0');
    random_bytes(text.data(), size);
    return text;
}

TEST(EncryptedStream, GivesBackEverySizeInWhateverPartsItCame) {
    const auto key = Secret::random();
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, kPlainChunk - 1, kPlainChunk, kPlainChunk + 1,
                             2 * kPlainChunk, 2 * kPlainChunk + 5, 3 * kChunk})
        for (std::size_t part : {std::size_t{1000}, kPlainChunk, kChunk, 5 * kChunk}) {
            const auto plain = some_text(size);
            const auto sealed = seal(key, plain, part);
            EXPECT_EQ(sealed.size(), encrypted_octets(size)) << size;
            auto opened = open(key, sealed, part);
            ASSERT_TRUE(opened) << size << " in parts of " << part;
            EXPECT_EQ(*opened, plain) << size << " in parts of " << part;
        }
}

TEST(EncryptedStream, IsCorruptWhereverAnOctetIsChanged) {
    const auto key = Secret::random();
    const auto sealed = seal(key, some_text(kPlainChunk + 300), kChunk);
    for (std::size_t at = 0; at < sealed.size(); at += at < 50 || at + 50 > sealed.size() ? 1 : 997) {
        auto damaged = sealed;
        damaged[at] = static_cast<char>(damaged[at] ^ 4);
        auto opened = open(key, damaged, kChunk);
        ASSERT_FALSE(opened) << at;
        EXPECT_EQ(opened.error().code(), Errc::corrupt);
    }
}

TEST(EncryptedStream, IsCorruptWhereItIsCutAndWhenSomethingFollows) {
    const auto key = Secret::random();
    const auto sealed = seal(key, some_text(2 * kPlainChunk), kChunk);
    for (std::size_t size :
         {std::size_t{0}, std::size_t{10}, std::size_t{24}, std::size_t{24} + kChunk, sealed.size() - 1})
        EXPECT_FALSE(open(key, std::string_view(sealed).substr(0, size), kChunk)) << size;
    EXPECT_FALSE(open(key, sealed + "x", kChunk));
    EXPECT_FALSE(open(key, sealed + sealed, kChunk));
}

TEST(EncryptedStream, IsCorruptWhenChunksChangePlaces) {
    const auto key = Secret::random();
    const auto sealed = seal(key, some_text(3 * kPlainChunk), kChunk);
    auto swapped = sealed.substr(0, 24) + sealed.substr(24 + kChunk, kChunk) + sealed.substr(24, kChunk) +
                   sealed.substr(24 + 2 * kChunk);
    ASSERT_EQ(swapped.size(), sealed.size());
    EXPECT_FALSE(open(key, swapped, kChunk));
}

TEST(EncryptedStream, OpensWithNoOtherKey) {
    const auto sealed = seal(Secret::random(), "Subject: hello\r\n\r\n", kChunk);
    EXPECT_FALSE(open(Secret::random(), sealed, kChunk));
}

}  // namespace
}  // namespace poplar::encryption
