// POP's maildrops of other mailboxes than INBOX, of several together, and of accounts that keep what all have deleted.
#include "base/steady.h"
#include "base/turn.h"
#include "mailstore/keys.h"
#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;

class MailboxMaildropTest : public MailboxFixture {
protected:
    static constexpr ViewId kLaptop{8}, kPhone{9};

    MailboxMaildropTest() : junk_(add("Junk", SpecialUse::junk).id), lists_(add("Lists/asio").id) {}

    Message deliver(MailboxId id, const std::string& unique_id) {
        auto fresh = to(id, "x " + unique_id);
        fresh.unique_id = unique_id;
        auto done = run(store_.append(kAccount, std::move(fresh)));
        EXPECT_TRUE(done) << (done ? "" : done.error().detail());
        clock_.advance(std::chrono::seconds(1));
        return done ? *done : Message();
    }
    void make_views(ViewId view, const std::vector<MailboxId>& mailboxes) {
        for (auto id : mailboxes) ASSERT_TRUE(run(store_.make_view(kAccount, {view, id}, kFromTheFirst)));
    }
    std::unique_ptr<Maildrop> open(WantedMaildrop wanted) {
        auto maildrop = run(store_.open_maildrop(kAccount, std::move(wanted)));
        EXPECT_TRUE(maildrop) << (maildrop ? "" : maildrop.error().detail());
        return maildrop ? std::move(*maildrop) : nullptr;
    }
    /// The unique-ids, after the counts were held against them.
    std::string ids_of(Maildrop& maildrop) {
        const auto counted = maildrop.message_count(), octets = maildrop.octets();
        auto list = run(maildrop.messages());
        EXPECT_TRUE(list) << (list ? "" : list.error().detail());
        if (!list) return "";
        std::string text;
        std::uint64_t sum = 0;
        for (const auto& one : **list) {
            text += (text.empty() ? "" : " ") + one.unique_id;
            sum += one.octets;
        }
        EXPECT_EQ(counted, (*list)->size());
        EXPECT_EQ(octets, sum);
        EXPECT_NE(maildrop.version(), nullptr);
        return text;
    }
    std::string shown(WantedMaildrop wanted) { return ids_of(*open(std::move(wanted))); }
    void remove(WantedMaildrop wanted, std::vector<std::uint32_t> numbers) {
        auto done = run(open(std::move(wanted))->remove(std::move(numbers)));
        EXPECT_TRUE(done) << (done ? "" : done.error().detail());
    }
    Errc error_of(WantedMaildrop wanted) { return code_of(run(store_.open_maildrop(kAccount, std::move(wanted)))); }
    std::string found(const std::string& text) {
        auto mailbox = run(store_.find_mailbox(kAccount, text));
        return mailbox ? mailbox->name : std::string(to_string(mailbox.error().code()));
    }
    static WantedMaildrop classic(std::vector<MailboxId> mailboxes) { return {kClassicView, std::move(mailboxes)}; }

    MailboxId junk_, lists_;
};

TEST_F(MailboxMaildropTest, AMailboxIsFoundAsPeopleTypeIt) {
    add("Ärger");
    add("sent");
    add("Gesendet", SpecialUse::sent);
    add("Papierkorb", SpecialUse::trash);
    add("A", SpecialUse::none);
    add("a", SpecialUse::none);
    const std::pair<const char*, const char*> cases[] = {
        {"Junk", "Junk"},
        {"junk", "Junk"},
        {"JUNK", "Junk"},
        {"lists/ASIO", "Lists/asio"},
        {"LISTS", "Lists"},
        {"\xc3\xa4RGER", "Ärger"},
        {"inbox", "INBOX"},
        {"TRASH", "Papierkorb"},
        {"Sent", "sent"},
        {"A", "A"},
        {"a", "a"},
        {"", "not_found"},
        {"none", "not_found"},
        {"junk/", "not_found"},
        {"archive", "not_found"},
        {"\xff", "not_found"},
        {"INBOX/x", "not_found"},
        {" junk", "not_found"},
    };
    for (auto [text, name] : cases) EXPECT_EQ(found(text), name) << '"' << text << '"';
}

TEST_F(MailboxMaildropTest, IsOneOfItsOwn) {
    deliver(kInbox, "i1");
    deliver(junk_, "j1");
    deliver(junk_, "j2");
    auto junk = open(classic({junk_})), inbox = open({});
    EXPECT_EQ(error_of(classic({junk_})), Errc::busy);
    EXPECT_EQ(ids_of(*junk), "j1 j2");
    EXPECT_EQ(ids_of(*inbox), "i1");
    EXPECT_EQ(read(run(junk->open((**run(junk->messages()))[1]))), "Delivered-To: x\r\nx j2");
    ASSERT_TRUE(run(junk->remove({1})));
    EXPECT_EQ(live(), "i1");
    EXPECT_EQ(ids("Junk"), "j2");
    const auto gone = *run(store_.list_retained(kAccount, 0, 10));
    ASSERT_EQ(gone.size(), 1u);
    EXPECT_EQ(gone[0].mailbox, "Junk");
    EXPECT_EQ(gone[0].reason, "pop3");
    junk.reset();
    ASSERT_TRUE(run(store_.restore(kAccount, "j1")));
    EXPECT_EQ(shown(classic({junk_})), "j1 j2") << "at its old place, with its old unique-id";
    expect_sound();
}

TEST_F(MailboxMaildropTest, OfAMailboxThatIsGoneThereIsNone) {
    auto open_still = open(classic({junk_}));
    deliver(junk_, "j1");
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "Junk", "imap")));
    EXPECT_EQ(error_of(classic({junk_})), Errc::busy);
    open_still.reset();
    EXPECT_EQ(error_of(classic({junk_})), Errc::not_found);
    EXPECT_EQ(error_of(classic({MailboxId(77)})), Errc::not_found);
    EXPECT_EQ(error_of(classic({junk_, MailboxId(77)})), Errc::not_found);
    EXPECT_EQ(code_of(run(store_.make_view(kAccount, {kLaptop, junk_}, kFromTheFirst))), Errc::not_found);
    EXPECT_EQ(shown(classic({kInbox, junk_})), "") << "what is left of several";
}

TEST_F(MailboxMaildropTest, ASessionWhoseMailboxIsRemovedDeletesNothingTwice) {
    deliver(junk_, "j1");
    auto junk = open(classic({junk_}));
    EXPECT_EQ(ids_of(*junk), "j1");
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "Junk", "imap")));
    EXPECT_TRUE(run(junk->remove({1}))) << "it is gone already";
    EXPECT_EQ(retained(), "j1");
    expect_sound();
}

TEST_F(MailboxMaildropTest, EachMailboxHasViewsOfItsOwn) {
    for (auto name : {"j1", "j2", "j3"}) deliver(junk_, name);
    deliver(kInbox, "i1");
    make_views(kLaptop, {kInbox, junk_});
    make_views(kPhone, {junk_});
    remove({kLaptop, {junk_}}, {1, 2});
    EXPECT_EQ(shown({kLaptop, {junk_}}), "j3");
    EXPECT_EQ(shown({kPhone, {junk_}}), "j1 j2 j3");
    EXPECT_EQ(shown(classic({junk_})), "j1 j2 j3");
    EXPECT_EQ(shown(kLaptop), "i1");
    remove({kPhone, {junk_}}, {2, 3});
    remove(classic({junk_}), {2});
    EXPECT_EQ(*run(store_.let_go(kAccount)), 1u);
    EXPECT_EQ(ids("Junk"), "j1 j3");
    EXPECT_EQ(retained(), "j2");
    expect_sound();
    ASSERT_TRUE(run(store_.restore(kAccount, "j2")));
    EXPECT_EQ(shown({kLaptop, {junk_}}), "j2 j3") << "what was restored shows again";
    expect_sound();
    ASSERT_TRUE(run(store_.drop_view(kAccount, {kPhone, junk_})));
    ASSERT_TRUE(run(store_.drop_view(kAccount, {kLaptop, junk_})));
    EXPECT_EQ(run(store_.views(kAccount))->size(), 2u) << "those of INBOX";
    expect_sound();
}

TEST_F(MailboxMaildropTest, ViewsGoWithTheirMailbox) {
    for (auto name : {"j1", "j2"}) deliver(junk_, name);
    make_views(kLaptop, {kInbox, junk_});
    remove({kLaptop, {junk_}}, {1});
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "Junk", "imap")));
    EXPECT_EQ(run(store_.views(kAccount))->size(), 2u);
    expect_sound();
    EXPECT_EQ(shown({kLaptop, {kInbox, junk_}}), "");
    EXPECT_EQ(error_of({kLaptop, {junk_}}), Errc::not_found);
}

TEST_F(MailboxMaildropTest, AMessageThatMovesStaysDeletedWhereItWasDeleted) {
    for (auto name : {"m1", "m2"}) deliver(kInbox, name);
    make_views(kLaptop, {kInbox, junk_});
    make_views(kPhone, {kInbox});
    remove(kLaptop, {1});
    remove(kPhone, {1});
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({1, 2}), junk_)));
    EXPECT_EQ(shown({kLaptop, {junk_}}), "m2");
    EXPECT_EQ(shown({kLaptop, {kInbox, junk_}}), "m2");
    EXPECT_EQ(shown(classic({junk_})), "m1 m2");
    expect_sound();
    ASSERT_TRUE(run(store_.move(kAccount, junk_, uids({1, 2}), kInbox)));
    EXPECT_EQ(shown(kLaptop), "m2");
    EXPECT_EQ(shown(kPhone), "m1 m2") << "it has no view of Junk to remember it in";
    ASSERT_TRUE(run(store_.copy(kAccount, kInbox, uids({3}), junk_)));
    EXPECT_EQ(open({kLaptop, {junk_}})->message_count(), 1u) << "a copy is another message";
    expect_sound();
}

TEST_F(MailboxMaildropTest, AMessageThatADeviceNeverWasToSeeIsNotDeletedByMovingIt) {
    const auto old = deliver(kInbox, "old");
    for (auto id : {kInbox, lists_}) ASSERT_TRUE(run(store_.make_view(kAccount, {kLaptop, id}, kFromNowOn)));
    EXPECT_EQ(shown({kLaptop, {kInbox, lists_}}), "");
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, {Uid(old.order.value)}, lists_)));
    clock_.advance(std::chrono::days(92));
    EXPECT_EQ(shown({kLaptop, {kInbox, lists_}}), "old") << "once, since it came to this mailbox now";
    EXPECT_EQ(*run(store_.let_go(kAccount)), 0u) << "the device is the only one that came lately, and deleted nothing";
    EXPECT_EQ(ids("Lists/asio"), "old");
}

TEST_F(MailboxMaildropTest, SeveralAreOneInOrderOfArrival) {
    deliver(kInbox, "m1");
    deliver(junk_, "m2");
    deliver(kInbox, "m3");
    deliver(lists_, "m4");
    deliver(junk_, "m5");
    const auto all = classic({junk_, kInbox, lists_, junk_});
    EXPECT_EQ(shown(all), "m1 m2 m3 m4 m5");
    const auto before = *open(all)->version();
    EXPECT_EQ(*open(all)->version(), before);
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({1}), lists_)));
    EXPECT_EQ(shown(all), "m1 m2 m3 m4 m5") << "a message that moves keeps its place and its unique-id";
    EXPECT_FALSE(open(all)->version()->continues(before));
    const auto commits = engine_.commits();
    remove(all, {1, 2, 5});
    EXPECT_EQ(engine_.commits() - commits, 1u) << "all or none";
    EXPECT_EQ(shown(all), "m3 m4");
    EXPECT_EQ(live(), "m3");
    EXPECT_EQ(retained(), "m2 m5 m1") << "by expiry, place and mailbox";
    expect_sound();
}

TEST_F(MailboxMaildropTest, OfSeveralAMessageIsReadByItsNumberAndUniqueId) {
    deliver(kInbox, "m1");
    deliver(junk_, "m2");
    auto both = open(classic({kInbox, junk_}));
    EXPECT_EQ(both->of(), (ViewOf{kAccount, kClassicView, kSeveral}));
    auto second = run(both->message(2, "m2"));
    ASSERT_TRUE(second);
    EXPECT_EQ(read(run(both->open(**second))), "Delivered-To: x\r\nx m2");
    EXPECT_EQ(code_of(run(both->message(2, "m1"))), Errc::not_found);
    EXPECT_EQ(code_of(run(both->message(3, "m2"))), Errc::not_found);
    EXPECT_EQ(code_of(run(both->remove({2, 1}))), Errc::invalid);
    EXPECT_EQ(code_of(run(both->remove({3}))), Errc::invalid);
    EXPECT_TRUE(run(both->messages_since(*both->version()))->empty());
    EXPECT_EQ(code_of(run(both->messages_since({}))), Errc::invalid);
}

TEST_F(MailboxMaildropTest, WhatMovedFromOneToAnotherDuringTheSessionIsDeletedThere) {
    for (auto name : {"m1", "m2", "m3"}) deliver(kInbox, name);
    deliver(junk_, "m4");
    auto both = open(classic({kInbox, junk_}));
    EXPECT_EQ(ids_of(*both), "m1 m2 m3 m4");
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({1}), junk_)));
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({2}), lists_)));
    ASSERT_TRUE(run(store_.move(kAccount, junk_, uids({1}), kInbox)));
    ASSERT_TRUE(run(both->remove({1, 2, 4})));
    EXPECT_EQ(live(), "m3");
    EXPECT_EQ(ids("Junk"), "");
    EXPECT_EQ(ids("Lists/asio"), "m2") << "that left the maildrop";
    EXPECT_EQ(retained(), "m1 m4");
    expect_sound();
}

TEST_F(MailboxMaildropTest, WhatGotANewPlaceInItsMailboxDuringTheSessionIsDeleted) {
    for (auto name : {"m1", "m2", "m3"}) deliver(kInbox, name);
    auto inbox = open({});
    EXPECT_EQ(ids_of(*inbox), "m1 m2 m3");
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({1}), kInbox)));
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({2}), lists_)));
    ASSERT_TRUE(run(inbox->remove({1, 2})));
    EXPECT_EQ(live(), "m3");
    EXPECT_EQ(ids("Lists/asio"), "m2") << "that left the maildrop";
    EXPECT_EQ(retained(), "m1");
    expect_sound();
}

TEST_F(MailboxMaildropTest, WhatSomebodyFilesElsewhereStaysThere) {
    deliver(kInbox, "m1");
    make_views(kLaptop, {kInbox, lists_});
    remove(kLaptop, {1});
    remove({}, {1});
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({1}), lists_)));
    EXPECT_EQ(shown({kLaptop, {kInbox, lists_}}), "") << "it is not fetched twice";
    EXPECT_EQ(shown(classic({lists_})), "");
    EXPECT_EQ(*run(store_.let_go(kAccount)), 0u) << "nobody has deleted it there";
    EXPECT_EQ(ids("Lists/asio"), "m1");
    make_views(kPhone, {lists_});
    EXPECT_EQ(shown({kPhone, {lists_}}), "m1");
    remove({kPhone, {lists_}}, {1});
    EXPECT_EQ(*run(store_.let_go(kAccount)), 1u) << "now somebody has, and no other view shows it";
    EXPECT_EQ(retained(), "m1");
    expect_sound();
}

TEST_F(MailboxMaildropTest, AListOfSeveralLetsOthersOfTheThreadWorkWhileItIsMade) {
    for (int n = 0; n < 1500; ++n) deliver(n % 2 ? kInbox : junk_, "m" + std::to_string(n));
    const auto all = classic({kInbox, junk_});
    const auto expected = shown(all);  // the lists of both are kept from now on, and cost no read
    auto both = open(all);
    bool done = false;
    int turns = 0;
    auto make = [](Maildrop& maildrop, bool& is_done) -> Task<> {
        const auto list = co_await maildrop.messages();
        EXPECT_TRUE(list);
        is_done = true;
    };
    auto work = [](const bool& is_done, int& count) -> Task<> {
        while (!is_done) {
            ++count;
            co_await asio::post(co_await asio::this_coro::executor, use_awaitable);
        }
    };
    asio::io_context context(1);
    while (!turn::over()) continue;  // an earlier test may have begun one just now
    asio::co_spawn(context, make(*both, done), asio::detached);
    asio::co_spawn(context, work(done, turns), asio::detached);
    context.run();
    EXPECT_TRUE(done);
    EXPECT_GT(turns, 0);
    EXPECT_EQ(ids_of(*both), expected);
}

TEST_F(MailboxMaildropTest, SeveralHaveTheLocksOfAll) {
    auto both = open(classic({kInbox, junk_}));
    EXPECT_EQ(error_of({}), Errc::busy);
    EXPECT_EQ(error_of(classic({junk_})), Errc::busy);
    EXPECT_EQ(error_of(classic({lists_, junk_})), Errc::busy);
    EXPECT_TRUE(open(classic({lists_}))) << "a login that found one in use holds no other";
    make_views(kLaptop, {kInbox, junk_});
    EXPECT_TRUE(open({kLaptop, {kInbox, junk_}})) << "another view";
    both.reset();
    EXPECT_TRUE(open({}));
}

TEST_F(MailboxMaildropTest, WithoutOneOfItsLocksASessionDeletesNothing) {
    deliver(kInbox, "m1");
    deliver(junk_, "m2");
    auto both = open(classic({kInbox, junk_}));
    EXPECT_EQ(ids_of(*both), "m1 m2");
    engine_.break_lease(kAccount, "pop3:mailbox-" + std::to_string(junk_.value));
    EXPECT_EQ(code_of(run(both->remove({1}))), Errc::denied);
    EXPECT_EQ(live(), "m1");
}

TEST_F(MailboxMaildropTest, KeepsWhatAllHaveDeletedWhereThatIsWanted) {
    for (auto name : {"m1", "m2", "m3"}) deliver(kInbox, name);
    const WantedMaildrop keeping(kClassicView, {}, WhenAllDeleted::keep);
    EXPECT_EQ(shown(keeping), "m1 m2 m3");
    EXPECT_TRUE(run(store_.views(kAccount))->empty()) << "no row before a deletion";
    remove(keeping, {1, 2});
    EXPECT_EQ(shown(keeping), "m3");
    EXPECT_EQ(live(), "m1 m2 m3");
    EXPECT_EQ(retained(), "");
    expect_sound();
    deliver(kInbox, "m4");
    EXPECT_EQ(shown(keeping), "m3 m4");
    EXPECT_EQ(shown({}), "m3 m4") << "whoever opens it";
    remove({}, {1});
    EXPECT_EQ(live(), "m1 m2 m3 m4") << "hidden, until the views are given up";

    make_views(kLaptop, {kInbox});
    ASSERT_TRUE(run(store_.drop_view(kAccount, kLaptop, WhenAllDeleted::keep)));
    EXPECT_EQ(shown(keeping), "m4");
    EXPECT_EQ(live(), "m1 m2 m3 m4");

    EXPECT_EQ(*run(store_.expire_live(kAccount, clock_.now() - std::chrono::seconds(3))), 2u) << "its days hold";
    EXPECT_EQ(live(), "m3 m4");
    EXPECT_EQ(shown(keeping), "m4");
    expect_sound();
    ASSERT_TRUE(run(store_.drop_view(kAccount, kClassicView)));
    EXPECT_EQ(live(), "m4");
    EXPECT_TRUE(run(store_.views(kAccount))->empty());
    expect_sound();
}

TEST_F(MailboxMaildropTest, ARepairMakesViewsFitTheirMailbox) {
    for (auto name : {"j1", "j2"}) deliver(junk_, name);
    make_views(kLaptop, {junk_, lists_});
    remove({kLaptop, {junk_}}, {1});
    auto record = *decode_view(*run(engine_.get(kAccount, keys::view({kLaptop, junk_}), nullptr)));
    record.hidden_totals.messages = 7;
    engine::Batch batch;
    batch.put(keys::view({kLaptop, junk_}), encode(record));
    batch.erase(keys::view({kClassicView, junk_}));
    batch.erase(keys::mailbox(lists_));
    ASSERT_TRUE(run(engine_.commit(kAccount, std::move(batch))));
    EXPECT_FALSE(run(store_.check(kAccount)));
    EXPECT_TRUE(*run(store_.repair(kAccount)));
    expect_sound();
    MailStore store(engine_, clock_, options_);
    EXPECT_EQ((*run(store.open_maildrop(kAccount, {kLaptop, {junk_}})))->message_count(), 1u);
    EXPECT_EQ(run(store.views(kAccount))->size(), 2u) << "the others' mailbox is lost";
}

TEST_F(MailboxMaildropTest, ListsThatAreReadLateAreThoseOfTheLoginOrNone) {
    for (auto name : {"j1", "j2"}) deliver(junk_, name);
    make_views(kLaptop, {junk_});
    auto idle = [&](WantedMaildrop wanted) {
        auto maildrop = open(std::move(wanted));
        SteadyClock::move(std::chrono::minutes(1));
        maildrop->become_idle();
        return maildrop;
    };
    auto session = idle({kLaptop, {junk_}});
    deliver(junk_, "j3");
    EXPECT_EQ(ids_of(*session), "j1 j2") << "without what came since";
    session = nullptr;
    session = idle({kLaptop, {junk_}});
    ASSERT_TRUE(run(store_.drop_view(kAccount, {kLaptop, junk_})));
    EXPECT_EQ(code_of(run(session->messages())), Errc::conflict) << "the view is gone";
    session = idle(classic({junk_}));
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "Junk", "imap")));
    EXPECT_EQ(code_of(run(session->messages())), Errc::conflict) << "the mailbox is gone";
    deliver(kInbox, "m1");
    session = idle({});
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_EQ(code_of(run(session->messages())), Errc::conflict) << "all is gone";
}

}  // namespace
}  // namespace poplar::mailstore
