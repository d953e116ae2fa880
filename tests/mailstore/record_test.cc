// Records of every version, encoded and decoded; damaged ones; unique-ids.
#include "mailstore/record.h"

#include <gtest/gtest.h>

#include <random>

#include "mailstore/keys.h"
#include "tests/mailstore/early_records.h"

namespace poplar::mailstore {
namespace {

Timestamp at(std::int64_t millis) { return Timestamp(std::chrono::milliseconds(millis)); }

const StoredMessage kMessage{{OrderKey(7), "unique", engine::BodyId(9), 1000, 1003, at(1'767'225'600'123)}};
const RetainedMessage kRetained{kMessage, at(1'767'225'700'000), at(1'769'817'700'000), "pop3", ""};
const AccountRecord kAccount = [] {
    AccountRecord record;
    record.generation = "0123456789ab";
    record.inbox.next_order = OrderKey(300);
    record.inbox.totals.messages = 1;
    record.inbox.totals.octets = 2;
    record.inbox.list_changes = 5;
    record.inbox.changed = ModSequence(400);
    record.inbox.uid_validity = 1'767'225'600;
    record.retained_messages = 3;
    record.retained_octets = 4;
    record.earliest_expiry = at(1'769'817'700'000);
    return record;
}();

/// One that has all that a message can have.
StoredMessage full_message() {
    auto message = kMessage;
    message.mailbox = MailboxId(70'000);
    message.ascii_octets = 900;
    message.own_uid = Uid(301);
    message.flags = {kAllFlags, std::string("\x00\x81", 2)};
    message.added = ModSequence(12);
    message.changed = ModSequence(345);
    message.copied = true;
    message.key = std::make_shared<const std::string>("a key\0 of any octets", 20);
    return message;
}

void expect_same(const Message& a, const Message& b) {
    EXPECT_EQ(a.order, b.order);
    EXPECT_EQ(a.unique_id, b.unique_id);
    EXPECT_EQ(a.body, b.body);
    EXPECT_EQ(a.octets, b.octets);
    EXPECT_EQ(a.wire_octets, b.wire_octets);
    EXPECT_EQ(a.received, b.received);
    EXPECT_EQ(a.ascii_octets, b.ascii_octets);
    ASSERT_EQ(a.key != nullptr, b.key != nullptr);
    if (a.key) EXPECT_EQ(*a.key, *b.key);
}
void expect_same(const StoredMessage& a, const StoredMessage& b) {
    expect_same(static_cast<const Message&>(a), static_cast<const Message&>(b));
    EXPECT_EQ(a.mailbox, b.mailbox);
    EXPECT_EQ(a.own_uid, b.own_uid);
    EXPECT_EQ(a.flags, b.flags);
    EXPECT_EQ(a.added, b.added);
    EXPECT_EQ(a.changed, b.changed);
    EXPECT_EQ(a.copied, b.copied);
}
void expect_same(const MailboxRecord& a, const MailboxRecord& b) {
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.next_order, b.next_order);
    EXPECT_EQ(a.totals, b.totals);
    EXPECT_EQ(a.list_changes, b.list_changes);
    EXPECT_EQ(a.changed, b.changed);
    EXPECT_EQ(a.uid_validity, b.uid_validity);
    EXPECT_EQ(a.subscribed, b.subscribed);
    EXPECT_EQ(a.use, b.use);
    EXPECT_EQ(a.removed, b.removed);
}
void expect_same(const AccountRecord& a, const AccountRecord& b) {
    EXPECT_EQ(a.generation, b.generation);
    expect_same(a.inbox, b.inbox);
    EXPECT_EQ(a.totals(), b.totals());
    EXPECT_EQ(a.earliest_expiry, b.earliest_expiry);
    EXPECT_EQ(a.closed, b.closed);
    ASSERT_EQ(a.others.has_value(), b.others.has_value());
    if (a.others) {
        EXPECT_EQ(a.others->next, b.others->next);
        EXPECT_EQ(a.others->mailboxes, b.others->mailboxes);
        EXPECT_EQ(a.others->removed, b.others->removed);
        EXPECT_EQ(a.others->last_uid_validity, b.others->last_uid_validity);
    }
    EXPECT_EQ(a.retention, b.retention);
    ASSERT_EQ(a.log.has_value(), b.log.has_value());
    if (!a.log) return;
    EXPECT_EQ(a.log->rows, b.log->rows);
    EXPECT_EQ(a.log->forgotten, b.log->forgotten);
    EXPECT_EQ(a.log->oldest, b.log->oldest);
}

template <class T>
T value_of(Result<T> result) {
    EXPECT_TRUE(result) << (result ? "" : result.error().detail());
    return result ? std::move(*result) : T();
}

TEST(Record, ReadsBackWhatItWrote) {
    for (const auto& m : {kMessage, full_message()}) {
        const auto key = keys::message(m.mailbox, m.order);
        expect_same(value_of(decode_message({key, encode(m)})), m);
        Message basics;
        ASSERT_TRUE(decode_message({key, encode(m)}, basics));
        expect_same(basics, static_cast<const Message&>(m));
        auto retained = kRetained;
        retained.message = m;
        if (m.mailbox != kInbox) retained.mailbox = "Räume/Eins";
        const auto again =
            value_of(decode_retained({keys::retained(retained.expires, m.mailbox, m.order), encode(retained)}));
        expect_same(again.message, m);
        EXPECT_EQ(again.deleted, retained.deleted);
        EXPECT_EQ(again.expires, retained.expires);
        EXPECT_EQ(again.reason, retained.reason);
        EXPECT_EQ(again.mailbox, retained.mailbox);
        EXPECT_TRUE(again.devices.empty());
        EXPECT_FALSE(again.kept_twice);
        retained.devices = {0, 77, 0xf'ffff};
        retained.kept_twice = true;
        const auto deleted = encode(retained);
        const auto place = keys::retained(retained.expires, m.mailbox, m.order);
        const auto by_devices = value_of(decode_retained({place, deleted}));
        expect_same(by_devices.message, m);
        EXPECT_EQ(by_devices.devices, retained.devices);
        EXPECT_TRUE(by_devices.kept_twice);
        EXPECT_FALSE(decode_retained({place, deleted.substr(0, deleted.size() - 1)}));
        EXPECT_FALSE(decode_message({key, deleted})) << "a live message has no such fields";
    }
    using Area = Place::Area;
    for (const auto& p : {Place{Area::live, kInbox, OrderKey(1), {}},
                          {Area::retained, kInbox, OrderKey(2), at(3)},
                          {Area::live, MailboxId(9), OrderKey(1), {}},
                          {Area::retained, MailboxId(~0u), OrderKey(2), at(3)}})
        EXPECT_EQ(value_of(decode_place(encode(p))), p);
    EXPECT_EQ(value_of(decode_number(encode_number(~0ull))), ~0ull);
}

TEST(Record, ReadsBackAccountsAndMailboxes) {
    expect_same(value_of(decode_account(encode(kAccount))), kAccount);
    for (bool applied : {false, true}) {
        auto keeps = kAccount;
        keeps.retention = Retention{std::chrono::days(60), applied};
        expect_same(value_of(decode_account(encode(keeps))), keeps);
    }
    auto full = kAccount;
    full.inbox.totals = {10, 20, 3, -7, 6, 2};
    full.inbox.subscribed = true;
    full.closed = true;
    full.others = OtherMailboxes{MailboxId(12), 8, 1, 100, 200, 1'767'225'601};
    full.log = ChangeLog{7, engine::ChangeNumber(380), at(1'767'225'600'000)};
    expect_same(value_of(decode_account(encode(full))), full);
    for (std::int64_t growth : {0, 5, -1, -100'000}) {
        full.inbox.totals.ascii_growth = growth;
        EXPECT_EQ(value_of(decode_account(encode(full))).inbox.totals, full.inbox.totals) << growth;
    }
    auto mailbox = full.inbox;
    mailbox.name = "Sent";
    mailbox.use = SpecialUse::sent;
    for (bool removed : {false, true}) {
        mailbox.removed = removed;
        expect_same(value_of(decode_mailbox(encode(mailbox))), mailbox);
    }
    mailbox.totals = {};
    mailbox.subscribed = false;
    mailbox.use = SpecialUse::none;
    expect_same(value_of(decode_mailbox(encode(mailbox))), mailbox);
}

TEST(Record, APlainMessageTakesNoMoreThanTwoNumbersBesideWhatItAlwaysHad) {
    auto message = kMessage;
    message.added = ModSequence(100);
    EXPECT_EQ(encode(message).size(), early_message(message, 1).size() + 2);
}

TEST(Record, EarlyMessagesAreReadAndWhatTheSecondVersionCountedIsPassedOver) {
    for (std::uint8_t version : {1, 2, 3}) {
        auto message = kMessage;
        if (version != 1) message.ascii_octets = 900;
        auto expected = message;
        if (version == 2) expected.ascii_octets = 0;
        const auto read =
            value_of(decode_message({keys::message(kInbox, message.order), early_message(message, version)}));
        expect_same(read, expected);
        EXPECT_EQ(read.uid(), Uid(7));
        EXPECT_EQ(read.mod_sequence(), ModSequence(1)) << "a mod-sequence is never 0";
        RetainedMessage retained{message, kRetained.deleted, kRetained.expires, "pop3", ""};
        const auto again = value_of(decode_retained(
            {keys::retained(retained.expires, kInbox, message.order), early_retained(retained, version)}));
        expect_same(again.message, expected);
        EXPECT_EQ(again.reason, "pop3");
        Message basics;
        message.ascii_octets = 0;
        const bool impossible = version != 1;
        EXPECT_EQ(!decode_message({keys::message(kInbox, message.order), early_message(message, version)}, basics),
                  impossible)
            << "it never counted none";
    }
}

TEST(Record, EarlyAccountsAreReadWithUidsAndChangesFromTheBeginning) {
    for (std::uint8_t version : {1, 2, 3, 4}) {
        auto record = kAccount;
        if (version != 1) record.inbox.totals.utf8_messages = 1, record.inbox.totals.ascii_growth = -1;
        auto expected = record;
        if (version == 2) expected.inbox.totals.utf8_messages = 0, expected.inbox.totals.ascii_growth = 0;
        expected.closed = version == 4;
        expected.inbox.list_changes = 299;
        expected.inbox.changed = ModSequence(1);
        expected.inbox.uid_validity = 1;
        const auto read = value_of(decode_account(early_account(record, version)));
        expect_same(read, expected);
        EXPECT_TRUE(read.early);
        EXPECT_FALSE(value_of(decode_account(encode(read))).early);
    }
}

TEST(Record, KeysSortAsTheirNumbersDo) {
    EXPECT_LT(keys::message(kInbox, OrderKey(255)), keys::message(kInbox, OrderKey(256)));
    EXPECT_LT(keys::retained(at(255), kInbox, OrderKey(9)), keys::retained(at(256), kInbox, OrderKey(1)));
    EXPECT_LT(keys::retained(at(256), kInbox, OrderKey(1)), keys::retained(at(256), kInbox, OrderKey(2)));
    auto until = keys::retained_until(at(256));
    EXPECT_LT(keys::retained(at(256), kInbox, OrderKey(~0ull)), until.end);
    EXPECT_GE(keys::retained(at(257), kInbox, OrderKey(0)), until.end);
    EXPECT_EQ(keys::expiry_of(keys::retained(at(256), kInbox, OrderKey(1))), at(256));
}

TEST(Record, UniqueIdsAreOneTo70PrintableCharacters) {
    struct Case {
        std::string text;
        bool accepted;
    };
    for (const auto& [text, accepted] : {Case{"!", true},
                                         {"~", true},
                                         {std::string(70, 'x'), true},
                                         {"", false},
                                         {std::string(71, 'x'), false},
                                         {"a b", false},
                                         {"a\n", false},
                                         {"\x7f", false},
                                         {"\x80", false},
                                         {std::string(1, '\0'), false}})
        EXPECT_EQ(is_unique_id(text), accepted) << text;
    EXPECT_TRUE(is_unique_id(make_unique_id(kAccount.generation, MailboxId(~0u), OrderKey(~0ull))));
}

TEST(Record, TheGenerationOfNowIsOfItsAccountAndOfItsStart) {
    EXPECT_EQ(generation_now("000000000000", "0123456789ab"), "0123456789ab");
    EXPECT_EQ(generation_now("zzzzzzzzzzzz", "111111111111"), "000000000000");
    EXPECT_NE(generation_now("0123456789ab", "aaaaaaaaaaaa"), generation_now("0123456789ab", "aaaaaaaaaaab"));
    EXPECT_TRUE(is_unique_id(generation_now("!!!!!!!!!!!!", "~~~~~~~~~~~~")));
}

TEST(Record, ThePlaceIsReadFromWhatAnAccountMayHaveMade) {
    for (auto mailbox : {kInbox, MailboxId(2), MailboxId(~0u)})
        for (auto order : {OrderKey(1), OrderKey(32), OrderKey(~0ull)}) {
            StoredMessage message{{order, make_unique_id(kAccount.generation, mailbox, order), {}, 0, 0, {}}, mailbox};
            EXPECT_TRUE(is_unique_id(message.unique_id));
            EXPECT_EQ(place_in(message.unique_id), live_place(message));
            EXPECT_TRUE(is_found_by_place(message));
            ++message.order.value;
            EXPECT_FALSE(is_found_by_place(message)) << "the unique-id speaks of another place";
            --message.order.value;
            message.mailbox = MailboxId(17);
            EXPECT_FALSE(is_found_by_place(message)) << "the unique-id speaks of another mailbox";
        }
    for (auto text : {"", "1", "0123456789ab", "0123456789ab01", "0123456789abL", "0123456789ab1-", "0123456789ab-2",
                      "0123456789ab1-1", "0123456789ab1-02", "0123456789ab1-2-3", "0123456789ab1-4000000"})
        EXPECT_EQ(place_in(text), std::nullopt) << text;
    EXPECT_FALSE(is_found_by_place(kMessage));
}

TEST(Record, EveryShortenedOrLengthenedRecordIsCorrupt) {
    auto mailbox_record = kAccount.inbox;
    mailbox_record.name = "Sent";
    const auto account = encode(kAccount), mailbox = encode(mailbox_record), message = encode(kMessage),
               retained = encode(kRetained), place = encode(Place{Place::Area::retained, kInbox, OrderKey(2), at(3)}),
               number = encode_number(200);
    const auto message_key = keys::message(kInbox, OrderKey(7)),
               retained_key = keys::retained(at(8), kInbox, OrderKey(7));
    auto all_refuse = [&](auto change) {
        EXPECT_FALSE(decode_account(change(account)));
        EXPECT_FALSE(decode_mailbox(change(mailbox)));
        EXPECT_FALSE(decode_message({message_key, change(message)}));
        EXPECT_FALSE(decode_retained({retained_key, change(retained)}));
        EXPECT_FALSE(decode_place(change(place)));
        EXPECT_FALSE(decode_number(change(number)));
        EXPECT_FALSE(decode_message({change(message_key), message}));
        EXPECT_FALSE(decode_retained({change(retained_key), retained}));
    };
    for (std::size_t cut = 1; cut <= 5; ++cut)
        all_refuse([&](std::string s) { return s.substr(0, s.size() - std::min(cut, s.size())); });
    all_refuse([](const std::string& s) { return s + "x"; });
    all_refuse([](const std::string&) { return std::string(); });
}

TEST(Record, AnUnknownVersionOrFieldIsNotGuessedAt) {
    auto mailbox_record = kAccount.inbox;
    mailbox_record.name = "Sent";
    for (auto value :
         {encode(kAccount), encode(mailbox_record), encode(kMessage), encode(kRetained), encode(Place{})}) {
        auto refused = [&](const std::string& bytes) {
            EXPECT_FALSE(decode_account(bytes));
            EXPECT_FALSE(decode_mailbox(bytes));
            EXPECT_FALSE(decode_message({keys::message(kInbox, OrderKey(7)), bytes}));
            EXPECT_FALSE(decode_retained({keys::retained(at(8), kInbox, OrderKey(7)), bytes}));
            EXPECT_FALSE(decode_place(bytes));
        };
        auto later = value;
        later[0] = 6;
        refused(later);
        value[0] = 5;
        value.replace(1, 1, "\x80\x01");
        refused(value);
    }
}

TEST(Record, RandomBytesNeverDoMoreThanFail) {
    std::mt19937_64 random(1);
    auto full = kRetained;
    full.message = full_message();
    full.mailbox = "Sent";
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes = i % 2 == 0 ? encode(kRetained) : encode(full);
        for (int changes = 0; changes < 3; ++changes) bytes[random() % bytes.size()] = static_cast<char>(random());
        bytes.resize(random() % (bytes.size() + 1));
        for (const auto& key :
             {keys::message(kInbox, OrderKey(7)), keys::retained(at(8), MailboxId(2), OrderKey(7)), bytes}) {
            if (auto m = decode_message({key, bytes}); m) EXPECT_TRUE(is_unique_id(m->unique_id));
            if (auto r = decode_retained({key, bytes}); r) EXPECT_TRUE(is_unique_id(r->message.unique_id));
        }
        if (auto m = decode_account(bytes); m) EXPECT_EQ(m->generation.size(), kGenerationLength);
        if (auto p = decode_place(bytes); p) EXPECT_LE(static_cast<int>(p->area), 1);
    }
}

}  // namespace
}  // namespace poplar::mailstore
