#include "queue/record.h"

#include <gtest/gtest.h>

namespace poplar::queue {
namespace {

using namespace std::chrono_literals;

Part some_part() {
    Part part;
    part.message = "0123456789ab";
    part.number = 7;
    part.domain = "far.example";
    part.attempts = 3;
    part.due = Timestamp(1'700'000'000'123ms);
    part.attempted = Timestamp(1'600'000'000'000ms);
    part.stored_due = part.due;
    part.released = Timestamp(1'600'000'000'001ms);
    part.recipients = {{.address = "a@far.example"},
                       {.address = "b@far.example",
                        .state = Recipient::State::failed,
                        .notify = {.given = true, .success = true, .delay = true},
                        .orcpt = "rfc822;x@y.example",
                        .reply = "550 5.1.1 who?",
                        .status = "5.1.1",
                        .host = "mx.far.example",
                        .report_due = true,
                        .delay_told = true}};
    return part;
}

TEST(QueueRecord, APartDecodesToItself) {
    const auto part = some_part();
    auto back = decode_part(part_key(part.message, part.number), encode(part));
    ASSERT_TRUE(back) << back.error().detail();
    EXPECT_EQ(back->message, part.message);
    EXPECT_EQ(back->number, part.number);
    EXPECT_EQ(back->domain, part.domain);
    EXPECT_EQ(back->attempts, part.attempts);
    EXPECT_EQ(back->due, part.due);
    EXPECT_EQ(back->attempted, part.attempted);
    EXPECT_EQ(back->stored_due, part.stored_due);
    EXPECT_EQ(back->released, part.released);
    EXPECT_FALSE(back->held);
    EXPECT_EQ(back->recipients, part.recipients);
}

TEST(QueueRecord, AMessageDecodesToItself) {
    Message message{.id = "0123456789ab",
                    .sender = "jane@example.test",
                    .account = "jane@example.test",
                    .envelope_id = "x y",
                    .ret = mail::ReturnContent::headers,
                    .utf8 = true,
                    .body = engine::BodyId(9),
                    .octets = 12345,
                    .parts = 3,
                    .arrived = Timestamp(5s),
                    .finished = Timestamp(9s)};
    auto back = decode_message(message.id, encode(message));
    ASSERT_TRUE(back);
    EXPECT_EQ(encode(*back), encode(message));
    EXPECT_EQ(back->finished, message.finished);
    EXPECT_FALSE(back->eight_bit);
}

TEST(QueueRecord, AMessageThatDemandsTlsHasAVersionThatOlderProgramsRefuse) {
    Message message{.id = "0123456789ab", .parts = 1};
    EXPECT_EQ(encode(message)[0], 1);
    message.tls = TlsWish::optional;
    EXPECT_EQ(encode(message)[0], 1);
    EXPECT_EQ(decode_message(message.id, encode(message))->tls, TlsWish::optional);
    message.tls = TlsWish::required;
    EXPECT_EQ(encode(message)[0], 2);
    EXPECT_EQ(decode_message(message.id, encode(message))->tls, TlsWish::required);
}

TEST(QueueRecord, NoOctetsOfARecordMayBeMissingOrLeftOver) {
    const auto part = some_part();
    const auto key = part_key(part.message, part.number);
    const auto value = encode(part);
    for (std::size_t size = 0; size < value.size(); ++size)
        EXPECT_FALSE(decode_part(key, value.substr(0, size))) << size;
    EXPECT_FALSE(decode_part(key, value + "x"));
    EXPECT_FALSE(decode_part(key.substr(1), value));
    const auto message = encode(Message{.id = "0123456789ab"});
    EXPECT_FALSE(decode_message("0123456789ab", message + "x"));
    EXPECT_FALSE(decode_message("0123456789ab", message.substr(1)));
}

TEST(QueueRecord, PlacesAreInTheOrderOfTime) {
    const std::string id = "0123456789ab";
    EXPECT_LT(due_key(Timestamp(255ms), id, 9), due_key(Timestamp(256ms), id, 1));
    EXPECT_LT(due_key(Timestamp(256ms), id, 1), due_key(Timestamp(256ms), id, 256));
    auto place = parse_due_key(due_key(Timestamp(256ms), id, 77));
    ASSERT_TRUE(place);
    EXPECT_EQ(place->time, Timestamp(256ms));
    EXPECT_EQ(place->message, id);
    EXPECT_EQ(place->number, 77u);
    EXPECT_FALSE(parse_due_key("d123"));
    EXPECT_EQ(parse_finished_key(finished_key(Timestamp(1s), id))->message, id);
}

TEST(QueueRecord, AReplyIsKeptInOneShortPrintableLine) {
    EXPECT_EQ(kept_reply("550 no\r\nthank\tyou"), "550 no  thank you");
    EXPECT_EQ(kept_reply("550 \xff\xfe"), "550 ??");
    EXPECT_EQ(kept_reply("550 gr\u00fc\u00df"), "550 gr\u00fc\u00df");
    std::string umlauts = "x";
    while (umlauts.size() < 2 * kReplyLimit) umlauts += "\u00fc";
    const auto kept = kept_reply(umlauts);
    EXPECT_LE(kept.size(), kReplyLimit);
    EXPECT_TRUE(umlauts.starts_with(kept)) << "no character is cut in two";
}

}  // namespace
}  // namespace poplar::queue
