#include "directory/outside/known.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"

namespace poplar::directory::outside {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct KnownAddresses : testing::Test {
    test::ManualClock clock;
    Known known{clock, minutes(5), hours(12), 100};
    const std::string jane = "jane@example.org";
    Digest digest(std::string_view password) const { return known.digest(jane, password); }
    void there(std::string credential = "") { known.note(jane, {.exists = true, .credential = std::move(credential)}); }
};

TEST_F(KnownAddresses, AreFreshForATimeAndThenGoodInAnOutage) {
    EXPECT_FALSE(known.find(jane));
    there("{PLAIN}x");
    EXPECT_TRUE(known.find(jane)->fresh);
    clock.advance(minutes(5));
    ASSERT_TRUE(known.find(jane));
    EXPECT_FALSE(known.find(jane)->fresh);
    EXPECT_EQ(known.find(jane)->credential, "{PLAIN}x");
    clock.advance(hours(12) - minutes(5));
    EXPECT_FALSE(known.find(jane));
}

TEST_F(KnownAddresses, ThatAreNotThereAreForgottenWhenNoLongerFresh) {
    known.note(jane, {});
    ASSERT_TRUE(known.find(jane));
    EXPECT_FALSE(known.find(jane)->exists);
    clock.advance(minutes(5));
    EXPECT_FALSE(known.find(jane));
}

TEST_F(KnownAddresses, AClockThatWasSetBackMakesThemWorthNothing) {
    there();
    clock.advance(-seconds(1));
    EXPECT_FALSE(known.find(jane));
}

TEST_F(KnownAddresses, RememberPasswords) {
    EXPECT_FALSE(known.note(jane, digest("early"), true)) << "the source was never asked";
    there();
    EXPECT_TRUE(known.note(jane, digest("right"), true));
    EXPECT_FALSE(known.note(jane, digest("wrong"), false));
    EXPECT_EQ(known.remembers(jane, digest("right"), Known::Age::fresh), Known::Memory::right);
    EXPECT_EQ(known.remembers(jane, digest("wrong"), Known::Age::fresh), Known::Memory::wrong);
    EXPECT_EQ(known.remembers(jane, digest("other"), Known::Age::fresh), Known::Memory::none);
    clock.advance(minutes(5));
    EXPECT_EQ(known.remembers(jane, digest("right"), Known::Age::fresh), Known::Memory::none);
    EXPECT_EQ(known.remembers(jane, digest("wrong"), Known::Age::stale), Known::Memory::none);
    EXPECT_EQ(known.remembers(jane, digest("right"), Known::Age::stale), Known::Memory::right);
    clock.advance(hours(12));
    EXPECT_EQ(known.remembers(jane, digest("right"), Known::Age::stale), Known::Memory::none);
}

TEST_F(KnownAddresses, APasswordThatIsRefusedNowIsNotRightInAnOutage) {
    there();
    known.note(jane, digest("old"), true);
    known.note(jane, digest("typo"), false);
    EXPECT_EQ(known.remembers(jane, digest("old"), Known::Age::stale), Known::Memory::right);
    known.note(jane, digest("old"), false);
    clock.advance(minutes(6));
    EXPECT_EQ(known.remembers(jane, digest("old"), Known::Age::stale), Known::Memory::none);
}

TEST_F(KnownAddresses, AreKeptOverARestart) {
    there();
    auto due = known.take_due();
    ASSERT_EQ(due.size(), 1u);
    ASSERT_TRUE(due[0].kept);
    EXPECT_FALSE(due[0].kept->password);
    EXPECT_FALSE(due[0].password_known) << "a password that is stored already stays";
    EXPECT_TRUE(known.take_due().empty());

    known.note(jane, digest("right"), true);
    known.keep(jane, digest("another"), {});
    EXPECT_TRUE(known.take_due().empty()) << "made of a password that is not the last one";
    known.keep(jane, digest("right"), {});
    due = known.take_due();
    ASSERT_EQ(due.size(), 1u);
    EXPECT_TRUE(due[0].kept->password && due[0].password_known);
    EXPECT_FALSE(known.note(jane, digest("right"), true)) << "no second slow hash for the same password";

    there();
    EXPECT_TRUE(known.take_due().empty()) << "it was written a moment ago";
    clock.advance(hours(1));
    there();
    EXPECT_EQ(known.take_due().size(), 1u);

    known.note(jane, {});
    due = known.take_due();
    ASSERT_EQ(due.size(), 1u);
    EXPECT_FALSE(due[0].kept);
}

TEST_F(KnownAddresses, OfStrangersPushOutTheOldest) {
    there();
    for (int i = 0; i < 99; ++i) known.note("x" + std::to_string(i) + "@example.org", {});
    EXPECT_TRUE(known.find(jane));
    for (int i = 0; i < 99; ++i) known.note("y" + std::to_string(i) + "@example.org", {});
    EXPECT_TRUE(known.find(jane)) << "used lately";
    for (int i = 0; i < 100; ++i) known.note("z" + std::to_string(i) + "@example.org", {});
    EXPECT_FALSE(known.find(jane));
    EXPECT_TRUE(known.take_due().empty());
}

}  // namespace
}  // namespace poplar::directory::outside
