#include "bench/load/statistics.h"

#include <gtest/gtest.h>

namespace poplar::bench {
namespace {

using std::chrono::microseconds;

TEST(Histogram, PercentilesAreWithinFourPerCent) {
    Histogram histogram;
    for (int i = 1; i <= 100'000; ++i) histogram.record(microseconds(i));
    for (double part : {0.01, 0.1, 0.5, 0.9, 0.99, 0.999})
        EXPECT_NEAR(histogram.percentile(part), part * 100'000, part * 4000) << part;
    EXPECT_EQ(histogram.percentile(1), 100'000);
    EXPECT_EQ(histogram.longest(), 100'000);
    EXPECT_NEAR(histogram.mean(), 50'000.5, 0.01);
}

TEST(Histogram, TakesAnyDuration) {
    Histogram histogram;
    for (auto duration : {std::chrono::nanoseconds(-5), std::chrono::nanoseconds(0),
                          std::chrono::nanoseconds(std::chrono::hours(1000))})
        histogram.record(duration);
    EXPECT_EQ(histogram.count(), 3U);
    EXPECT_EQ(histogram.percentile(0), 0);
    EXPECT_EQ(histogram.longest(), 3.6e12);
}

TEST(Histogram, MergesAsIfAllHadBeenRecordedInOne) {
    Histogram one, other, both;
    for (int i = 1; i < 500; ++i) {
        (i % 2 == 0 ? one : other).record(microseconds(i * i));
        both.record(microseconds(i * i));
    }
    one.merge(other);
    EXPECT_EQ(one.count(), both.count());
    for (double part : {0.1, 0.5, 0.9}) EXPECT_EQ(one.percentile(part), both.percentile(part));
    EXPECT_EQ(one.mean(), both.mean());
}

TEST(Histogram, OfNothingIsZero) {
    Histogram histogram;
    EXPECT_EQ(histogram.percentile(0.5), 0);
    EXPECT_EQ(histogram.mean(), 0);
}

}  // namespace
}  // namespace poplar::bench
