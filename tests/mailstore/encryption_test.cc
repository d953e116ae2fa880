// Mail that is sealed with an account's public key.
#include "encryption/keychain.h"
#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "tests/mailstore/fixture.h"

namespace poplar::mailstore {
namespace {

using State = EncryptionStatus::State;

class EncryptedStore : public StoreTest {
protected:
    void begin(const encryption::MailKeyPtr& key) {
        ASSERT_TRUE(test::run(store_.begin_encryption(kAccount, key->public_key())));
    }
    State state() {
        auto now = test::run(store_.encryption(kAccount));
        EXPECT_TRUE(now);
        return now->state;
    }
    /// All steps of one round.
    Converted convert(encryption::MailKeyPtr key = nullptr) {
        Converted all;
        do {
            auto step = test::run(store_.convert(kAccount, all.next, key));
            EXPECT_TRUE(step) << step.error().detail();
            if (!step) break;
            all.messages += step->messages;
            all.unreadable += step->unreadable;
            all.next = step->next;
        } while (!all.next.empty());
        return all;
    }
    std::string by(const encryption::MailKeyPtr& key, const Message& message) {
        return read(test::run(store_.open(kAccount, message, key)));
    }
    Message now(const std::string& unique_id) {
        auto found = test::run(store_.find(kAccount, unique_id));
        EXPECT_TRUE(found);
        return found ? *found : Message{};
    }
    /// As a POP session with the key has it.
    std::string retrieved(const encryption::MailKeyPtr& key, std::size_t number = 0) {
        WantedMaildrop wanted;
        wanted.key = key;
        auto maildrop = test::run(store_.open_maildrop(kAccount, wanted));
        EXPECT_TRUE(maildrop);
        auto messages = test::run((*maildrop)->messages());
        EXPECT_TRUE(messages);
        auto reader = test::run((*maildrop)->open((**messages)[number]));
        if (reader)
            if (auto whole = test::run((*reader)->verify()); !whole)
                return "!" + std::string(to_string(whole.error().code()));
        return read(std::move(reader));
    }

    const encryption::MailKeyPtr key_ = std::make_shared<const encryption::MailKey>(encryption::Secret::random());
    const encryption::MailKeyPtr other_ = std::make_shared<const encryption::MailKey>(encryption::Secret::random());
    const std::string head_ = "Delivered-To: x\r\n";
    const std::string text_ = "Subject: a secret\r\n\r\nbody\r\n";
};

TEST_F(EncryptedStore, SealsNewMailSoThatOnlyTheKeyOpensIt) {
    begin(key_);
    const auto message = append(text_);
    EXPECT_EQ(message.octets, head_.size() + text_.size()) << "sizes are those of the message";
    EXPECT_EQ(by(key_, message), head_ + text_);
    EXPECT_EQ(by(nullptr, message), "!denied");
    EXPECT_EQ(by(other_, message), "!corrupt");
    EXPECT_EQ(retrieved(key_), head_ + text_);
    EXPECT_EQ(retrieved(nullptr), "!denied");
    expect_sound();
}

TEST_F(EncryptedStore, GivesBackMessagesOfManyChunks) {
    begin(key_);
    std::string text = "Subject: long\r\n\r\n";
    for (int n = 0; n < 6000; ++n) text += "a line of a message that is longer than some chunks\r\n";
    append(text);
    EXPECT_EQ(retrieved(key_), head_ + text);
}

TEST_F(EncryptedStore, SealsWhatWasThereBeforeLiveAndDeletedAndUnlessItIsSealedTwice) {
    const auto kept = append(text_, "kept"), gone = append(text_, "gone");
    ASSERT_TRUE(test::run(store_.remove(kAccount, {"gone"}, "test")));
    const auto before = totals();
    begin(key_);
    append(text_, "new");
    EXPECT_EQ(state(), State::beginning);
    auto count = test::run(store_.count_sealed(kAccount));
    ASSERT_TRUE(count);
    EXPECT_EQ(count->sealed, 1u);
    EXPECT_EQ(count->in_clear, 2u);
    EXPECT_EQ(convert().messages, 2u);
    EXPECT_EQ(convert().messages, 0u);
    ASSERT_TRUE(test::run(store_.finish_conversion(kAccount)));
    EXPECT_EQ(state(), State::on);
    EXPECT_EQ(test::run(store_.encryption(kAccount))->sealed, clock_.now());
    for (const auto* id : {"kept", "gone", "new"}) {
        EXPECT_EQ(by(key_, now(id)), head_ + text_) << id;
        EXPECT_EQ(by(nullptr, now(id)), "!denied") << id;
    }
    for (const auto& before_it : {kept, gone}) {
        EXPECT_FALSE(test::run(engine_.read_bodies(kAccount)->open(before_it.body))) << "the old octets are gone";
        EXPECT_EQ(bytes(before_it), "!denied") << "whoever listed it before finds it where it is now";
    }
    EXPECT_EQ(totals().octets, before.octets + kept.octets);
    expect_sound();
}

TEST_F(EncryptedStore, SealsCopiesEachByItself) {
    const auto message = append(text_);
    auto other = test::run(store_.add_mailbox(kAccount, "Other"));
    ASSERT_TRUE(other);
    ASSERT_TRUE(test::run(store_.copy(kAccount, kInbox, {Uid(message.order.value)}, other->id)));
    begin(key_);
    EXPECT_EQ(convert().messages, 2u);
    auto copies = test::run(store_.list(kAccount, other->id, OrderKey(0), 10));
    ASSERT_TRUE(copies && copies->size() == 1);
    EXPECT_EQ(by(key_, copies->front()), head_ + text_);
    EXPECT_EQ(retrieved(key_), head_ + text_);
    EXPECT_EQ(bytes(message), "!denied");
    EXPECT_EQ(copies->front().lasting_id(), message.body) << "copies stay one and the same to IMAP";
    expect_sound();
}

TEST_F(EncryptedStore, ASessionThatListedMailBeforeReadsAndDeletesItStill) {
    append(text_, "one");
    append(text_, "two");
    begin(key_);
    WantedMaildrop wanted;
    wanted.key = key_;
    {
        auto maildrop = test::run(store_.open_maildrop(kAccount, wanted));
        ASSERT_TRUE(maildrop);
        auto messages = test::run((*maildrop)->messages());
        ASSERT_TRUE(messages && (*messages)->size() == 2);
        convert();
        EXPECT_EQ(read(test::run((*maildrop)->open((**messages)[0]))), head_ + text_);
        ASSERT_TRUE(test::run((*maildrop)->remove({1})));
    }
    EXPECT_EQ(live(), "two");
    EXPECT_EQ(retained(), "one");
    EXPECT_EQ(retrieved(key_), head_ + text_) << "the list that was kept names the old body";
    expect_sound();
}

TEST_F(EncryptedStore, AListThatIsKeptFromBeforeNamesNoBodyThatIsGone) {
    append(text_, "kept");
    const auto plain = retrieved(nullptr);  // its list is kept
    begin(key_);
    EXPECT_EQ(convert().messages, 1u);
    EXPECT_EQ(retrieved(key_), plain);
    ASSERT_TRUE(test::run(store_.end_encryption(kAccount)));
    EXPECT_EQ(convert(key_).messages, 1u);
    ASSERT_TRUE(test::run(store_.finish_conversion(kAccount)));
    EXPECT_EQ(retrieved(nullptr), plain);
    EXPECT_FALSE(plain.empty());
}

TEST_F(EncryptedStore, DecryptsAllForGoodWithTheKeyAndNothingWithoutIt) {
    begin(key_);
    append(text_, "one");
    append(text_, "gone");
    ASSERT_TRUE(test::run(store_.remove(kAccount, {"gone"}, "test")));
    ASSERT_TRUE(test::run(store_.end_encryption(kAccount)));
    EXPECT_EQ(state(), State::ending);
    append(text_, "plain");
    EXPECT_EQ(bytes(now("plain")), head_ + text_);
    auto without = convert();
    EXPECT_EQ(without.messages, 0u);
    EXPECT_EQ(without.unreadable, 2u);
    auto with = convert(key_);
    EXPECT_EQ(with.messages, 2u);
    EXPECT_EQ(with.unreadable, 0u);
    ASSERT_TRUE(test::run(store_.finish_conversion(kAccount)));
    EXPECT_EQ(state(), State::off);
    for (const auto* id : {"one", "gone", "plain"}) EXPECT_EQ(bytes(now(id)), head_ + text_) << id;
    expect_sound();
}

TEST_F(EncryptedStore, KeepsNeitherStructureNorThreadOfSealedMail) {
    begin(key_);
    append("Message-ID: <a@x>\r\nSubject: a secret\r\n\r\nbody\r\n");
    auto list = test::run(store_.list(kAccount, OrderKey(0), 10));
    ASSERT_TRUE(list && list->size() == 1);
    auto without = test::run(store_.structures(kAccount, *list));
    EXPECT_FALSE(without.front());
    auto structures = test::run(store_.structures(kAccount, *list, key_));
    ASSERT_TRUE(structures.front());
    auto threads = test::run(store_.threads(kAccount, *list));
    EXPECT_TRUE(threads.front());
    for (auto range : {keys::structures(), keys::threads(), keys::thread_marks()}) {
        auto rows = test::run(engine_.scan(kAccount, range, 10));
        ASSERT_TRUE(rows);
        EXPECT_TRUE(rows->empty());
    }
}

TEST_F(EncryptedStore, StaysEncryptedAfterARepairAndAfterAPurge) {
    begin(key_);
    append(text_);
    ASSERT_TRUE(test::run(store_.repair(kAccount)));
    EXPECT_EQ(state(), State::beginning);
    EXPECT_EQ(by(nullptr, append(text_)), "!denied");
    ASSERT_TRUE(test::run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_EQ(by(nullptr, append(text_)), "!denied");
    expect_sound();
}

TEST_F(EncryptedStore, AnAccountsRecordSaysWhetherItsMailIsSealed) {
    AccountRecord record;
    record.generation = "0123456789ab";
    record.encryption = std::make_shared<const AccountEncryption>(
        AccountEncryption{key_->public_key(), AccountEncryption::State::opening});
    auto decoded = decode_account(encode(record));
    ASSERT_TRUE(decoded && decoded->encryption);
    EXPECT_EQ(*decoded->encryption, *record.encryption);
    auto damaged = encode(record);
    damaged.back() = 9;
    EXPECT_FALSE(decode_account(damaged));
}

}  // namespace
}  // namespace poplar::mailstore
