#include "net/places.h"

#include <gtest/gtest.h>

#include <deque>

namespace {

using namespace poplar;
using namespace poplar::net;
using Limit = Places::Limit;

constexpr int kSocket = 20;

class PlacesTest : public testing::Test {
protected:
    /// A connection of `address` and `protocol`, kept until the test ends; else the limit that it is over.
    std::optional<Limit> enter(std::string_view protocol, std::string address) {
        auto place = places_.enter(places_.protocol(protocol), kSocket);
        if (!place) return place.error();
        const bool loopback = address.starts_with("127.");
        if (auto over = place->count_for({std::move(address), 1, loopback})) return over;
        held_.push_back(std::move(*place));
        return std::nullopt;
    }
    static std::string address(int network, int host) {
        return "192.0." + std::to_string(network) + "." + std::to_string(host);
    }

    Places places_{{.connections = 160,
                    .connections_reserved = 15,
                    .connections_per_peer = 5,
                    .connections_per_network = 20,
                    .spare_descriptors = 0}};
    std::deque<Places::Place> held_;
};

TEST_F(PlacesTest, APeerHasItsShareAndOthersTheirs) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(enter("pop3", "192.0.2.1"), std::nullopt) << i;
    EXPECT_EQ(enter("pop3", "192.0.2.1"), Limit::peer);
    EXPECT_EQ(enter("pop3", "192.0.2.2"), std::nullopt);
    held_.pop_front();
    EXPECT_EQ(enter("pop3", "192.0.2.1"), std::nullopt);
    EXPECT_EQ(places_.taken(), held_.size()) << "who was refused holds a place";
}

TEST_F(PlacesTest, ThePeersOfANetworkHaveOneShareTogether) {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(enter("pop3", address(2, i)), std::nullopt) << i;
    EXPECT_EQ(enter("pop3", address(2, 100)), Limit::network);
    EXPECT_EQ(enter("pop3", address(3, 100)), std::nullopt);
}

TEST_F(PlacesTest, LoopbackIsNotCounted) {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(enter("pop3", "127.0.0.1"), std::nullopt) << i;
}

TEST_F(PlacesTest, AFloodOfOneProtocolLeavesRoomForTheOthers) {
    places_.protocol("smtp"), places_.protocol("lmtp");
    int taken = 0;
    while (!enter("pop3", "127.0.0.1")) ++taken;
    EXPECT_EQ(taken, 130);
    EXPECT_EQ(enter("pop3", "127.0.0.1"), Limit::reserved);
    for (int i = 0; i < 15; ++i) EXPECT_EQ(enter("smtp", "127.0.0.1"), std::nullopt) << i;
    EXPECT_EQ(enter("smtp", "127.0.0.1"), Limit::reserved);
    for (int i = 0; i < 15; ++i) EXPECT_EQ(enter("lmtp", "127.0.0.1"), std::nullopt) << i;
    EXPECT_EQ(enter("lmtp", "127.0.0.1"), Limit::connections);
    EXPECT_EQ(enter("pop3", "127.0.0.1"), Limit::connections);
}

TEST_F(PlacesTest, SeveralNetworksLeaveAPlaceForOneMore) {
    Places places({.connections = 100, .connections_reserved = 0, .connections_per_peer = 5, .spare_descriptors = 0});
    const auto protocol = places.protocol("pop3");
    int of_network[5] = {};
    for (bool any = true; any;) {
        any = false;
        for (int network = 0; network < 4; ++network) {
            auto place = places.enter(protocol, kSocket);
            ASSERT_TRUE(place);
            if (place->count_for({address(network, of_network[network]), 1, false})) continue;
            ++of_network[network];
            held_.push_back(std::move(*place));
            any = true;
        }
    }
    for (int network = 0; network < 4; ++network) EXPECT_NEAR(of_network[network], 20, 1) << network;
    for (int i = 0; i < 5; ++i) {
        auto place = places.enter(protocol, kSocket);
        ASSERT_TRUE(place);
        EXPECT_EQ(place->count_for({address(9, i), 1, false}), std::nullopt) << i;
        held_.push_back(std::move(*place));
    }
    held_.clear();
}

TEST_F(PlacesTest, AConnectionCanComeToCountForAnotherPeer) {
    EXPECT_EQ(enter("pop3", "192.0.2.1"), std::nullopt);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(enter("pop3", "192.0.2.2"), std::nullopt);
    EXPECT_EQ(held_.front().count_for({"192.0.2.2", 1, false}), Limit::peer);
    EXPECT_EQ(held_.front().count_for({"192.0.2.1", 1, false}), std::nullopt) << "it did not stay where it was";
    EXPECT_EQ(held_.front().count_for({"192.0.2.3", 1, false}), std::nullopt);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(enter("pop3", "192.0.2.1"), std::nullopt) << "its old place is not free";
}

}  // namespace
