#include "mailstore/record.h"

#include <gtest/gtest.h>

#include <random>

namespace poplar::mailstore {
namespace {

Timestamp at(std::int64_t millis) { return Timestamp(std::chrono::milliseconds(millis)); }

const Message kMessage{OrderKey(7), "unique", engine::BodyId(9), 1000, 1003, at(1'767'225'600'123)};
const RetainedMessage kRetained{kMessage, at(1'767'225'700'000), at(1'769'817'700'000), "pop3"};
const MailboxRecord kMailbox{"0123456789ab", OrderKey(300), {1, 2, 3, 4}, at(1'769'817'700'000)};

TEST(Record, ReadsBackWhatItWrote) {
    auto mailbox = decode_mailbox(encode(kMailbox));
    ASSERT_TRUE(mailbox);
    EXPECT_EQ(mailbox->generation, kMailbox.generation);
    EXPECT_EQ(mailbox->next_order, kMailbox.next_order);
    EXPECT_EQ(mailbox->totals.messages, 1u);
    EXPECT_EQ(mailbox->totals.octets, 2u);
    EXPECT_EQ(mailbox->totals.retained_messages, 3u);
    EXPECT_EQ(mailbox->totals.retained_octets, 4u);
    EXPECT_EQ(mailbox->earliest_expiry, kMailbox.earliest_expiry);

    auto retained = decode_retained({keys::retained(kRetained.expires, kMessage.order), encode(kRetained)});
    ASSERT_TRUE(retained);
    EXPECT_EQ(retained->deleted, kRetained.deleted);
    EXPECT_EQ(retained->expires, kRetained.expires);
    EXPECT_EQ(retained->reason, kRetained.reason);
    for (const auto& m : {retained->message, *decode_message({keys::message(kMessage.order), encode(kMessage)})}) {
        EXPECT_EQ(m.order, kMessage.order);
        EXPECT_EQ(m.unique_id, kMessage.unique_id);
        EXPECT_EQ(m.body, kMessage.body);
        EXPECT_EQ(m.octets, kMessage.octets);
        EXPECT_EQ(m.wire_octets, kMessage.wire_octets);
        EXPECT_EQ(m.received, kMessage.received);
    }
    for (const auto& p : {Place{Place::Area::live, OrderKey(1), {}}, {Place::Area::retained, OrderKey(2), at(3)}}) {
        auto place = decode_place(encode(p));
        ASSERT_TRUE(place);
        EXPECT_EQ(place->area, p.area);
        EXPECT_EQ(place->order, p.order);
        EXPECT_EQ(place->expires, p.expires);
    }
}

TEST(Record, OnlyUtf8InHeadersNeedsTheThirdVersionAndTheFirstIsStillRead) {
    auto message = kMessage;
    EXPECT_EQ(encode(message)[0], 1);
    EXPECT_EQ(decode_message({keys::message(message.order), encode(message)})->ascii_octets, 0u);
    auto retained = kRetained;
    for (std::uint64_t octets : {1, 900, 1000, 3000}) {
        message.ascii_octets = retained.message.ascii_octets = octets;
        EXPECT_EQ(encode(message)[0], 3);
        EXPECT_EQ(decode_message({keys::message(message.order), encode(message)})->ascii_octets, octets);
        auto again = decode_retained({keys::retained(retained.expires, message.order), encode(retained)});
        ASSERT_TRUE(again);
        EXPECT_EQ(again->message.ascii_octets, octets);
        EXPECT_EQ(again->reason, retained.reason);
    }
    auto mailbox = kMailbox;
    EXPECT_EQ(encode(mailbox)[0], 1);
    EXPECT_EQ(decode_mailbox(encode(mailbox))->totals.ascii_octets(), mailbox.totals.octets);
    for (std::int64_t growth : {0, 5, -1, -100'000}) {
        mailbox.totals.utf8_messages = 3;
        mailbox.totals.ascii_growth = growth;
        EXPECT_EQ(encode(mailbox)[0], 3);
        auto again = decode_mailbox(encode(mailbox));
        ASSERT_TRUE(again) << growth;
        EXPECT_EQ(again->totals, mailbox.totals) << growth;
    }
}

TEST(Record, WhatTheSecondVersionCountedIsPassedOver) {
    auto retained = kRetained;
    retained.message.ascii_octets = 900;
    auto mailbox = kMailbox;
    mailbox.totals.utf8_messages = 3;
    mailbox.totals.ascii_growth = -100;
    const auto second = [](std::string value) {
        value[0] = 2;
        return value;
    };
    auto message = decode_message({keys::message(kMessage.order), second(encode(retained.message))});
    ASSERT_TRUE(message);
    EXPECT_EQ(message->ascii_octets, 0u);
    EXPECT_EQ(message->octets, kMessage.octets);
    auto again = decode_retained({keys::retained(retained.expires, kMessage.order), second(encode(retained))});
    ASSERT_TRUE(again);
    EXPECT_EQ(again->message.ascii_octets, 0u);
    EXPECT_EQ(again->reason, retained.reason);
    auto counted = decode_mailbox(second(encode(mailbox)));
    ASSERT_TRUE(counted);
    EXPECT_EQ(counted->totals, kMailbox.totals);
    EXPECT_EQ(encode(*counted)[0], 1);
}

TEST(Record, AClosedMailboxIsOfAVersionOfItsOwn) {
    auto mailbox = kMailbox;
    EXPECT_FALSE(decode_mailbox(encode(mailbox))->closed);
    mailbox.closed = true;
    for (std::uint64_t utf8 : {0, 3}) {
        mailbox.totals.utf8_messages = utf8;
        EXPECT_EQ(encode(mailbox)[0], 4);
        auto again = decode_mailbox(encode(mailbox));
        ASSERT_TRUE(again);
        EXPECT_TRUE(again->closed);
        EXPECT_EQ(again->totals, mailbox.totals);
    }
}

TEST(Record, KeysSortAsTheirNumbersDo) {
    EXPECT_LT(keys::message(OrderKey(255)), keys::message(OrderKey(256)));
    EXPECT_LT(keys::retained(at(255), OrderKey(9)), keys::retained(at(256), OrderKey(1)));
    EXPECT_LT(keys::retained(at(256), OrderKey(1)), keys::retained(at(256), OrderKey(2)));
    auto until = keys::retained_until(at(256));
    EXPECT_LT(keys::retained(at(256), OrderKey(~0ull)), until.end);
    EXPECT_GE(keys::retained(at(257), OrderKey(0)), until.end);
    EXPECT_EQ(keys::expiry_of(keys::retained(at(256), OrderKey(1))), at(256));
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
    EXPECT_TRUE(is_unique_id(make_unique_id(kMailbox.generation, OrderKey(~0ull))));
}

TEST(Record, TheGenerationOfNowIsOfItsMailboxAndOfItsStart) {
    EXPECT_EQ(generation_now("000000000000", "0123456789ab"), "0123456789ab");
    EXPECT_EQ(generation_now("zzzzzzzzzzzz", "111111111111"), "000000000000");
    EXPECT_NE(generation_now("0123456789ab", "aaaaaaaaaaaa"), generation_now("0123456789ab", "aaaaaaaaaaab"));
    EXPECT_TRUE(is_unique_id(generation_now("!!!!!!!!!!!!", "~~~~~~~~~~~~")));
}

TEST(Record, TheOrderIsReadFromWhatAMailboxMayHaveMade) {
    for (auto order : {OrderKey(1), OrderKey(32), OrderKey(~0ull)}) {
        Message message{order, make_unique_id(kMailbox.generation, order), {}, 0, 0, {}};
        EXPECT_EQ(order_in(message.unique_id), order);
        EXPECT_TRUE(is_found_by_order(message));
        ++message.order.value;
        EXPECT_FALSE(is_found_by_order(message)) << "the unique-id speaks of another place";
    }
    for (auto text : {"", "1", "0123456789ab", "0123456789ab01", "0123456789abL", "0123456789ab1-"})
        EXPECT_EQ(order_in(text), std::nullopt) << text;
    EXPECT_FALSE(is_found_by_order(kMessage));
}

TEST(Record, EveryShortenedOrLengthenedRecordIsCorrupt) {
    const auto mailbox = encode(kMailbox), message = encode(kMessage), retained = encode(kRetained),
               place = encode(Place{Place::Area::retained, OrderKey(2), at(3)});
    const auto message_key = keys::message(OrderKey(7)), retained_key = keys::retained(at(8), OrderKey(7));
    auto all_refuse = [&](auto change) {
        EXPECT_FALSE(decode_mailbox(change(mailbox)));
        EXPECT_FALSE(decode_message({message_key, change(message)}));
        EXPECT_FALSE(decode_retained({retained_key, change(retained)}));
        EXPECT_FALSE(decode_place(change(place)));
        EXPECT_FALSE(decode_message({change(message_key), message}));
        EXPECT_FALSE(decode_retained({change(retained_key), retained}));
    };
    for (std::size_t cut = 1; cut <= 5; ++cut)
        all_refuse([&](std::string s) { return s.substr(0, s.size() - std::min(cut, s.size())); });
    all_refuse([](const std::string& s) { return s + "x"; });
    all_refuse([](const std::string&) { return std::string(); });
}

TEST(Record, AnUnknownVersionIsNotGuessedAt) {
    for (auto value : {encode(kMailbox), encode(kMessage), encode(kRetained), encode(Place{})}) {
        value[0] = 5;
        EXPECT_FALSE(decode_mailbox(value));
        EXPECT_FALSE(decode_message({keys::message(OrderKey(7)), value}));
        EXPECT_FALSE(decode_retained({keys::retained(at(8), OrderKey(7)), value}));
        EXPECT_FALSE(decode_place(value));
    }
}

TEST(Record, RandomBytesNeverDoMoreThanFail) {
    std::mt19937_64 random(1);
    const auto retained = encode(kRetained);
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes = retained;
        for (int changes = 0; changes < 3; ++changes) bytes[random() % bytes.size()] = static_cast<char>(random());
        bytes.resize(random() % (bytes.size() + 1));
        for (const auto& key : {keys::message(OrderKey(7)), keys::retained(at(8), OrderKey(7)), bytes}) {
            if (auto m = decode_message({key, bytes}); m) EXPECT_TRUE(is_unique_id(m->unique_id));
            if (auto r = decode_retained({key, bytes}); r) EXPECT_TRUE(is_unique_id(r->message.unique_id));
        }
        if (auto m = decode_mailbox(bytes); m) EXPECT_EQ(m->generation.size(), kGenerationLength);
        if (auto p = decode_place(bytes); p) EXPECT_LE(static_cast<int>(p->area), 1);
    }
}

}  // namespace
}  // namespace poplar::mailstore
