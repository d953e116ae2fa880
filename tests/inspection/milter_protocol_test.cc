// The milter protocol as octets: packets, terms, answers, and changes of a header.
#include "inspection/milter_protocol.h"

#include <gtest/gtest.h>

#include "inspection/milter.h"

namespace poplar::inspection::milter {
namespace {

using namespace std::string_literals;
using Kind = Answer::Kind;

TEST(MilterPackets, ComeWholeHoweverTheyAreCut) {
    const auto octets = encode('c', "") + encode('y', "550 5.7.1 no\0"s);
    std::string input;
    std::vector<Packet> packets;
    for (const char c : octets) {
        input += c;
        auto packet = take_packet(input);
        ASSERT_TRUE(packet);
        if (*packet) packets.push_back(**packet);
    }
    EXPECT_EQ(packets, (std::vector<Packet>{{'c', ""}, {'y', "550 5.7.1 no\0"s}}));
    EXPECT_EQ(input, "");
}

TEST(MilterPackets, OfAnImpossibleSizeAreRefusedBeforeTheyCome) {
    for (std::string input : {"\0\0\0\0"s, "\xff\xff\xff\xff"s, "\0\x10\0\0"s}) EXPECT_FALSE(take_packet(input));
}

std::string terms(std::uint32_t version, std::uint32_t actions, std::uint32_t steps) {
    std::string out;
    for (const auto value : {version, actions, steps})
        for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
    return out;
}

TEST(MilterTerms, MayWantNoMoreThanWasOffered) {
    EXPECT_TRUE(parse_terms({'O', terms(6, add_headers, no_body)}));
    EXPECT_TRUE(parse_terms({'O', terms(2, kActions, 0) + "more"}));
    EXPECT_FALSE(parse_terms({'O', terms(7, 0, 0)}));
    EXPECT_FALSE(parse_terms({'O', terms(6, 0x04, 0)})) << "it wants to add recipients";
    EXPECT_FALSE(parse_terms({'O', terms(6, 0, 0x800)}));
    EXPECT_FALSE(parse_terms({'c', terms(6, 0, 0)}));
    EXPECT_FALSE(parse_terms({'O', "short"}));
}

TEST(MilterAnswers, AreWordsOrReplies) {
    const auto kind = [](char command, std::string data = "") { return parse_answer({command, data})->kind; };
    EXPECT_EQ(kind('c'), Kind::go_on);
    EXPECT_EQ(kind('t'), Kind::defer);
    EXPECT_EQ(kind('p'), Kind::wait);
    EXPECT_EQ(kind('h'), Kind::change);
    EXPECT_EQ(*parse_answer({'y', "550 5.7.1 Go\raway\0"s}), (Answer{Kind::reject, "Go away"}));
    EXPECT_EQ(*parse_answer({'y', "451 come again"}), (Answer{Kind::defer, "come again"}));
    for (const std::string bad : {"", "250 ok", "55", "x50 no"}) EXPECT_FALSE(parse_answer({'y', bad})) << bad;
    EXPECT_FALSE(parse_answer({'?', ""}));
    EXPECT_FALSE(parse_answer({'+', "<bob@x.test>\0"s})) << "the envelope stays as it is";
}

TEST(MilterFields, LoseTheSpaceBehindTheColonUnlessAgreedOtherwise) {
    Terms plain, spaced;
    spaced.steps = leading_space;
    EXPECT_EQ(header_data("Subject:  x\r\n\ty\r\n", plain), "Subject\0 x\n\ty\0"s);
    EXPECT_EQ(header_data("Subject:  x\r\n", spaced), "Subject\0  x\0"s);
    EXPECT_EQ(header_data("X:\r\n", plain), "X\0\0"s);
}

std::string at(std::uint32_t index) { return terms(index, 0, 0).substr(0, 4); }

TEST(MilterChanges, AddInsertReplaceAndRemoveFields) {
    Changes changes("A: 1\r\nB: 2\r\n\t3\r\nA: 4\r\n\r\n", {});
    ASSERT_EQ(changes.fields().size(), 3u);
    EXPECT_FALSE(changes.header_changed());
    EXPECT_TRUE(changes.apply({'h', strings({"Z", "last"})}));
    EXPECT_TRUE(changes.apply({'i', at(0) + strings({"First", "a\n\tb"})}));
    EXPECT_TRUE(changes.apply({'m', at(2) + strings({"a", "second"})}));
    EXPECT_TRUE(changes.apply({'m', at(1) + strings({"B", ""})}));
    EXPECT_TRUE(changes.apply({'m', at(1) + strings({"New", "x"})}));
    EXPECT_TRUE(changes.apply({'m', at(1) + strings({"Nothing", ""})}));
    EXPECT_EQ(changes.header(), "First: a\r\n\tb\r\nA: 1\r\na: second\r\nZ: last\r\nNew: x\r\n\r\n");
}

TEST(MilterChanges, CanNotEndTheHeaderOrSmuggleFields) {
    Changes changes("A: 1\r\n\r\n", {});
    EXPECT_TRUE(changes.apply({'h', strings({"X", "a\r\n\r\nEvil: 1\nMore: 2\n \n"})}));
    EXPECT_EQ(changes.header(), "A: 1\r\nX: a\r\n\tEvil: 1\r\n\tMore: 2\r\n\r\n");
    for (const auto& data : {strings({"X Y", "1"}), strings({"", "1"}), strings({"X"}), std::string("X\0y", 3)})
        EXPECT_FALSE(changes.apply({'h', data}));
    EXPECT_FALSE(changes.apply({'i', "12"}));
}

TEST(MilterChanges, AreBounded) {
    Changes changes("A: 1\r\n\r\n", {});
    const std::string large(60'000, 'x');
    bool refused = false;
    for (int i = 0; i < 100 && !refused; ++i) refused = !changes.apply({'h', strings({"X", large})});
    EXPECT_TRUE(refused);
    refused = false;
    for (int i = 0; i < 1000 && !refused; ++i) refused = !changes.apply({'b', large});
    EXPECT_TRUE(refused);
    EXPECT_LE(changes.body()->size(), kMostBody);
}

TEST(MilterPlaces, AreInetOrUnix) {
    EXPECT_EQ(*parse_milter_place("inet:127.0.0.1:11391"), (MilterPlace{"", "127.0.0.1", 11391}));
    EXPECT_EQ(*parse_milter_place("inet6:[::1]:1"), (MilterPlace{"", "::1", 1}));
    EXPECT_EQ(*parse_milter_place("unix:/run/x.sock"), (MilterPlace{"/run/x.sock", "", 0}));
    for (const char* bad : {"", "inet:", "inet:127.0.0.1", "inet:127.0.0.1:0", "inet:127.0.0.1:65536", "inet:host:1",
                            "unix:x.sock", "127.0.0.1:1", "tcp:127.0.0.1:1"})
        EXPECT_FALSE(parse_milter_place(bad)) << bad;
}

}  // namespace
}  // namespace poplar::inspection::milter
