#include "base/peer_network.h"

#include <gtest/gtest.h>

#include <string>

namespace poplar {
namespace {

TEST(PeerKey, IsACustomerAndHasANetworkAround) {
    struct Case {
        std::string_view one, other;
        bool peers, networks;
    };
    for (auto [one, other, peers, networks] : {Case{"192.0.2.1", "192.0.2.1", true, true},
                                               {"192.0.2.1", "192.0.2.254", false, true},
                                               {"192.0.2.1", "192.0.3.1", false, false},
                                               {"192.0.2.1", "192.0.20.1", false, false},
                                               {"::ffff:192.0.2.1", "192.0.2.1", true, true},
                                               {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true, true},
                                               {"2001:db8:1:2::1", "2001:db8:1:3::1", false, true},
                                               {"2001:db8:1:2::1", "2001:db8:2:2::1", false, false},
                                               {"2001:db8::1%eth0", "2001:db8::2", true, true},
                                               {"192.0.2.1%eth0", "192.0.2.1", true, true},
                                               {"unix", "unix", true, true},
                                               {"unix", "unit", false, false},
                                               {"unix", "::1", false, false},
                                               {"", "0.0.0.0", false, false}}) {
        EXPECT_EQ(peer_key(one) == peer_key(other), peers) << one << " " << other;
        EXPECT_EQ(network_key(one) == network_key(other), networks) << one << " " << other;
    }
    EXPECT_NE(peer_key(std::string(100, '1')), peer_key(std::string(101, '1')));
    EXPECT_EQ(network_of(kThisMachine), kThisMachine);
    EXPECT_NE(network_of(kThisMachine), network_key("::2"));
}

TEST(PeerKey, IsStoredAndThereforeStays) {
    for (auto [address, key] : {std::pair("192.0.2.1", 0x0000'ffff'c000'0201u),
                                {"0.0.0.0", 0x0000'ffff'0000'0000u},
                                {"255.255.255.255", 0x0000'ffff'ffff'ffffu},
                                {"2001:db8:1:2::3", 0x2001'0db8'0001'0002u},
                                {"::1", 0u},
                                {"unix", 0xff98'd3e4'855b'9f43u}})
        EXPECT_EQ(peer_key(address), key) << address;
    EXPECT_EQ(kThisMachine, 1u);
}

TEST(PeerKey, TakesForAnAddressWhatTheSystemDoes) {
    for (std::string_view text : {"192.0.2", "192.0.2.1.1", "192.0.2.256", "192.0.2.01", "192.0.2.", ".192.0.2.1",
                                  "192.0.2.1 ", "192.0.2.+1", "192,0,2,1", "0x7f.0.0.1"})
        EXPECT_GE(peer_key(text), 0xff00'0000'0000'0000u) << text;
}

TEST(PeerKey, IsShownAsText) {
    struct Case {
        std::string_view address, peer, network;
    };
    for (auto [address, peer, network] : {Case{"192.0.2.77", "192.0.2.77", "192.0.2.0/24"},
                                          {"::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0/24"},
                                          {"2001:db8:1:2::3", "2001:db8:1:2::/64", "2001:db8:1::/48"},
                                          {"unix", "unix", "unix"}}) {
        EXPECT_EQ(peer_text(address), peer);
        EXPECT_EQ(network_text(address), network);
    }
}

}  // namespace
}  // namespace poplar
