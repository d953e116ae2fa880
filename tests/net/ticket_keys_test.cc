#include "net/ticket_keys.h"

#include <gtest/gtest.h>

namespace {

using namespace poplar;
using namespace poplar::net;
using namespace std::chrono_literals;

TEST(TicketKeys, AreReplacedEachHourAndAcceptedForTwoMore) {
    TicketKeys keys;
    const auto first = keys.current();
    EXPECT_EQ(keys.current().name, first.name);
    SteadyClock::move(TicketKeys::kUsed);
    EXPECT_FALSE(TicketKeys::is_current(first));
    const auto second = keys.current();
    EXPECT_NE(second.name, first.name);
    EXPECT_NE(second.cipher, first.cipher);
    EXPECT_NE(second.mac, first.mac);
    ASSERT_TRUE(keys.find(first.name));
    EXPECT_EQ(keys.find(first.name)->cipher, first.cipher);
    SteadyClock::move(TicketKeys::kAccepted - TicketKeys::kUsed);
    EXPECT_FALSE(keys.find(first.name)) << "what was recorded can still be read";
    EXPECT_TRUE(keys.find(second.name));
}

TEST(TicketKeys, KnowNoOthers) {
    TicketKeys keys, others;
    EXPECT_FALSE(keys.find(others.current().name));
    EXPECT_FALSE(keys.find(TicketKeys::Name{}));
}

}  // namespace
