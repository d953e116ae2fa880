#include "pop3/listing_cache.h"

#include <gtest/gtest.h>

namespace poplar::pop3 {
namespace {

using mailstore::AccountId;
using mailstore::ListVersion;
using mailstore::OrderKey;
using Kind = ListingCache::Kind;

/// The version of a maildrop after so many deliveries and removals.
ListVersion version(std::uint64_t delivered, std::uint64_t removed = 0, std::string generation = "generation-1") {
    return {std::move(generation), OrderKey(1 + delivered), delivered - removed, 100 * (delivered - removed), removed};
}

mailstore::ViewOf of(std::uint64_t account) { return {AccountId(account), mailstore::kClassicView}; }

ListingCache::Kept kept(ListVersion version, std::size_t octets) {
    auto listing = std::make_shared<Listing>();
    if (octets != 0) listing->append("1 " + std::string(octets - 7, 'x') + "\r\n");  // 3 for the final "."
    return {std::move(version), std::move(listing)};
}

TEST(ListVersion, ContinuesWhatHadOnlyDeliveriesSince) {
    struct Case {
        ListVersion older, newer;
        bool continues;
    };
    auto restored = version(8, 2);  // one of three removed came back
    restored.list_changes += 2;
    auto other_octets = version(5);
    ++other_octets.octets;
    for (const auto& [older, newer, continues] :
         {Case{version(5), version(5), true}, Case{version(5), version(6), true}, Case{version(0), version(6), true},
          Case{version(6), version(5), false}, Case{version(5), version(5, 1), false},
          Case{version(5), version(6, 1), false}, Case{version(8, 2), version(9, 2), true},
          Case{version(8, 2), version(9, 3), false}, Case{version(8, 3), restored, false},
          Case{version(8, 2), restored, false}, Case{version(5), version(6, 0, "generation-2"), false},
          Case{version(5), other_octets, false}})
        EXPECT_EQ(newer.continues(older), continues) << older.next_order.value << " " << older.messages << ", "
                                                     << newer.next_order.value << " " << newer.messages;
}

TEST(ListingCache, FindsWhatTheVersionContinuesOfTheSameListing) {
    ListingCache cache(1 << 20);
    cache.keep(of(7), Kind::unique_ids, kept(version(3), 10));
    auto same = cache.find(of(7), Kind::unique_ids, version(3));
    ASSERT_TRUE(same.listing);
    auto beginning = cache.find(of(7), Kind::unique_ids, version(4));
    EXPECT_EQ(beginning.listing, same.listing);
    EXPECT_EQ(beginning.version, version(3));
    EXPECT_FALSE(cache.find(of(7), Kind::unique_ids, version(2)).listing);
    EXPECT_FALSE(cache.find(of(7), Kind::unique_ids, version(4, 1)).listing);
    EXPECT_FALSE(cache.find(of(7), Kind::octets, version(3)).listing);
    EXPECT_FALSE(cache.find(of(8), Kind::unique_ids, version(3)).listing);
}

TEST(ListingCache, ALaterOneTakesItsPlaceAndAnEmptyOneTakesItAway) {
    ListingCache cache(1 << 20);
    cache.keep(of(7), Kind::octets, kept(version(3), 1000));
    auto held = cache.octets();
    cache.keep(of(7), Kind::octets, kept(version(4, 1), 1000));
    EXPECT_EQ(cache.octets(), held);
    EXPECT_FALSE(cache.find(of(7), Kind::octets, version(3)).listing);
    EXPECT_TRUE(cache.find(of(7), Kind::octets, version(4, 1)).listing);
    cache.keep(of(7), Kind::octets, kept(version(4, 4), 0));
    EXPECT_EQ(cache.octets(), 0u);
    EXPECT_FALSE(cache.find(of(7), Kind::octets, version(4, 4)).listing);
}

TEST(ListingCache, WhatWasNotUsedForLongestGoesFirst) {
    ListingCache cache(10'000);
    for (std::uint64_t account = 1; account <= 4; ++account)
        cache.keep(of(account), Kind::octets, kept(version(1), 2000));
    EXPECT_TRUE(cache.find(of(1), Kind::octets, version(1)).listing);
    cache.keep(of(5), Kind::octets, kept(version(1), 2000));
    EXPECT_TRUE(cache.find(of(1), Kind::octets, version(1)).listing);
    EXPECT_FALSE(cache.find(of(2), Kind::octets, version(1)).listing);
    EXPECT_LE(cache.octets(), 10'000u);
}

TEST(ListingCache, AListingInUseOutlivesItsPlace) {
    ListingCache cache(10'000);
    cache.keep(of(1), Kind::octets, kept(version(1), 2500));
    auto used = cache.find(of(1), Kind::octets, version(1)).listing;
    for (std::uint64_t account = 2; account < 20; ++account)
        cache.keep(of(account), Kind::octets, kept(version(1), 2500));
    EXPECT_FALSE(cache.find(of(1), Kind::octets, version(1)).listing);
    EXPECT_EQ(used->find(1), std::string(2493, 'x'));
}

TEST(ListingCache, KeepsNothingThatWouldPushOutMostOthers) {
    ListingCache cache(10'000), none(0);
    cache.keep(of(1), Kind::octets, kept(version(1), 5001));
    none.keep(of(1), Kind::octets, kept(version(1), 10));
    EXPECT_EQ(cache.octets(), 0u);
    EXPECT_EQ(none.octets(), 0u);
    cache.keep(of(1), Kind::octets, kept(version(1), 5000));
    cache.keep(of(1), Kind::octets, kept(version(2), 5001));
    EXPECT_EQ(cache.find(of(1), Kind::octets, version(2)).version, version(1)) << "its beginning stays";
}

}  // namespace
}  // namespace poplar::pop3
