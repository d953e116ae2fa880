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
    EXPECT_EQ(known.remembers(jane, digest("wrong"), Known::Age::fresh), Known::Memory::none);
    EXPECT_EQ(known.remembers(jane, digest("wrong"), Known::Age::stale), Known::Memory::wrong);
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
    EXPECT_EQ(known.remembers(jane, digest("old"), Known::Age::stale), Known::Memory::wrong);
}

TEST_F(KnownAddresses, ACredentialThatIsReplacedTakesItsPasswordAlong) {
    there("{PLAIN}old");
    known.note(jane, digest("old"), true, "{PLAIN}old");
    known.keep(jane, digest("old"), {});
    known.note(jane, digest("new"), false, "{PLAIN}old");
    ASSERT_TRUE(known.take_due().at(0).kept->password);
    there("{PLAIN}old");
    EXPECT_TRUE(known.take_due().empty());
    there("{PLAIN}new");
    for (auto age : {Known::Age::fresh, Known::Age::stale})
        for (auto password : {"old", "new"})
            EXPECT_EQ(known.remembers(jane, digest(password), age), Known::Memory::none) << password;
    const auto due = known.take_due();
    ASSERT_EQ(due.size(), 1u);
    EXPECT_TRUE(due[0].password_known && !due[0].kept->password) << "neither in the store";
}

TEST_F(KnownAddresses, APasswordThatWasComparedWithAnOldCredentialIsNotNoted) {
    there("{PLAIN}old");
    there("{PLAIN}new");  // while the hash was made
    EXPECT_FALSE(known.note(jane, digest("old"), true, "{PLAIN}old"));
    known.note(jane, digest("new"), false, "{PLAIN}old");
    EXPECT_EQ(known.remembers(jane, digest("old"), Known::Age::stale), Known::Memory::none);
    EXPECT_EQ(known.remembers(jane, digest("new"), Known::Age::stale), Known::Memory::none);
}

TEST_F(KnownAddresses, APasswordThatReplacesAnotherDropsWhatIsKeptOfThat) {
    there();
    known.note(jane, digest("old"), true);
    known.keep(jane, digest("old"), {});
    EXPECT_EQ(known.take_due().size(), 1u);
    EXPECT_TRUE(known.note(jane, digest("new"), true));
    const auto due = known.take_due();
    ASSERT_EQ(due.size(), 1u);
    EXPECT_TRUE(due[0].password_known && !due[0].kept->password) << "before the new one's slow hash is made";
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
    due = known.take_due();
    ASSERT_EQ(due.size(), 1u) << "what an earlier life has stored may be another password";
    EXPECT_TRUE(due[0].password_known);
    EXPECT_FALSE(due[0].kept->password) << "made of a password that is not the last one";
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

TEST_F(KnownAddresses, ThatAreNotThereHaveAQuarterAndPushOutNoneThatIs) {
    there();
    for (int i = 0; i < 1000; ++i) known.note("x" + std::to_string(i) + "@example.org", {});
    EXPECT_TRUE(known.find(jane));
    EXPECT_FALSE(known.find("x974@example.org"));
    EXPECT_TRUE(known.find("x975@example.org"));
    known.note("x975@example.org", {.exists = true});
    for (int i = 0; i < 25; ++i) known.note("y" + std::to_string(i) + "@example.org", {});
    EXPECT_TRUE(known.find("x975@example.org")) << "it is there now";
}

TEST_F(KnownAddresses, PushOutTheOldestOfTheirKindWhichIsWrittenAllTheSame) {
    auto note_others = [&](int from) {
        for (int i = from; i < from + 74; ++i) known.note(std::to_string(i) + "@example.org", {.exists = true});
    };
    there();
    note_others(0);
    EXPECT_TRUE(known.find(jane)) << "and used lately";
    note_others(100);
    EXPECT_TRUE(known.find(jane));
    (void)known.take_due();
    known.note(jane, {});
    for (int i = 0; i < 25; ++i) known.note("x" + std::to_string(i) + "@example.org", {});
    EXPECT_FALSE(known.find(jane));
    auto due = known.take_due();
    ASSERT_EQ(due.size(), 1u);
    EXPECT_EQ(due[0].address, jane);
    EXPECT_FALSE(due[0].kept) << "it is gone, and so is its record";
    EXPECT_TRUE(known.take_due().empty());
    known.put_back(std::move(due[0]));
    ASSERT_EQ(known.take_due().size(), 1u) << "it could not be written before";
    there();
    there();
    EXPECT_EQ(known.take_due().size(), 1u);
    known.drop_record("long-gone@example.org");
    ASSERT_EQ(known.take_due().size(), 1u);
}

}  // namespace
}  // namespace poplar::directory::outside
