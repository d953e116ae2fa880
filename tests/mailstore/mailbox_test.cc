// Mailboxes: their names, what is below them, how they go and come back.
#include "mailstore/mailbox_name.h"

#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;

TEST(MailboxName, IsKeptInOneFormWhoeverTypesIt) {
    struct Case {
        std::string typed, kept;
    };
    for (const auto& [typed, kept] : {Case{"Sent", "Sent"},
                                      {"inbox", "INBOX"},
                                      {"iNBoX/Lists", "INBOX/Lists"},
                                      {"Inboxes", "Inboxes"},
                                      {"a/inbox", "a/inbox"},
                                      {"Bu\xcc\x88ro", "B\xc3\xbcro"},
                                      {"B\xc3\xbcro/\xe6\x9d\xb1\xe4\xba\xac", "B\xc3\xbcro/\xe6\x9d\xb1\xe4\xba\xac"},
                                      {" with spaces ", " with spaces "},
                                      {std::string(512, 'x'), std::string(512, 'x')}}) {
        auto name = canonical_name(typed);
        ASSERT_TRUE(name) << typed;
        EXPECT_EQ(*name, kept);
    }
    for (const auto& refused :
         {std::string(), std::string("/"), std::string("a/"), std::string("/a"), std::string("a//b"), std::string("a*"),
          std::string("%"), std::string("a\nb"), std::string("a\0b", 3), std::string("\x7f"), std::string("\xff"),
          std::string("\xe2\x80\xa8"), std::string("\xc3"), std::string(641, 'x')})
        EXPECT_FALSE(canonical_name(refused)) << testing::PrintToString(refused);
    EXPECT_EQ(parent_of("a/b/c"), "a/b");
    EXPECT_EQ(parent_of("a"), "");
}

TEST(SpecialUseName, IsReadAsItIsWritten) {
    for (auto use : {SpecialUse::none, SpecialUse::drafts, SpecialUse::sent, SpecialUse::junk, SpecialUse::trash,
                     SpecialUse::archive})
        EXPECT_EQ(parse_special_use(to_string(use)), use);
    EXPECT_FALSE(parse_special_use("all"));
}

TEST(DefaultMailbox, HasANameAndPerhapsAUse) {
    EXPECT_EQ(parse_default_mailbox("Sent:sent")->use, SpecialUse::sent);
    EXPECT_EQ(parse_default_mailbox("a/b")->name, "a/b");
    for (const auto* wrong : {"", ":sent", "Sent:other", "inbox", "INBOX:sent", "a//b"})
        EXPECT_FALSE(parse_default_mailbox(wrong)) << wrong;
}

using MailboxTest = MailboxFixture;

TEST_F(MailboxTest, AnAccountBeginsWithInboxAlone) {
    EXPECT_EQ(names(), "INBOX");
    const auto inbox = mailbox("inbox");
    EXPECT_EQ(inbox.id, kInbox);
    EXPECT_EQ(inbox.uid_next, Uid(1));
    EXPECT_EQ(engine_.commits(), 0u) << "looking at it writes nothing";
    append("x");
    EXPECT_EQ(mailbox("INBOX").uid_next, Uid(2));
    EXPECT_EQ(mailbox("INBOX").totals.unseen(), 1u);
}

TEST_F(MailboxTest, AreMadeWithThoseAboveThem) {
    add("b/c/d", SpecialUse::archive);
    EXPECT_EQ(names(), "INBOX b b/c b/c/d");
    EXPECT_EQ(mailbox("b/c/d").use, SpecialUse::archive);
    EXPECT_EQ(code_of(run(store_.add_mailbox(kAccount, "b/c"))), Errc::exists);
    EXPECT_EQ(code_of(run(store_.add_mailbox(kAccount, "InBox"))), Errc::exists);
    EXPECT_EQ(code_of(run(store_.add_mailbox(kAccount, "a//b"))), Errc::invalid);
    add("A");
    EXPECT_EQ(names(), "INBOX A b b/c b/c/d");
    expect_sound();
}

TEST_F(MailboxTest, TheDefaultOnesComeWithTheFirstLookAtAnyAndWithNoMail) {
    Options options = options_;
    options.default_mailboxes = {"Sent:sent", "Lists/All"};
    MailStore store(engine_, clock_, options);
    ASSERT_TRUE(run(store.append(kAccount, message("x"))));
    ASSERT_TRUE(run(store.totals(kAccount)));
    ASSERT_TRUE(run(store.open_maildrop(kAccount)));
    EXPECT_EQ(engine_.commits(), 1u);
    const auto sent = run(store.mailbox(kAccount, "Sent"));
    ASSERT_TRUE(sent);
    EXPECT_EQ(sent->use, SpecialUse::sent);
    EXPECT_TRUE(sent->subscribed);
    EXPECT_EQ(engine_.commits(), 2u);
    EXPECT_EQ(run(store.mailboxes(kAccount))->size(), 4u);
    ASSERT_TRUE(run(store.remove_mailbox(kAccount, "Sent", "test")));
    EXPECT_EQ(run(store.mailboxes(kAccount))->size(), 3u) << "what was removed does not come back";
    EXPECT_EQ(code_of(run(store.add_mailbox(AccountId(8), "Sent"))), Errc::exists);
    EXPECT_EQ(run(store.mailboxes(AccountId(8)))->size(), 4u);
    expect_sound();
}

TEST_F(MailboxTest, LookingForOneByWhatSomebodyTypedMakesNone) {
    Options options = options_;
    options.default_mailboxes = {"Junk:junk", "Lists/All"};
    MailStore store(engine_, clock_, options);
    for (const char* text : {"none", "inbox", "INBOX", "", "Lists", "archive"}) {
        const auto found = run(store.find_mailbox(kAccount, text));
        EXPECT_TRUE(found ? found->id == kInbox : found.error().code() == Errc::not_found) << text;
    }
    EXPECT_EQ(engine_.commits(), 0u);
    EXPECT_EQ(code_of(run(store.find_mailbox(kAccount, "none"))), Errc::not_found);
    const auto junk = run(store.find_mailbox(kAccount, "JUNK"));
    ASSERT_TRUE(junk) << "it is there as soon as somebody wants it";
    EXPECT_EQ(junk->name, "Junk");
    EXPECT_EQ(engine_.commits(), 1u);
    EXPECT_TRUE(run(store.find_mailbox(kAccount, "lists/all")));
    EXPECT_EQ(engine_.commits(), 1u);
}

TEST_F(MailboxTest, ARenamedOneKeepsItsIdAndTakesWhatIsBelowWithIt) {
    const auto id = add("work/old/1").id;
    add("work/older");
    append_to("work/old/1", "text");
    EXPECT_TRUE(run(store_.rename_mailbox(kAccount, "work/old", "Archive/2026")));
    EXPECT_EQ(names(), "INBOX Archive Archive/2026 Archive/2026/1 work work/older");
    EXPECT_EQ(mailbox("Archive/2026/1").id, id);
    EXPECT_EQ(mailbox("Archive/2026/1").totals.messages, 1u);
    EXPECT_EQ(code_of(run(store_.mailbox(kAccount, "work/old"))), Errc::not_found);
    EXPECT_EQ(code_of(run(store_.rename_mailbox(kAccount, "work", "work/x"))), Errc::invalid);
    EXPECT_EQ(code_of(run(store_.rename_mailbox(kAccount, "work", "Archive"))), Errc::exists);
    EXPECT_EQ(code_of(run(store_.rename_mailbox(kAccount, "none", "x"))), Errc::not_found);
    EXPECT_EQ(code_of(run(store_.rename_mailbox(kAccount, "inbox", "x"))), Errc::denied);
    EXPECT_EQ(code_of(run(store_.rename_mailbox(kAccount, "work", std::string(510, 'x')))), Errc::invalid);
    expect_sound();
}

TEST_F(MailboxTest, OneThatTakesANameAgainIsAnotherMailbox) {
    const auto before = add("x");
    append_to("x", "old");
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "x", "test")));
    const auto after = add("x");
    EXPECT_NE(after.id, before.id);
    EXPECT_GT(after.uid_validity, before.uid_validity);
    EXPECT_EQ(after.totals.messages, 0u);
    expect_sound();
}

TEST_F(MailboxTest, ThoseThatGoLeaveTheirMessagesInTheRetainedArea) {
    add("x/y");
    auto message = append_to("x", "text");
    append_to("x/y", "below");
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "x", "imap")));
    EXPECT_EQ(names(), "INBOX x/y") << "what is below stays";
    EXPECT_EQ(code_of(run(store_.remove_mailbox(kAccount, "x", "imap"))), Errc::not_found);
    EXPECT_EQ(code_of(run(store_.remove_mailbox(kAccount, "INBOX", "imap"))), Errc::denied);
    auto retained = run(store_.list_retained(kAccount, 0, 10));
    ASSERT_EQ(retained->size(), 1u);
    EXPECT_EQ(retained->front().mailbox, "x");
    EXPECT_EQ(retained->front().reason, "imap");
    EXPECT_EQ(bytes(message), "Delivered-To: x\r\ntext");
    expect_sound();
    auto restored = run(store_.restore(kAccount, message.unique_id));
    ASSERT_TRUE(restored) << restored.error().detail();
    EXPECT_EQ(names(), "INBOX x x/y") << "made again";
    EXPECT_EQ(restored->mailbox, mailbox("x").id);
    EXPECT_EQ(ids("x"), message.unique_id);
    EXPECT_EQ(run(store_.find(kAccount, message.unique_id))->unique_id, message.unique_id);
    expect_sound();
}

TEST_F(MailboxTest, ALargeOneGoesAtOnceAndItsMessagesInBoundedCommits) {
    options_.commit_messages = 10;
    MailStore store(engine_, clock_, options_);
    const auto big = add("big");
    for (int i = 0; i < 35; ++i) append_to("big", "text " + std::to_string(i));
    engine_.fail_commits_after(2, Errc::io);
    EXPECT_EQ(code_of(run(store.remove_mailbox(kAccount, "big", "test"))), Errc::io);
    engine_.fail_next_commits(0, Errc::io);
    EXPECT_EQ(names(), "INBOX") << "it is gone whatever came after";
    expect_sound();
    EXPECT_EQ(run(store.totals(kAccount))->messages, 15u);
    EXPECT_EQ(code_of(run(store.append(kAccount, to(big.id, "late")))), Errc::not_found);
    add("big");
    ASSERT_TRUE(run(store.expire(kAccount, clock_.now()))) << "the next round goes on";
    EXPECT_EQ(run(store.totals(kAccount))->messages, 0u);
    EXPECT_EQ(run(store.totals(kAccount))->retained_messages, 35u);
    expect_sound();
}

TEST_F(MailboxTest, AreSubscribedAndGivenAUse) {
    add("x");
    ASSERT_TRUE(run(store_.set_subscription(kAccount, "x", Subscription::yes)));
    ASSERT_TRUE(run(store_.set_subscription(kAccount, "inbox", Subscription::yes)));
    ASSERT_TRUE(run(store_.set_use(kAccount, "x", SpecialUse::junk)));
    EXPECT_TRUE(mailbox("x").subscribed && mailbox("INBOX").subscribed);
    EXPECT_EQ(mailbox("x").use, SpecialUse::junk);
    const auto commits = engine_.commits();
    ASSERT_TRUE(run(store_.set_subscription(kAccount, "x", Subscription::yes)));
    EXPECT_EQ(engine_.commits(), commits) << "it is already";
    ASSERT_TRUE(run(store_.set_subscription(kAccount, "x", Subscription::no)));
    EXPECT_FALSE(mailbox("x").subscribed);
    EXPECT_EQ(code_of(run(store_.set_use(kAccount, "INBOX", SpecialUse::junk))), Errc::denied);
    EXPECT_EQ(code_of(run(store_.set_subscription(kAccount, "y", Subscription::yes))), Errc::not_found);
    expect_sound();
}

TEST_F(MailboxTest, ThereAreAsManyAsTheOptionsSay) {
    options_.mailboxes = 3;
    MailStore store(engine_, clock_, options_);
    ASSERT_TRUE(run(store.add_mailbox(kAccount, "a")));
    EXPECT_EQ(code_of(run(store.add_mailbox(kAccount, "b/c/d"))), Errc::too_large);
    EXPECT_EQ(names(), "INBOX a") << "all or nothing";
    ASSERT_TRUE(run(store.add_mailbox(kAccount, "b/c")));
    EXPECT_EQ(code_of(run(store.add_mailbox(kAccount, "d"))), Errc::too_large);
    expect_sound();
}

TEST_F(MailboxTest, TenThousandAreListedAndRenamedTogether) {
    for (int i = 0; i < 9'998; ++i) ASSERT_TRUE(run(store_.add_mailbox(kAccount, "all/" + std::to_string(i))));
    EXPECT_EQ(run(store_.mailboxes(kAccount))->size(), 10'000u);
    const auto commits = engine_.commits();
    ASSERT_TRUE(run(store_.rename_mailbox(kAccount, "all", "every")));
    EXPECT_EQ(engine_.commits(), commits + 1);
    EXPECT_EQ(mailbox("every/9997").name, "every/9997");
    expect_sound();
}

TEST_F(MailboxTest, AClosedAccountHasNoMoreMade) {
    append("x");
    ASSERT_TRUE(run(store_.close(kAccount)));
    EXPECT_EQ(code_of(run(store_.add_mailbox(kAccount, "a"))), Errc::not_found);
    EXPECT_EQ(names(), "INBOX");
}

TEST_F(MailboxTest, APurgeLeavesNothingOfThem) {
    add("x", SpecialUse::junk);
    append_to("x", "one");
    auto two = append_to("x", "two");
    ASSERT_TRUE(run(store_.copy(kAccount, mailbox("x").id, {uid_of(two)}, kInbox)));
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_TRUE(run(engine_.scan(kAccount, {std::string(1, '\0'), "\xff"}, 10))->empty());
    EXPECT_EQ(engine_.body_count(kAccount), 0u);
    EXPECT_EQ(names(), "INBOX");
}

}  // namespace
}  // namespace poplar::mailstore
