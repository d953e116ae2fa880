#include "mail/header_mender.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace poplar::mail {
namespace {

using namespace std::string_literals;

std::string mended(std::string_view in, std::size_t step = std::string_view::npos) {
    HeaderMender mender;
    std::string out;
    const auto size = in.size();
    while (!in.empty()) {
        const auto piece = std::string(in.substr(0, step));  // not there any more when the next one comes
        out += mender.pass(piece);
        in.remove_prefix(piece.size());
    }
    out += mender.finish();
    EXPECT_EQ(out.size(), size + mender.added());
    return out;
}

TEST(HeaderMender, PutsInWhatAMessageLacks) {
    const std::string from = "From a@b.example Thu Jan  1 00:00:00 1970\r\n",
                      name = "X-Mailbox-Line: ", longest(kLongestFieldName, 'n');
    struct Case {
        std::string in, out;
    };
    for (const auto& [in, out] : {
             // No header at all.
             Case{"St\u00f6rung: K\u00fchlraum\r\n", "\r\nSt\u00f6rung: K\u00fchlraum\r\n"},
             {"Alarm\r\n", "\r\nAlarm\r\n"},
             {"Alarm", "\r\nAlarm"},
             {" begins folded\r\nA: 1\r\n\r\n", "\r\n begins folded\r\nA: 1\r\n\r\n"},
             {": no name\r\n", "\r\n: no name\r\n"},
             {"..\r\n", "\r\n..\r\n"},
             {"\0"s + "\r\n", "\r\n\0\r\n"s},
             {longest + "nn: x\r\n", "\r\n" + longest + "nn: x\r\n"},
             // No empty line behind it.
             {"A: 1\r\n b\r\nDie T\u00fcr\r\n\r\nB: 2\r\n", "A: 1\r\n b\r\n\r\nDie T\u00fcr\r\n\r\nB: 2\r\n"},
             {"A: 1\r\nSubject without colon\r\nB: 2\r\n\r\n", "A: 1\r\n\r\nSubject without colon\r\nB: 2\r\n\r\n"},
             {"A: 1\r\n--b\r\nB: 2\r\n\r\n", "A: 1\r\n\r\n--b\r\nB: 2\r\n\r\n"},
             {"A: 1\r\nword", "A: 1\r\n\r\nword"},
             // An mbox's line.
             {from + "A: 1\r\n\r\n", name + from + "A: 1\r\n\r\n"},
             {">" + from + "A: 1\r\n\r\n", name + ">" + from + "A: 1\r\n\r\n"},
             {from + "text\r\n", name + from + "\r\ntext\r\n"},
             {"From now on: 5\u20ac\r\n", "\r\nFrom now on: 5\u20ac\r\n"},
             {"From", "\r\nFrom"},
             {"From a@b.example 1:1", "\r\nFrom a@b.example 1:1"},
             {"From " + longest + " 1:1\r\nA: 1\r\n", "\r\nFrom " + longest + " 1:1\r\nA: 1\r\n"},
             {"A: 1\r\n" + from + "\r\n", "A: 1\r\n\r\n" + from + "\r\n"},
         })
        for (std::size_t step : {std::string::npos, std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}})
            EXPECT_EQ(mended(in, step), out) << testing::PrintToString(in) << " in steps of " << step;
}

TEST(HeaderMender, LeavesASoundMessageWhereItLies) {
    for (const auto& message : {"A: 1\r\nB : 2\r\n\tb\r\n\r\ntext\r\n"s, "\r\ntext\r\n"s, "A: 1\r\n"s,
                                "From: \u00fc\r\n\r\n"s, std::string(kLongestFieldName, 'n') + ": x\r\n\r\n"}) {
        HeaderMender mender;
        const auto passed = mender.pass(message);
        EXPECT_EQ(passed.data() + passed.size(), message.data() + message.size()) << message;
        EXPECT_EQ(mender.finish(), "");
        EXPECT_EQ(mender.added(), 0u);
        for (std::size_t step : {1, 2, 3, 7}) EXPECT_EQ(mended(message, step), message);
    }
}

TEST(HeaderMender, WhateverComesIsSoundAfterwardsHoweverItIsCut) {
    std::mt19937 random(5322);
    constexpr std::string_view kPieces[] = {"\r\n", "\r\n", "From ", ">",    ":",  " ", "\t",
                                            "A",    "1:2",  "B: x",  "\xff", "\r", "."};
    for (int i = 0; i < 20'000; ++i) {
        std::string in;
        for (auto count = random() % 20; count > 0; --count) in += kPieces[random() % std::size(kPieces)];
        in += "\r\n";
        const auto out = mended(in);
        HeaderWalk walk;
        walk.feed(out);
        EXPECT_FALSE(walk.lacks_blank_line()) << testing::PrintToString(in);
        EXPECT_EQ(mended(in, 1 + random() % 5), out) << testing::PrintToString(in);
        EXPECT_EQ(mended(out), out) << testing::PrintToString(in);
        if (testing::Test::HasFailure()) break;
    }
}

}  // namespace
}  // namespace poplar::mail
