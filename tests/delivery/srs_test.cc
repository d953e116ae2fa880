// Senders of mail that goes on: what is wrapped comes back, and nobody else can make one.
#include "delivery/srs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace poplar::delivery {
namespace {

constexpr Timestamp kNow{std::chrono::seconds(1'800'000'000)};

ForwardOptions options(std::string secret = "a secret of some length") {
    ForwardOptions out;
    out.srs_domain = "fwd.example.test";
    out.srs_secret = std::move(secret);
    return out;
}

std::string unwrapped(const Srs& srs, const std::string& address, Timestamp now = kNow) {
    auto parsed = mail::parse_address(address, mail::Grammar::tolerant);
    if (!parsed) return "no address";
    auto sender = srs.unwrap(*parsed, now);
    return sender ? *sender : sender.error().detail();
}

TEST(Srs, WrappedSenderComesBack) {
    const auto own = options();
    const Srs srs(own);
    for (const std::string sender : {"ann@elsewhere.test", "a+b=c@elsewhere.test", "SRS0@elsewhere.test"}) {
        const auto wrapped = srs.wrap(sender, kNow);
        EXPECT_TRUE(wrapped.starts_with("SRS0=") && wrapped.ends_with("@fwd.example.test")) << wrapped;
        EXPECT_EQ(unwrapped(srs, wrapped), sender);
        std::string shouted;
        for (const char c : wrapped) shouted += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        EXPECT_EQ(unwrapped(srs, shouted).size(), sender.size()) << "a server changed the case: " << shouted;
    }
}

TEST(Srs, SenderOfAnotherServersIsShortened) {
    const auto own = options();
    const Srs srs(own);
    const auto once = srs.wrap("SRS0=aaaa=bb=elsewhere.test=ann@first.test", kNow);
    EXPECT_TRUE(once.starts_with("SRS1=")) << once;
    EXPECT_EQ(unwrapped(srs, once), "SRS0=aaaa=bb=elsewhere.test=ann@first.test");
    const auto twice = srs.wrap("SRS1=cccc=first.test==aaaa=bb=elsewhere.test=ann@second.test", kNow);
    EXPECT_EQ(unwrapped(srs, twice), "SRS0=aaaa=bb=elsewhere.test=ann@first.test") << "straight to the first";
}

TEST(Srs, OneKindIsNotTheOther) {
    const auto own = options();
    const Srs srs(own);
    auto wrapped = srs.wrap("ann@elsewhere.test", kNow);
    wrapped[3] = '1';
    EXPECT_EQ(unwrapped(srs, wrapped), "the forwarded address was not made here");
}

TEST(Srs, StaysAsItIs) {
    const auto own = options();
    const Srs srs(own);
    const std::string longest = std::string(60, 'x') + "@elsewhere.test";
    for (const std::string& sender :
         {std::string(), std::string("SRS0=x=y=z=a@fwd.example.test"), longest, std::string("\"a b\"@elsewhere.test")})
        EXPECT_EQ(srs.wrap(sender, kNow), sender);
    const ForwardOptions off;
    EXPECT_EQ(Srs(off).wrap("ann@elsewhere.test", kNow), "ann@elsewhere.test");
}

TEST(Srs, RefusesWhatWasNotMadeHereOrTooLongAgo) {
    const auto own = options(), others = options("another secret of some length");
    const Srs srs(own);
    const std::string bad = "the forwarded address was not made here";
    const auto wrapped = srs.wrap("ann@elsewhere.test", kNow);
    auto forged = wrapped;
    forged.replace(forged.find("=ann"), 4, "=eve");
    EXPECT_EQ(unwrapped(srs, forged), bad);
    EXPECT_EQ(unwrapped(srs, Srs(others).wrap("ann@elsewhere.test", kNow)), bad);
    for (const std::string rest : {"SRS0=", "SRS0=a", "SRS0=a=b", "SRS0=a=b=c", "SRS1=", "SRS1=a=b", "ann"})
        EXPECT_EQ(unwrapped(srs, rest + "@fwd.example.test"), bad) << rest;
    EXPECT_EQ(unwrapped(srs, wrapped, kNow + std::chrono::days(21)), "ann@elsewhere.test");
    EXPECT_EQ(unwrapped(srs, wrapped, kNow + std::chrono::days(22)), "the forwarded address is too old");
}

TEST(Srs, SecretIsMadeOnceAndForItsOwnerAlone) {
    const test::TempDir directory;
    const auto file = directory.path().string() + "/secret";
    const auto made = read_srs_secret(file);
    ASSERT_TRUE(made);
    EXPECT_GE(made->size(), 32u);
    EXPECT_EQ(read_srs_secret(file).value(), *made);
    struct stat found{};
    ASSERT_EQ(stat(file.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600u);
    std::ofstream(file) << "short\n";
    EXPECT_EQ(read_srs_secret(file).error().code(), Errc::invalid);
    EXPECT_EQ(read_srs_secret(directory.path().string() + "/none/secret").error().code(), Errc::io);
}

}  // namespace
}  // namespace poplar::delivery
