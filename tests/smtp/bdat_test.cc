// CHUNKING (RFC 3030 s2).
#include <gtest/gtest.h>

#include "tests/smtp/talk.h"

namespace poplar::smtp {
namespace {

using namespace poplar::test;
using Script = ScriptConnection::Script;

struct Case {
    std::string input, replies;       // after the envelope
    std::vector<std::string> stored;  // contents
};

void check(std::initializer_list<Case> cases) {
    for (const auto& [input, replies, stored] : cases)
        for (std::size_t cut : {0, 1, 3}) {
            World world;
            auto transcript = talk(world, Script{.flights = {kHello + kEnvelope + input}, .cut = cut});
            EXPECT_EQ(after_hello(transcript.output), "250 2.1.0, 250 2.1.5, " + replies) << input;
            std::vector<std::string> contents;
            for (const auto& message : world.inbox("demo@example.test")) contents.push_back(text_alone_of(message));
            EXPECT_EQ(contents, stored) << input;
        }
}

TEST(Bdat, CountsItsOctetsExactly) {
    check({{"BDAT 3 LAST\r\na\r\n", "250 2.0.0", {"a\r\n"}},
           {"BDAT 3 LAST\r\na\r\nNOOP\r\n", "250 2.0.0, 250 2.0.0", {"a\r\n"}},
           {"BDAT 1\r\naBDAT 1\r\n\rBDAT 1 LAST\r\n\n", "250 2.0.0, 250 2.0.0, 250 2.0.0", {"a\r\n"}},
           {"BDAT 3\r\na\r\nBDAT 0 LAST\r\n", "250 2.0.0, 250 2.0.0", {"a\r\n"}},
           {"BDAT 0\r\nBDAT 3 LAST\r\nb\r\n", "250 2.0.0, 250 2.0.0", {"b\r\n"}},
           {"BDAT 0 LAST\r\n", "250 2.0.0", {""}}});
}

TEST(Bdat, StuffsAndEndsTheLastLine) {
    check({{"BDAT 4 LAST\r\n.a\r\n", "250 2.0.0", {"..a\r\n"}},
           {"BDAT 3 LAST\r\n.\r\n", "250 2.0.0", {"..\r\n"}},
           {"BDAT 2\r\n\r\nBDAT 2 LAST\r\n.x", "250 2.0.0, 250 2.0.0", {"..x\r\n"}},
           {"BDAT 3 LAST\r\nend", "250 2.0.0", {"end\r\n"}}});
}

TEST(Bdat, NormalizesBareNewlinesSinceItsOctetsAreCounted) {
    check({{"BDAT 3 LAST\r\na\nb", "250 2.0.0", {"a\r\nb\r\n"}},
           {"BDAT 5 LAST\r\na\n.\nb", "250 2.0.0", {"a\r\n..\r\nb\r\n"}},
           {"BDAT 3\r\na\rbBDAT 0 LAST\r\nNOOP\r\n", "250 2.0.0, 250 2.0.0, 250 2.0.0", {"a b\r\n"}},
           {"BDAT 2 LAST\r\na\nMAIL FROM:<>\r\n", "250 2.0.0, 250 2.1.0", {"a\r\n"}}});
}

TEST(Bdat, IsNotRepeatedForEverWithoutAnOctet) {
    World world;
    auto options = options_for(Protocol::smtp);
    options.limits.idle_commands = 3;
    for (auto before : {std::string(), std::string("MAIL FROM:<>\r\n"), kEnvelope})
        for (auto command : {"BDAT 0\r\n", "DATA\r\n"}) {
            if (before == kEnvelope && command == std::string("DATA\r\n")) continue;
            auto input = kHello + before;
            for (int i = 0; i < 100; ++i) input += command;
            auto found = codes(talk(world, input, options).output);
            EXPECT_EQ(found.back(), "421 4.7.0") << before << command;
            EXPECT_LT(found.size(), 30u) << before << command;
        }
}

TEST(Bdat, CannotBeMixedWithOtherCommands) {
    check({{"BDAT 1\r\naDATA\r\n", "250 2.0.0, 503 5.5.1", {}},
           {"BDAT 1\r\naRCPT TO:<demo@example.test>\r\n", "250 2.0.0, 503 5.5.1", {}},
           {"BDAT 1\r\naMAIL FROM:<>\r\n", "250 2.0.0, 503 5.5.1", {}},
           {"BDAT 1\r\naNOOP\r\nBDAT 2 LAST\r\n\r\n", "250 2.0.0, 250 2.0.0, 250 2.0.0", {"a\r\n"}},
           {"BDAT 1 LAST\r\naBDAT 1 LAST\r\na", "250 2.0.0, 503 5.5.1", {"a\r\n"}}});
}

TEST(Bdat, IsForgottenByRsetAndWhenTheClientLeaves) {
    check({{"BDAT 3\r\na\r\nRSET\r\n" + kEnvelope + "BDAT 3 LAST\r\nb\r\n",
            "250 2.0.0, 250 2.0.0, 250 2.1.0, 250 2.1.5, 250 2.0.0",
            {"b\r\n"}},
           {"BDAT 3\r\na\r\nQUIT\r\n", "250 2.0.0, 221 2.0.0", {}},
           {"BDAT 3\r\na\r\n", "250 2.0.0", {}}});
}

TEST(Bdat, SwallowsWhatFollowsAFailedChunkAndFailsItToo) {
    World world;
    world.engine.fail_next_writes(1, Errc::no_space);
    auto input = kHello + kEnvelope + "BDAT 3\r\na\r\nBDAT 6\r\nQUIT\r\nBDAT 3 LAST\r\nb\r\n" + kEnvelope +
                 "BDAT 3 LAST\r\nc\r\nQUIT\r\n";
    EXPECT_EQ(after_hello(talk(world, input).output),
              "250 2.1.0, 250 2.1.5, 452 4.3.1, 452 4.3.1, 452 4.3.1, 250 2.1.0, 250 2.1.5, 250 2.0.0, 221 2.0.0");
    ASSERT_EQ(world.inbox("demo@example.test").size(), 1u);
    EXPECT_EQ(text_alone_of(world.inbox("demo@example.test")[0]), "c\r\n");
}

TEST(Bdat, SwallowsAChunkWithoutAnEnvelope) {
    World world;
    EXPECT_EQ(after_hello(talk(world, kHello + "BDAT 6\r\nQUIT\r\nNOOP\r\n").output), "503 5.5.1, 250 2.0.0");
    EXPECT_EQ(after_hello(talk(world, kHello + "MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n").output),
              "250 2.1.0, 503 5.5.1, 250 2.0.0");
}

}  // namespace
}  // namespace poplar::smtp
