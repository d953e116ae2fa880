// Old mail moves to mailboxes whose names have its time in them.
#include "upkeep/archive.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::upkeep {
namespace {

using test::run;

class ArchiveTest : public testing::Test, public ArchiveWatcher {
protected:
    Task<Result<>> on_moved(ArchiveTotals) override {
        ++told_;
        if (breaks_off_) co_return fail(Errc::cancelled, "nobody listens any more");
        co_return Result<>();
    }
    void append(std::chrono::days ago) {
        mailstore::NewMessage message;
        message.head = "Subject: x\r\n\r\n";
        message.received = clock_.now() - ago;
        ASSERT_TRUE(run(store_.append(kAccount, std::move(message))));
    }
    Result<ArchiveTotals> archive(std::string to, std::chrono::days older = std::chrono::days(365)) {
        return run(archive_mail(store_, kAccount, {"INBOX", std::move(to), older}, clock_.now(), *this));
    }
    std::uint64_t in(const std::string& name) {
        auto found = run(store_.mailbox(kAccount, name));
        return found ? found->totals.messages : 0;
    }

    static constexpr mailstore::AccountId kAccount{7};
    test::ManualClock clock_;
    test::MemoryEngine engine_;
    mailstore::MailStore store_{engine_, clock_, {}};
    int told_ = 0;
    bool breaks_off_ = false;
};

TEST_F(ArchiveTest, NamesHaveTheTimeOfTheArrival) {
    const auto time = Timestamp(std::chrono::sys_days(std::chrono::year(2025) / 3 / 9) + std::chrono::hours(23));
    struct Case {
        std::string_view to, name;
    };
    for (const auto& [to, name] : {Case{"Archive/{year}", "Archive/2025"},
                                   {"{year}-{month}-{day}", "2025-03-09"},
                                   {"Old", "Old"},
                                   {"a{year}{year}", "a20252025"},
                                   {"{years}", "!"},
                                   {"{year", "!"},
                                   {"", "!"},
                                   {"/{year}", "!"}}) {
        const auto found = archive_name(to, time);
        EXPECT_EQ(found ? *found : "!", name) << to;
    }
}

TEST_F(ArchiveTest, OldMailMovesAndYoungMailStays) {
    for (const int ago : {800, 10, 400, 366, 364, 0}) append(std::chrono::days(ago));
    const auto done = archive("Archive/{year}");
    ASSERT_TRUE(done) << done.error().detail();
    EXPECT_EQ(done->moved, 3u);
    EXPECT_EQ(in("INBOX"), 3u);
    EXPECT_GE(done->mailboxes, 2u);
    EXPECT_EQ(archive("Archive/{year}")->moved, 0u) << "there is nothing left to do";
    EXPECT_TRUE(run(store_.check(kAccount)));
}

TEST_F(ArchiveTest, ItGoesOnWhereItBrokeOff) {
    for (int n = 0; n < 10; ++n) append(std::chrono::days(400 + 400 * (n % 3)));
    breaks_off_ = true;
    EXPECT_EQ(archive("{year}").error().code(), Errc::cancelled);
    EXPECT_LT(in("INBOX"), 10u);
    breaks_off_ = false;
    ASSERT_TRUE(archive("{year}"));
    EXPECT_EQ(in("INBOX"), 0u);
}

TEST_F(ArchiveTest, AnyMailIsFoundWhateverItsOrderAndNumber) {
    for (int n = 0; n < 1203; ++n) append(std::chrono::days(n % 2 == 0 ? 400 : 1));
    EXPECT_EQ(archive("Old")->moved, 602u);
    EXPECT_EQ(in("Old"), 602u);
    EXPECT_EQ(archive("INBOX")->moved, 0u) << "to where it is already";
}

TEST_F(ArchiveTest, RefusesWhatCanNotBe) {
    append(std::chrono::days(400));
    EXPECT_EQ(archive("{x}").error().code(), Errc::invalid);
    const auto nowhere = run(archive_mail(store_, kAccount, {"None", "Old", {}}, clock_.now(), *this));
    EXPECT_EQ(nowhere.error().code(), Errc::not_found);
    EXPECT_EQ(in("INBOX"), 1u);
}

}  // namespace
}  // namespace poplar::upkeep
