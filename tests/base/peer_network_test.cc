#include "base/peer_network.h"

#include <gtest/gtest.h>

namespace poplar {
namespace {

TEST(PeerNetwork, IsACustomerAndTheNetworkAround) {
    struct Case {
        std::string_view address, peer, network;
    };
    for (const auto& [address, peer, network] : {Case{"192.0.2.17", "192.0.2.17", "192.0.2.0/24"},
                                                 {"::ffff:192.0.2.17", "192.0.2.17", "192.0.2.0/24"},
                                                 {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"},
                                                 {"2001:db8:1:2:ffff::", "2001:db8:1:2::/64", "2001:db8:1::/48"},
                                                 {"2001:db8:1:3::1", "2001:db8:1:3::/64", "2001:db8:1::/48"},
                                                 {"::1", "::/64", "::/48"},
                                                 {"unix", "unix", "unix"},
                                                 {"", "", ""}}) {
        EXPECT_EQ(peer_key(address), peer) << address;
        EXPECT_EQ(network_key(address), network) << address;
    }
    EXPECT_EQ(peer_key(std::string(10'000, 'x')).size(), 64U);
}

}  // namespace
}  // namespace poplar
