// Two lists of a mailbox, compared as a whole and where the change log says that they are different.
#include "imap/selected.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace poplar::imap {
namespace {

TEST(Selected, ComparedWhereTheyDifferListsGiveWhatComparedAsAWholeTheyGive) {
    std::mt19937 random(27);
    const auto one_of = [&](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(random); };
    for (int round = 0; round < 500; ++round) {
        MessageList before;
        std::uint32_t last = 0;
        for (auto n = one_of(40); n > 0; --n) before.messages.push_back({last += 1 + one_of(3), 0, ModSequence(1)});
        auto after = before;
        std::set<std::uint32_t> spoken_of;
        for (auto n = one_of(10); n > 0 && !after.messages.empty(); --n) {
            const auto at = after.messages.begin() + one_of(static_cast<std::uint32_t>(after.messages.size()));
            spoken_of.insert(at->uid);
            if (one_of(2) == 0)
                after.messages.erase(at);
            else
                at->changed = ModSequence(2);
        }
        for (auto n = one_of(5); n > 0; --n) {
            after.messages.push_back({++last, 0, ModSequence(3)});
            spoken_of.insert(last);
        }
        const auto whole = compare(before, after);
        spoken_of.insert(1 + one_of(last + 5));  // the log may speak of more than what is different
        const auto found = compare_at(before, after, std::vector(spoken_of.begin(), spoken_of.end()));
        ASSERT_TRUE(found);
        EXPECT_EQ(found->gone, whole.gone);
        EXPECT_EQ(found->changed, whole.changed);
        EXPECT_EQ(found->fresh, whole.fresh);
        if (whole.gone.size() != whole.fresh)
            EXPECT_FALSE(compare_at(before, after, {})) << "the log spoke of too little";
    }
}

TEST(Selected, FrozenAListHasNewFlagsAndNoOtherMessages) {
    const MessageList before{{{1, 1, ModSequence(1)}, {2, 0, ModSequence(1)}, {4, 0, ModSequence(1)}}};
    const MessageList after{{{2, 4, ModSequence(5)}, {4, 0, ModSequence(1)}, {5, 0, ModSequence(6)}}};
    const auto list = frozen(before, after);
    ASSERT_EQ(list->messages.size(), 3u);
    EXPECT_EQ(list->messages[0].flags, 1u);
    EXPECT_EQ(list->messages[1].flags, 4u);
    EXPECT_EQ(list->messages[2].uid, 4u);
}

}  // namespace
}  // namespace poplar::imap
