#include "pop3/listing_cache.h"

#include <gtest/gtest.h>

namespace poplar::pop3 {
namespace {

using mailstore::AccountId;
using Kind = ListingCache::Kind;
using Version = engine::ChangeNumber;

ListingCache::Text text(std::size_t octets, char c = 'x') { return std::make_shared<const std::string>(octets, c); }

TEST(ListingCache, FindsOnlyTheSameVersionOfTheSameListing) {
    ListingCache cache(1 << 20);
    cache.keep(AccountId(7), Kind::unique_ids, Version(3), text(10));
    EXPECT_TRUE(cache.find(AccountId(7), Kind::unique_ids, Version(3)));
    EXPECT_FALSE(cache.find(AccountId(7), Kind::unique_ids, Version(4)));
    EXPECT_FALSE(cache.find(AccountId(7), Kind::octets, Version(3)));
    EXPECT_FALSE(cache.find(AccountId(8), Kind::unique_ids, Version(3)));
}

TEST(ListingCache, ANewVersionTakesTheOldOnesPlace) {
    ListingCache cache(1 << 20);
    cache.keep(AccountId(7), Kind::octets, Version(3), text(1000));
    auto held = cache.octets();
    cache.keep(AccountId(7), Kind::octets, Version(4), text(1000, 'y'));
    EXPECT_EQ(cache.octets(), held);
    EXPECT_FALSE(cache.find(AccountId(7), Kind::octets, Version(3)));
    EXPECT_EQ(*cache.find(AccountId(7), Kind::octets, Version(4)), std::string(1000, 'y'));
}

TEST(ListingCache, WhatWasNotUsedForLongestGoesFirst) {
    ListingCache cache(10'000);
    for (std::uint64_t account = 1; account <= 4; ++account)
        cache.keep(AccountId(account), Kind::octets, Version(1), text(2000));
    EXPECT_TRUE(cache.find(AccountId(1), Kind::octets, Version(1)));
    cache.keep(AccountId(5), Kind::octets, Version(1), text(2000));
    EXPECT_TRUE(cache.find(AccountId(1), Kind::octets, Version(1)));
    EXPECT_FALSE(cache.find(AccountId(2), Kind::octets, Version(1)));
    EXPECT_LE(cache.octets(), 10'000u);
}

TEST(ListingCache, ATextInUseOutlivesItsPlace) {
    ListingCache cache(10'000);
    cache.keep(AccountId(1), Kind::octets, Version(1), text(2500, 'a'));
    auto used = cache.find(AccountId(1), Kind::octets, Version(1));
    for (std::uint64_t account = 2; account < 20; ++account)
        cache.keep(AccountId(account), Kind::octets, Version(1), text(2500));
    EXPECT_FALSE(cache.find(AccountId(1), Kind::octets, Version(1)));
    EXPECT_EQ(*used, std::string(2500, 'a'));
}

TEST(ListingCache, KeepsNothingThatWouldPushOutMostOthers) {
    ListingCache cache(10'000), none(0);
    cache.keep(AccountId(1), Kind::octets, Version(1), text(2501));
    none.keep(AccountId(1), Kind::octets, Version(1), text(1));
    none.keep(AccountId(1), Kind::octets, Version(1), text(0));
    EXPECT_EQ(cache.octets(), 0u);
    EXPECT_EQ(none.octets(), 0u);
}

}  // namespace
}  // namespace poplar::pop3
