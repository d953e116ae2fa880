#include "smtp/transaction.h"

#include <gtest/gtest.h>

#include "tests/smtp/talk.h"

namespace poplar::smtp {
namespace {

using namespace poplar::test;
using Replies = std::vector<Reply>;

TEST(OneReply, TellsATemporaryFailureBeforeAPermanentOne) {
    using namespace replies;
    struct Case {
        Replies each;
        Reply all;
    };
    for (const auto& [each, all] : {Case{{kStored, kStored}, kStored},
                                    {{kTooLarge, kStored}, kTooLarge},
                                    {{kStored, kTrouble}, kTrouble},
                                    {{kTooLarge, kTrouble}, kTrouble},
                                    {{kStored, kTooLarge, kLoop, kNoSpace, kTrouble}, kNoSpace}})
        EXPECT_EQ(one_reply(each).text, all.text) << each.size();
}

TEST(Transaction, HasAReplyForEachVerdict) {
    using namespace replies;
    using Kind = delivery::Verdict::Kind;
    struct Case {
        delivery::Verdict verdict;
        Reply reply;
    };
    for (const auto& [verdict, reply] : {Case{{Kind::stored}, kStored},
                                         {{Kind::gone}, kUnknownUser},
                                         {{Kind::too_large}, kTooLarge},
                                         {{Kind::bad_header}, kBadHeader},
                                         {{Kind::loop}, kLoop},
                                         {{Kind::over_quota}, kMailboxFull},
                                         {{Kind::rejected}, kRejected},
                                         {{Kind::deferred, Errc::no_space}, kNoSpace},
                                         {{Kind::deferred, Errc::cancelled}, kStopping},
                                         {{Kind::deferred, Errc::io}, kTrouble},
                                         {{Kind::deferred, Errc::corrupt}, kTrouble}}) {
        EXPECT_EQ(reply_for(verdict), reply) << reply.text;
        EXPECT_EQ(reply.temporary(), verdict.kind == Kind::deferred) << reply.text;
    }
}

TEST(Transaction, StagesNothingMoreOfAMessageThatIsRefused) {
    const std::string line = std::string(98, 'x') + "\r\n";
    std::string text = "Subject: x\r\n\r\n";
    for (int i = 0; i < 1000; ++i) text += line;
    for (bool chunks : {false, true})
        for (auto [limit, failures] : {std::pair(1000u, 0), {1'000'000u, 1}}) {
            World world({.message_octets = limit});
            world.engine.fail_next_writes(failures, Errc::no_space);
            auto sent =
                chunks ? "BDAT " + std::to_string(text.size()) + " LAST\r\n" + text : "DATA\r\n" + text + ".\r\n";
            ScriptConnection::Script script{.flights = {kHello + kEnvelope + sent + "QUIT\r\n"}, .cut = 500};
            auto found = codes(talk(world, script).output);
            EXPECT_EQ(found[found.size() - 2], failures ? "452 4.3.1" : "552 5.3.4");
            EXPECT_LE(world.engine.staged_octets(), failures ? 0u : 1000u) << chunks;
        }
}

}  // namespace
}  // namespace poplar::smtp
