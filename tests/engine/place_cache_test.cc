#include "engine/local/place_cache.h"

#include <gtest/gtest.h>

namespace poplar::engine::local {
namespace {

constexpr PartitionId kOne{1}, kTwo{2};

/// Bodies from `first` to before `last`, in a segment.
std::vector<Placed> places(std::uint64_t first, std::uint64_t last, std::uint64_t segment = 1) {
    std::vector<Placed> made;
    for (auto id = first; id < last; ++id) made.push_back({BodyId(id), {{segment, 0}, id * 100, 100, 0, 92}});
    return made;
}

/// "first to last" of what is found.
std::string found(PlaceCache& cache, PartitionId partition, std::uint64_t first, std::size_t limit = 1000) {
    auto places = cache.find(partition, BodyId(first), limit);
    if (places.empty()) return "";
    for (const auto& placed : places) EXPECT_EQ(placed.place.offset, placed.id.value * 100);
    return std::to_string(places.front().id.value) + " to " + std::to_string(places.back().id.value);
}

TEST(PlaceCache, FindsWhatIsKnownFromABodyOn) {
    PlaceCache cache(1 << 20);
    cache.keep(kOne, places(10, 30), cache.epoch());
    EXPECT_EQ(found(cache, kOne, 10), "10 to 29");
    EXPECT_EQ(found(cache, kOne, 20, 5), "20 to 24");
    EXPECT_EQ(found(cache, kOne, 29), "29 to 29");
    EXPECT_EQ(found(cache, kOne, 9), "");
    EXPECT_EQ(found(cache, kOne, 30), "");
    EXPECT_EQ(found(cache, kTwo, 10), "");
}

TEST(PlaceCache, WhatFollowsIsAddedAndWhatDoesNotTakesItsPlace) {
    PlaceCache cache(1 << 20);
    cache.keep(kOne, places(10, 30), cache.epoch());
    cache.keep(kOne, places(35, 36), cache.epoch());
    EXPECT_EQ(found(cache, kOne, 10), "10 to 35");
    cache.keep(kOne, places(20, 50), cache.epoch());
    EXPECT_EQ(found(cache, kOne, 10), "");
    EXPECT_EQ(found(cache, kOne, 20), "20 to 49");
}

TEST(PlaceCache, AFewAloneAreNotKept) {
    PlaceCache cache(1 << 20);
    cache.keep(kOne, {}, cache.epoch());
    cache.keep(kOne, places(1, 4), cache.epoch());
    EXPECT_EQ(found(cache, kOne, 1), "");
    EXPECT_EQ(cache.octets(), 0u);
}

TEST(PlaceCache, ForgetsAPartitionWhoseBodyIsElsewhere) {
    PlaceCache cache(1 << 20);
    const auto known = places(10, 30), moved = places(10, 30, 2);
    cache.keep(kOne, known, cache.epoch());
    cache.correct(kOne, BodyId(15), known[5].place);
    cache.correct(kOne, BodyId(30), known[5].place);  // not known
    cache.correct(kTwo, BodyId(15), moved[5].place);
    EXPECT_EQ(found(cache, kOne, 10), "10 to 29");
    cache.correct(kOne, BodyId(15), moved[5].place);
    EXPECT_EQ(found(cache, kOne, 10), "");
}

TEST(PlaceCache, ForgetsAPartitionWithErasedBodiesAndKeepsNothingReadBefore) {
    PlaceCache cache(1 << 20);
    cache.keep(kOne, places(10, 30), cache.epoch());
    cache.keep(kTwo, places(10, 30), cache.epoch());
    const auto before = cache.epoch();
    cache.forget(kOne);
    EXPECT_EQ(found(cache, kOne, 10), "");
    EXPECT_EQ(found(cache, kTwo, 10), "10 to 29");
    cache.keep(kOne, places(10, 30), before);
    EXPECT_EQ(found(cache, kOne, 10), "");
    cache.keep(kOne, places(10, 30), cache.epoch());
    EXPECT_EQ(found(cache, kOne, 10), "10 to 29");
}

TEST(PlaceCache, StaysWithinItsMemoryAndForgetsWhatWasNotUsedForLongest) {
    PlaceCache cache(100'000);
    for (std::uint64_t partition = 1; partition <= 100; ++partition) {
        cache.keep(PartitionId(partition), places(10, 60), cache.epoch());
        EXPECT_LE(cache.octets(), 100'000u);
        EXPECT_EQ(found(cache, kOne, 10), "10 to 59") << partition;
    }
    EXPECT_EQ(found(cache, kTwo, 10), "");
    EXPECT_EQ(found(cache, PartitionId(100), 10), "10 to 59");
    for (std::uint64_t first = 60; first < 2000; first += 50)
        cache.keep(kOne, places(first, first + 50), cache.epoch());
    EXPECT_LE(cache.octets(), 100'000u) << "however long one becomes";
}

}  // namespace
}  // namespace poplar::engine::local
