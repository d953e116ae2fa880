#include "outbound/route.h"

#include <gtest/gtest.h>

namespace poplar::outbound {
namespace {

using namespace std::chrono_literals;

TEST(Routes, TheFirstThatFitsIsTaken) {
    Options options;
    auto add = [&](std::string domain, std::string sender, std::string host) {
        Route route;
        route.domain = std::move(domain);
        route.sender = std::move(sender);
        route.host = std::move(host);
        options.routes.push_back(std::move(route));
    };
    add("x.test", "", "a");
    add(".x.test", "", "b");
    add("*", "jane@y.test", "c");
    add("*", "y.test", "d");
    add("z.test", "", "e");
    auto host = [&](std::string_view domain, std::string_view sender) {
        const auto* route = find_route(options, domain, sender);
        return route ? route->host : "-";
    };
    EXPECT_EQ(host("x.test", "jane@y.test"), "a");
    EXPECT_EQ(host("X.TEST", ""), "a");
    EXPECT_EQ(host("sub.x.test", ""), "b");
    EXPECT_EQ(host("ax.test", ""), "-");
    EXPECT_EQ(host("w.test", "jane@y.test"), "c");
    EXPECT_EQ(host("w.test", "joe@y.test"), "d");
    EXPECT_EQ(host("w.test", "joe@sub.y.test"), "-");
    EXPECT_EQ(host("w.test", ""), "-") << "the null sender is of no domain";
    EXPECT_EQ(host("z.test", ""), "e");
}

TEST(Routes, AHostMayHaveAPort) {
    struct Case {
        std::string_view text, host;
        std::uint16_t port;
    };
    for (auto [text, host, port] : {Case{"relay.example", "relay.example", 25},
                                    {"relay.example:587", "relay.example", 587},
                                    {"192.0.2.1:2525", "192.0.2.1", 2525},
                                    {"[2001:db8::1]:26", "2001:db8::1", 26},
                                    {"[2001:db8::1]", "2001:db8::1", 25},
                                    {"2001:db8::1", "2001:db8::1", 25}}) {
        auto parsed = parse_host(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(parsed->host, host);
        EXPECT_EQ(parsed->port, port) << text;
    }
    for (const char* text : {"", "relay.example:", "relay.example:0", "relay.example:x", "relay.example:65536", "[::1",
                             "[::1]x", "a b", "me@relay.example"})
        EXPECT_FALSE(parse_host(text)) << text;
}

TEST(Retries, WaitsFollowTheListAndStayAtItsEnd) {
    Options options;
    options.retry = {"8m", "16m"};
    EXPECT_EQ(wait_after(options, 1, 0), 7min);
    EXPECT_EQ(wait_after(options, 1, 60'000), 8min);
    EXPECT_EQ(wait_after(options, 1, 120'000), 9min);
    EXPECT_EQ(wait_after(options, 2, 0), 14min);
    EXPECT_EQ(wait_after(options, 99, 0), 14min);
    for (std::uint64_t chance : {1u, 77u, 4'000'000'000u}) {
        EXPECT_GE(wait_after(options, 1, chance), 7min);
        EXPECT_LE(wait_after(options, 1, chance), 9min);
    }
    options.retry.clear();
    EXPECT_GT(wait_after(options, 1, 0), 10min);
}

}  // namespace
}  // namespace poplar::outbound
