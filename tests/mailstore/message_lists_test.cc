#include "mailstore/message_lists.h"

#include <gtest/gtest.h>

namespace poplar::mailstore {
namespace {

ListVersion version(std::uint64_t messages, std::string generation = "generation-1") {
    return {std::move(generation), OrderKey(1 + messages), messages, 100 * messages};
}

MessageLists::List list(std::size_t messages, std::size_t unique_id = 10) {
    std::vector<Message> list(messages);
    for (auto& message : list) message.unique_id.assign(unique_id, 'x');
    return std::make_shared<const std::vector<Message>>(std::move(list));
}

TEST(MessageLists, FindsTheSameVersionOfTheSameAccountOnly) {
    MessageLists lists(1 << 20);
    auto kept = list(3);
    lists.keep({AccountId(7), kClassicView}, version(3), kept);
    EXPECT_EQ(lists.find({AccountId(7), kClassicView}, version(3)), kept);
    EXPECT_FALSE(lists.find({AccountId(8), kClassicView}, version(3)));
    EXPECT_FALSE(lists.find({AccountId(7), kClassicView}, version(4)));
    EXPECT_FALSE(lists.find({AccountId(7), kClassicView}, version(2)));
    EXPECT_FALSE(lists.find({AccountId(7), kClassicView}, version(3, "generation-2")));
}

TEST(MessageLists, ALaterOneTakesThePlaceOfAnEarlierOne) {
    MessageLists lists(1 << 20);
    lists.keep({AccountId(7), kClassicView}, version(3), list(3));
    const auto held = lists.octets();
    lists.keep({AccountId(7), kClassicView}, version(4), list(3));
    EXPECT_EQ(lists.octets(), held);
    EXPECT_FALSE(lists.find({AccountId(7), kClassicView}, version(3)));
    EXPECT_TRUE(lists.find({AccountId(7), kClassicView}, version(4)));
}

TEST(MessageLists, StayWithinTheirMemoryAndWhatWasNotUsedForLongestGoesFirst) {
    MessageLists lists(100'000);
    for (std::uint64_t account = 1; account <= 100; ++account) {
        lists.keep({AccountId(account), kClassicView}, version(100), list(100));
        EXPECT_LE(lists.octets(), 100'000u);
        EXPECT_TRUE(lists.find({AccountId(1), kClassicView}, version(100))) << account;  // used each time
    }
    EXPECT_TRUE(lists.find({AccountId(100), kClassicView}, version(100)));
    EXPECT_FALSE(lists.find({AccountId(2), kClassicView}, version(100)));
}

TEST(MessageLists, OneThatTakesMoreThanHalfIsNotKept) {
    MessageLists lists(100'000);
    lists.keep({AccountId(1), kClassicView}, version(400), list(400));
    EXPECT_TRUE(lists.find({AccountId(1), kClassicView}, version(400)));
    lists.keep({AccountId(2), kClassicView}, version(800), list(800));
    EXPECT_FALSE(lists.find({AccountId(2), kClassicView}, version(800)));
    lists.keep({AccountId(3), kClassicView}, version(400), list(400, 70));  // unique-ids that were brought along
    EXPECT_FALSE(lists.find({AccountId(3), kClassicView}, version(400)));
    MessageLists none(0);
    none.keep({AccountId(1), kClassicView}, version(1), list(1));
    EXPECT_FALSE(none.find({AccountId(1), kClassicView}, version(1)));
    EXPECT_EQ(none.octets(), 0u);
}

}  // namespace
}  // namespace poplar::mailstore
