#include "bench/load/messages.h"

#include <gtest/gtest.h>

#include <set>

namespace poplar::bench {
namespace {

using Verdict = MessageReader::Verdict;

/// Shows `stream` to a reader in pieces of `cut` octets, as a connection does: what was not taken comes again.
struct Read {
    Verdict verdict;
    std::uint64_t octets;
    std::string rest;
};
Read read(const std::string& stream, std::size_t cut) {
    MessageReader reader;
    reader.begin();
    std::string visible;
    std::size_t shown = 0;
    for (;;) {
        visible.erase(0, reader.take(visible));
        if (reader.at_end() || shown == stream.size()) break;
        visible += stream.substr(shown, cut);
        shown = std::min(stream.size(), shown + cut);
    }
    EXPECT_TRUE(reader.at_end());
    return {reader.verdict(), reader.octets(), visible + stream.substr(shown)};
}

TEST(MessageReader, KnowsAMessageAgainHoweverItIsCut) {
    for (std::size_t size : {0, 500, 4096, 60'000}) {
        std::string message = make_message(size, 7) + ".\r\n";
        std::string stream = "Return-Path: <a@b>\r\nReceived: from x\r\n\tby y\r\n" + message + "+OK next\r\n";
        for (std::size_t cut : {std::size_t{1}, std::size_t{7}, std::size_t{1000}, stream.size()}) {
            auto [verdict, octets, rest] = read(stream, cut);
            EXPECT_EQ(verdict, Verdict::good) << size << " cut " << cut;
            EXPECT_EQ(octets, stream.size() - 10);
            EXPECT_TRUE(std::string_view("+OK next\r\n").starts_with(rest) || rest == "+OK next\r\n");
        }
    }
}

TEST(MessageReader, SeesEveryOctetThatIsNotAsItWas) {
    const std::string good = make_message(700, 1) + ".\r\n";
    const std::size_t body = good.find("\r\n") + 2;
    for (std::size_t at = body; at < good.size() - 5; at += 13) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        EXPECT_EQ(read(bad + "\r\n.\r\n", 256).verdict, Verdict::bad) << at;
    }
}

TEST(MessageReader, SeesWhatWasAddedOrLost) {
    const std::string good = make_message(700, 1);
    EXPECT_EQ(read(good + "one line more\r\n.\r\n", 64).verdict, Verdict::bad);
    std::string shorter = good;
    shorter.erase(300, 40);
    EXPECT_EQ(read(shorter + ".\r\n\r\n.\r\n", 64).verdict, Verdict::bad);
}

TEST(MessageReader, FindsTheEndOfMailThatIsNotOurs) {
    for (std::string_view text : {"Subject: x\r\n\r\nhello\r\n", "", "..stuffed\r\n", "a line\r\n..\r\n"}) {
        std::string stream = std::string(text) + ".\r\n";
        for (std::size_t cut : {std::size_t{1}, stream.size()}) {
            auto [verdict, octets, rest] = read(stream, cut);
            EXPECT_EQ(verdict, Verdict::unmarked) << text;
            EXPECT_EQ(octets, stream.size()) << text;
        }
    }
}

TEST(MakeMessage, IsInWireFormAndOfAboutTheSizeAsked) {
    for (std::size_t size : {1000, 4096, 50'000, 1'000'000}) {
        std::string message = make_message(size, 3);
        EXPECT_NEAR(static_cast<double>(message.size()), static_cast<double>(size), 160) << size;
        EXPECT_TRUE(message.ends_with("\r\n"));
        for (auto at = message.find("\n."); at != message.npos; at = message.find("\n.", at + 1))
            EXPECT_EQ(message.substr(at + 1, 2), "..");
        for (auto at = message.find('\n'); at != message.npos; at = message.find('\n', at + 1))
            EXPECT_EQ(message[at - 1], '\r');
    }
}

TEST(MessagePool, TheMixHasItsMedianAndItsTail) {
    MessagePool pool({.fixed = 0});
    std::multiset<std::size_t> sizes;
    double sum = 0;
    for (std::size_t i = 0; i < pool.size(); ++i) sum += static_cast<double>(*sizes.insert(pool.at(i).size()));
    EXPECT_NEAR(static_cast<double>(*std::next(sizes.begin(), static_cast<long>(pool.size() / 2))), 10'000, 300);
    EXPECT_NEAR(sum / static_cast<double>(pool.size()), 40'000, 3000);
    EXPECT_GT(*sizes.rbegin(), 1'000'000U);
    EXPECT_LE(*sizes.rbegin(), 5'000'200U);
}

}  // namespace
}  // namespace poplar::bench
