// Rows that are kept of messages beside them: structures, and threads.
#include "mailstore/keys.h"
#include "mailstore/thread_row.h"
#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

using mail::KeptField;
using test::run;

class StructuresTest : public MailboxFixture {
protected:
    std::size_t rows(engine::KeyRange range) { return run(engine_.scan(kAccount, range, 100'000))->size(); }
    /// The subjects of a mailbox's messages, joined by spaces; "!" and the code of a failure.
    std::string subjects(const std::string& name) {
        std::string text;
        for (auto& structure : run(store_.structures(kAccount, list(name)))) {
            if (!text.empty()) text += " ";
            text += structure ? std::string(structure->parts.front().field(KeptField::subject).value_or("-"))
                              : "!" + std::string(to_string(structure.error().code()));
        }
        return text;
    }
    static std::string letter(const std::string& id, const std::string& answers, const std::string& subject) {
        return "Message-ID: <" + id + ">\r\n" + answers + "Subject: " + subject + "\r\n\r\nx\r\n";
    }
    static std::string references(const std::string& ids) { return "References: " + ids + "\r\n"; }
    ThreadId thread(const Message& appended, const std::string& name = "INBOX") {
        for (const auto& one : list(name)) {
            if (one.unique_id != appended.unique_id) continue;
            auto found = run(store_.threads(kAccount, {one}));
            EXPECT_TRUE(found.front());
            return *found.front();
        }
        ADD_FAILURE() << "no such message";
        return {};
    }
    /// The numbers of a mailbox's messages' threads in order of appearance: "1 2 1".
    std::string threads(const std::string& name = "INBOX") {
        std::vector<ThreadId> seen;
        std::string text;
        for (const auto& found : run(store_.threads(kAccount, list(name)))) {
            EXPECT_TRUE(found);
            auto at = std::ranges::find(seen, *found);
            text += (text.empty() ? "" : " ") + std::to_string(at - seen.begin() + 1);
            if (at == seen.end()) seen.push_back(*found);
        }
        return text;
    }
};

TEST_F(StructuresTest, AreMadeOnceAndKept) {
    append("Subject: one\r\n\r\nx\r\n");
    append("Subject: two\r\n\r\nx\r\n");
    EXPECT_EQ(rows(keys::structures()), 0u) << "nobody asked";
    const auto before = *run(engine_.change_number(kAccount, nullptr));
    EXPECT_EQ(subjects("INBOX"), "one two");
    EXPECT_EQ(rows(keys::structures()), 2u);
    EXPECT_EQ(run(engine_.change_number(kAccount, nullptr))->value, before.value + 1) << "one commit";
    EXPECT_TRUE(run(store_.changes_since(kAccount, before))->changes.empty());
    expect_sound();

    EXPECT_EQ(subjects("INBOX"), "one two");
    EXPECT_EQ(run(engine_.change_number(kAccount, nullptr))->value, before.value + 1) << "nothing to keep";
    const auto first = run(store_.structures(kAccount, {list("INBOX").front()})).front()->parts.front();
    EXPECT_EQ(first.header_octets + first.body_octets, list("INBOX").front().octets);
}

TEST_F(StructuresTest, OfAnotherVersionOrDamagedAreMadeAnew) {
    append("Subject: one\r\n\r\nx\r\n");
    EXPECT_EQ(subjects("INBOX"), "one");
    const auto key = keys::structure(list("INBOX").front().body);
    put(key, std::string(1, '\0') + "of long ago");
    EXPECT_EQ(subjects("INBOX"), "one");
    EXPECT_TRUE(mail::decode_structure(*run(engine_.get(kAccount, key, nullptr))));
    expect_sound();
}

TEST_F(StructuresTest, StayWithTheBodyAndGoWithItsLastMessage) {
    append("Subject: one\r\n\r\nx\r\n");
    const auto other = add("Other").id;
    EXPECT_EQ(subjects("INBOX"), "one");
    ASSERT_TRUE(run(store_.copy(kAccount, kInbox, uids({1}), other)));
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({1}), other)));
    EXPECT_EQ(subjects("Other"), "one one");
    EXPECT_EQ(rows(keys::structures()), 1u);
    EXPECT_EQ(threads("Other"), "1 1");
    EXPECT_EQ(rows(keys::threads()), 1u);
    expect_sound();

    ASSERT_TRUE(run(store_.expunge(kAccount, other, uids({1}), "imap")));
    clock_.advance(options_.retention);
    ASSERT_TRUE(run(store_.expire(kAccount, clock_.now())));
    EXPECT_EQ(rows(keys::structures()), 1u) << "the other one has it still";
    ASSERT_TRUE(run(store_.expunge(kAccount, other, uids({2}), "imap")));
    EXPECT_EQ(rows(keys::structures()), 1u) << "it can be restored";
    clock_.advance(options_.retention);
    ASSERT_TRUE(run(store_.expire(kAccount, clock_.now())));
    EXPECT_EQ(rows(keys::structures()) + rows(keys::threads()) + rows(keys::thread_marks()), 0u);
    expect_sound();
}

TEST_F(StructuresTest, OfRetainedMessagesAreToldAndNotKept) {
    append("Subject: one\r\n\r\nx\r\n");
    auto message = list("INBOX").front();
    ASSERT_TRUE(run(store_.remove(kAccount, {message.unique_id}, "admin")));
    EXPECT_TRUE(run(store_.structures(kAccount, {message})).front());
    EXPECT_TRUE(run(store_.threads(kAccount, {message})).front());
    EXPECT_EQ(rows(keys::structures()) + rows(keys::threads()) + rows(keys::thread_marks()), 0u);
    ASSERT_TRUE(run(store_.purge(kAccount)));
    EXPECT_EQ(code_of(run(store_.structures(kAccount, {message})).front()), Errc::not_found);
    EXPECT_EQ(code_of(run(store_.threads(kAccount, {message})).front()), Errc::not_found);
}

TEST_F(StructuresTest, AreToldThoughTheyCannotBeKept) {
    append("Subject: one\r\n\r\nx\r\n");
    engine_.fail_next_commits(1, Errc::no_space);
    EXPECT_EQ(subjects("INBOX"), "one");
    EXPECT_EQ(rows(keys::structures()), 0u);
    EXPECT_EQ(subjects("INBOX"), "one");
    EXPECT_EQ(rows(keys::structures()), 1u);
}

TEST_F(StructuresTest, AreDroppedForTheSpaceAndThreadsAreNot) {
    options_.forget_messages = 3;
    MailStore store(engine_, clock_, options_);
    for (int i = 0; i < 10; ++i) append(letter(std::to_string(i), "", "s"));
    const auto before = threads();
    EXPECT_EQ(rows(keys::structures()), 10u);
    ASSERT_TRUE(run(store.drop_structures(kAccount)));
    EXPECT_EQ(rows(keys::structures()), 0u);
    EXPECT_TRUE(run(store.check(kAccount)));
    EXPECT_EQ(threads(), before);
    EXPECT_EQ(rows(keys::structures()), 0u) << "a thread that is known needs none";
}

TEST_F(StructuresTest, AreKeptInPartsThatACommitMayHave) {
    options_.commit_messages = 3;
    MailStore store(engine_, clock_, options_);
    for (int i = 0; i < 10; ++i) append(letter(std::to_string(i), "", "s"));
    const auto before = *run(engine_.change_number(kAccount, nullptr));
    for (const auto& one : run(store.threads(kAccount, list("INBOX")))) EXPECT_TRUE(one);
    EXPECT_EQ(run(engine_.change_number(kAccount, nullptr))->value, before.value + 8) << "four for each kind";
    EXPECT_TRUE(run(store.check(kAccount)));
}

using ThreadsTest = StructuresTest;

TEST_F(ThreadsTest, AnAnswerJoinsWhatItAnswers) {
    append(letter("a@x", "", "Lunch"));
    append(letter("b@x", references("<a@x>"), "Re: Lunch"));
    append(letter("c@x", "In-Reply-To: <b@x>\r\n", "Fwd: [list] lunch"));
    append(letter("d@x", references("<a@x> <b@x>"), "Dinner"));  // RFC 8621 s3: another subject is another thread
    append(letter("e@x", "", "Lunch"));
    append("Subject: Lunch\r\n\r\nwithout an id\r\n");
    append("Subject: Lunch\r\n\r\nwithout an id\r\n");
    EXPECT_EQ(threads(), "1 1 1 2 3 4 5");
    expect_sound();
    EXPECT_EQ(threads(), "1 1 1 2 3 4 5") << "as it was";
}

TEST_F(ThreadsTest, TheOrderInWhichTheyComeOrAreAskedForDoesNotMatter) {
    const auto answer = append(letter("b@x", references("<root@x> <a@x>"), "Re: s"));
    const auto known = thread(answer);
    append(letter("c@x", references("<root@x>"), "Re: s"));
    append(letter("a@x", references("<root@x>"), "s"));
    append(letter("root@x", "", "s"));
    EXPECT_EQ(threads(), "1 1 1 1");
    EXPECT_EQ(thread(answer), known);
    expect_sound();
}

TEST_F(ThreadsTest, AreFoundInOtherMailboxes) {
    add("Sent");
    append_to("Sent", letter("a@x", "", "s"));
    const auto answer = append(letter("b@x", references("<a@x>"), "Re: s"));
    EXPECT_EQ(threads("Sent"), "1");
    EXPECT_EQ(thread(answer), *run(store_.threads(kAccount, list("Sent"))).front());
}

TEST_F(ThreadsTest, GoOnWhenTheirFirstMessageIsGone) {
    const auto first = append(letter("a@x", "", "s"));
    const auto second = append(letter("b@x", references("<a@x>"), "Re: s"));
    const auto known = thread(first);
    EXPECT_EQ(thread(second), known);
    ASSERT_TRUE(run(store_.remove(kAccount, {first.unique_id}, "admin")));
    clock_.advance(options_.retention);
    ASSERT_TRUE(run(store_.expire(kAccount, clock_.now())));
    expect_sound();
    EXPECT_EQ(thread(append(letter("c@x", references("<a@x> <b@x>"), "Re: s"))), known);
    EXPECT_EQ(thread(second), known);
    expect_sound();
}

TEST_F(ThreadsTest, HaveABoundOnWhatAMessageMayLeave) {
    std::string many;
    for (int i = 0; i < 1000; ++i) many += "<" + std::to_string(i) + "@x>\r\n ";
    append(letter("a@x", references(many + "<last@x>"), "s"));
    EXPECT_EQ(threads(), "1");
    EXPECT_LE(rows(keys::thread_marks()), 1 + kMostAnswered);
    append(letter("0@x", "", "s"));
    append(letter("last@x", "", "s"));
    append(letter("500@x", "", "s"));
    EXPECT_EQ(threads(), "1 1 1 2") << "References begins with the first and ends with what is answered";
}

TEST_F(ThreadsTest, ARepairKeepsThem) {
    const auto first = append(letter("a@x", "", "s"));
    append(letter("b@x", references("<a@x>"), "Re: s"));
    const auto known = thread(first);
    EXPECT_EQ(threads(), "1 1");
    engine::Batch batch;
    batch.erase(keys::thread(list("INBOX").back().body));
    batch.put(keys::thread(engine::BodyId(999)), encode(ThreadRow{known}));
    batch.put(keys::thread_mark("of nobody, 16 o."), encode(known));
    ASSERT_TRUE(run(engine_.commit(kAccount, std::move(batch))));
    EXPECT_FALSE(run(store_.check(kAccount)));
    EXPECT_TRUE(*run(store_.repair(kAccount)));
    expect_sound();
    EXPECT_EQ(thread(first), known);
    EXPECT_EQ(threads(), "1 1");
    EXPECT_EQ(known.text().size(), 32u);
    expect_sound();
}

class AppendWithFlagsTest : public MailboxFixture {};

TEST_F(AppendWithFlagsTest, TakesFlagsKeywordsAndATime) {
    const auto id = add("Other").id;
    auto one = to(id, "x");
    one.flags = bits_of(Flag::seen) | bits_of(Flag::draft);
    one.keywords = {"$Forwarded", "work"};
    one.received = clock_.now() - std::chrono::days(3);
    auto two = to(id, "y");
    two.keywords = {"WORK", "home"};
    auto bad = to(id, "z");
    bad.keywords = {"no keyword"};
    std::vector<Task<Result<Message>>> tasks;
    tasks.push_back(store_.append(kAccount, std::move(one)));
    tasks.push_back(store_.append(kAccount, std::move(two)));
    tasks.push_back(store_.append(kAccount, std::move(bad)));
    auto done = run_together(std::move(tasks));
    ASSERT_TRUE(done[0] && done[1]);
    EXPECT_EQ(code_of(done[2]), Errc::invalid);
    EXPECT_EQ(flags("Other"), "1:seen+draft+$Forwarded+work 2:work+home");
    EXPECT_EQ(mailbox("Other").totals.seen, 1u);
    EXPECT_EQ(list("Other").front().received, clock_.now() - std::chrono::days(3));
    EXPECT_EQ(list("Other").back().received, clock_.now());
    expect_sound();
}

}  // namespace
}  // namespace poplar::mailstore
