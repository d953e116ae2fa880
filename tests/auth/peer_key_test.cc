#include "auth/peer_key.h"

#include <gtest/gtest.h>

#include <string>

namespace poplar::auth {
namespace {

PeerKey key(std::string_view peer) { return peer_key(peer, false); }

TEST(PeerKey, IsWhatCanNotBeChangedAtWill) {
    EXPECT_EQ(key("2001:db8::1"), key("2001:db8::ffff:1"));
    EXPECT_EQ(key("2001:db8::1%eth0"), key("2001:db8::2"));
    EXPECT_NE(key("2001:db8::1"), key("2001:db8:0:1::1"));
    EXPECT_EQ(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    EXPECT_NE(key("192.0.2.2"), key("192.0.2.1"));
    EXPECT_NE(key("unix"), key("unit"));
    EXPECT_NE(key(""), key("0.0.0.0"));
    EXPECT_NE(key(std::string(100, '1')), key(std::string(101, '1')));
}

TEST(PeerKey, TakesAllOfThisMachineForOne) {
    EXPECT_EQ(peer_key("127.0.0.1", true), peer_key("::1", true));
    EXPECT_EQ(peer_key("127.0.0.1", true), peer_key("unix", true));
    EXPECT_NE(peer_key("127.0.0.1", true), key("192.0.2.1"));
}

TEST(PeerKey, IsStoredAndThereforeStays) {
    EXPECT_EQ(key("192.0.2.1"), 0x0000'ffff'c000'0201u);
    EXPECT_EQ(key("2001:db8:1:2::3"), 0x2001'0db8'0001'0002u);
    EXPECT_EQ(key("unix"), 0xff98'd3e4'855b'9f43u);
    EXPECT_EQ(peer_key("::1", true), 1u);
}

TEST(PeerKey, HasANetwork) {
    EXPECT_EQ(network_of(key("192.0.2.1")), network_of(key("192.0.2.254")));
    EXPECT_NE(network_of(key("192.0.2.1")), network_of(key("192.0.3.1")));
    EXPECT_EQ(network_of(key("2001:db8:1:2::")), network_of(key("2001:db8:1:3::")));
    EXPECT_NE(network_of(key("2001:db8:1::")), network_of(key("2001:db8:2::")));
    EXPECT_NE(network_of(key("unix")), network_of(key("unit")));
    EXPECT_NE(network_of(peer_key("::1", true)), network_of(key("::2")));
}

}  // namespace
}  // namespace poplar::auth
