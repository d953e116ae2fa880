#include "pop3/listing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/support/run.h"

namespace poplar::pop3 {
namespace {

std::string text_of(const Listing& listing) {
    std::vector<std::string_view> pieces;
    listing.add_pieces(pieces);
    std::string text;
    for (auto piece : pieces) text.append(piece);
    return text;
}

std::string lines(const std::vector<std::string>& texts, std::size_t first, std::size_t last) {
    std::string made;
    for (auto i = first; i < last; ++i) made += fmt::format("{} {}\r\n", i + 1, texts[i]);
    return made;
}

std::vector<std::string> texts(std::size_t count, std::size_t octets = 0) {
    std::vector<std::string> made;
    for (std::size_t i = 1; i <= count; ++i) made.push_back(fmt::format("text-{}-{}", i, std::string(octets, 'x')));
    return made;
}

TEST(Listing, AnEmptyOneIsTheFinalDotAlone) {
    Listing listing;
    listing.append("");
    EXPECT_TRUE(listing.empty());
    EXPECT_EQ(text_of(listing), ".\r\n");
    EXPECT_EQ(listing.find(1), "");
    EXPECT_TRUE(test::run(listing.without(std::vector<MessageNumber>{1})).empty());
}

TEST(Listing, ACopyWithMoreLinesLeavesTheOriginalAsItWas) {
    Listing one;
    one.append("1 a\r\n");
    auto two = one;
    two.append("2 b\r\n");
    EXPECT_EQ(text_of(one), "1 a\r\n.\r\n");
    EXPECT_EQ(text_of(two), "1 a\r\n2 b\r\n.\r\n");
}

TEST(Listing, ACopySharesItsBlocksButForTheLast) {
    Listing long_one;
    const auto all = texts(10'000, 20);
    for (std::size_t i = 0; i < all.size(); i += 1000) long_one.append(lines(all, i, i + 1000));
    auto longer = long_one;
    longer.append("10001 new\r\n");
    std::vector<std::string_view> before, after;
    long_one.add_pieces(before);
    longer.add_pieces(after);
    ASSERT_GT(before.size(), 4u);
    for (std::size_t i = 0; i + 1 < before.size(); ++i) EXPECT_EQ(before[i].data(), after[i].data()) << i;
    for (auto piece : after) EXPECT_LE(piece.size(), Listing::kBlock + 3);
}

TEST(Listing, FindsEachLineByItsWholeNumber) {
    Listing listing;
    const auto all = texts(12'345);
    for (std::size_t i = 0; i < all.size(); i += 500) listing.append(lines(all, i, std::min(i + 500, all.size())));
    for (MessageNumber number : {1u, 2u, 10u, 12u, 123u, 499u, 500u, 501u, 5000u, 5001u, 12'344u, 12'345u})
        EXPECT_EQ(listing.find(number), all[number - 1]);
    for (MessageNumber number : {0u, 12'346u, 123'450u, ~0u}) EXPECT_EQ(listing.find(number), "");
}

TEST(Listing, WhateverIsAddedAndTakenOutItIsAsOneMadeAtOnce) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        std::mt19937 random(seed);
        auto below = [&](std::size_t n) { return random() % n; };
        Listing listing;
        std::vector<std::string> expected;
        for (int step = 0; step < 60; ++step) {
            if (below(3) != 0) {
                auto first = expected.size();
                for (auto n = below(below(4) == 0 ? 2000 : 5); n > 0; --n)
                    expected.push_back(fmt::format("{}-{}", step, std::string(below(40), 'x')));
                listing.append(lines(expected, first, expected.size()));
            } else {
                std::vector<MessageNumber> gone;
                std::vector<std::string> left;
                const auto from = below(expected.size() + 1), rarity = 1 + below(50);
                for (std::size_t i = 0; i < expected.size(); ++i)
                    if (i >= from && below(rarity) == 0)
                        gone.push_back(static_cast<MessageNumber>(i + 1));
                    else
                        left.push_back(expected[i]);
                listing = test::run(listing.without(gone));
                expected = std::move(left);
            }
            auto text = text_of(listing);
            ASSERT_TRUE(text == lines(expected, 0, expected.size()) + ".\r\n") << "seed " << seed << ", step " << step;
            ASSERT_EQ(listing.empty(), expected.empty());
            ASSERT_GE(listing.octets(), listing.empty() ? 0 : text.size()) << "no less than it takes";
            ASSERT_LE(listing.octets(), text.size() + 1000) << "and hardly more";
        }
    }
}

}  // namespace
}  // namespace poplar::pop3
