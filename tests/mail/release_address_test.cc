// Addresses that bring mail back from junk.
#include "mail/release_address.h"

#include <gtest/gtest.h>

namespace poplar::mail {
namespace {

constexpr std::string_view kToken = "0123456789abcdefghjkmnpqrs";

TEST(ReleaseAddress, IsReadBack) {
    for (const std::size_t number : {0u, 1u, 30u, 999u}) {
        const auto address = release_address("jane.doe@example.org", '+', kToken, number);
        EXPECT_EQ(parse_release_address(address), (Release{std::string(kToken), number})) << address;
    }
    EXPECT_EQ(release_address("jane@example.org", '-', kToken, 3),
              "jane-release-0123456789abcdefghjkmnpqrs-3@example.org");
    EXPECT_TRUE(parse_release_address("Jane+RELEASE-0123456789ABCDEFGHJKMNPQRS@example.org"));
}

TEST(ReleaseAddress, AnyOtherIsNone) {
    const std::string token(kToken);
    for (const auto& address : std::initializer_list<std::string>{
             std::string(), std::string("jane@example.org"), std::string("release-@x"), "release-" + token + "@x",
             "+release-" + token + "@x", "jane+release-" + token.substr(1) + "@x", "jane+release-" + token + "x@x",
             "jane+release-" + token + "-@x", "jane+release-" + token + "-0@x", "jane+release-" + token + "-1000@x",
             "jane+release-" + token + "-1a@x", "jane+release-" + token + "--1@x", "jane+release-" + token + "+1@x",
             "jane+releas-" + token + "@x", "jane+release-012345678.abcdefghjkmnpqrs@x"})
        EXPECT_FALSE(parse_release_address(address)) << address;
}

}  // namespace
}  // namespace poplar::mail
