#include "tests/store/model.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace poplar::test {
namespace {

using Kind = ModelStep::Kind;

void expect_agreement(const std::vector<ModelStep>& history) {
    auto found = play(history);
    if (!found) return;
    auto shortest = shrink(history, play);
    auto why = play(shortest);
    std::string text;
    for (const auto& step : shortest) text += "    " + to_string(step) + ",\n";
    ADD_FAILURE() << "after step " << found->step << ": " << found->what << "\nshortest history found ("
                  << (why ? why->what : std::string("it agrees when made again")) << "):\n"
                  << text;
}

/// POPLAR_SEED=n begins elsewhere, POPLAR_LONG=1 takes many more, POPLAR_MODEL_SEEDS=n that many.
std::uint64_t number_from(const char* name, std::uint64_t fallback) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : fallback;
}

TEST(Model, TheStoreAgreesWithItAfterEachStep) {
    auto first = number_from("POPLAR_SEED", 1);
    auto seeds = number_from("POPLAR_MODEL_SEEDS", std::getenv("POPLAR_LONG") ? 300 : 12);
    for (auto seed = first; seed < first + seeds && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        expect_agreement(random_history(seed, 150));
    }
}

TEST(Model, AHistoryIsShortenedToWhatMatters) {
    // Wrong as soon as a purge is followed by a restoration.
    auto fails = [](const std::vector<ModelStep>& history) -> std::optional<Disagreement> {
        bool purged = false;
        for (std::size_t i = 0; i < history.size(); ++i) {
            if (history[i].kind == Kind::purge) purged = true;
            if (history[i].kind == Kind::restore && purged) return Disagreement{i, "wrong"};
        }
        return std::nullopt;
    };
    auto history = random_history(3, 400);
    ASSERT_TRUE(fails(history));
    auto shortest = shrink(history, fails);
    ASSERT_EQ(shortest.size(), 2u);
    EXPECT_EQ(to_string(shortest[0]), "{Kind::purge, 0, 0}");
    EXPECT_EQ(to_string(shortest[1]), "{Kind::restore, 0, 0}");
}

}  // namespace
}  // namespace poplar::test
