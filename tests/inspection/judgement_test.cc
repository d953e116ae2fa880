#include <gtest/gtest.h>

#include "inspection/rspamd.h"

namespace poplar::inspection {
namespace {

using Action = RspamdReply::Action;

TEST(Judgement, FollowsTheAction) {
    using Kind = delivery::Judgement::Action;
    RspamdReply reply;
    reply.score = 20;
    reply.required_score = 15;
    reply.action = Action::reject;
    EXPECT_EQ(judgement_of(reply, Sender::stranger).action, Kind::reject);
    EXPECT_EQ(judgement_of(reply, Sender::stranger).text, "Spam message rejected");
    reply.action = Action::soft_reject;
    reply.message = "greylisted";
    EXPECT_EQ(judgement_of(reply, Sender::stranger).action, Kind::defer);
    EXPECT_EQ(judgement_of(reply, Sender::stranger).text, "greylisted");
    for (auto action : {Action::none, Action::greylist}) {
        reply.action = action;
        EXPECT_EQ(judgement_of(reply, Sender::stranger).action, Kind::accept);
        EXPECT_EQ(judgement_of(reply, Sender::stranger).added, "X-Spam-Score: 20.00\r\n");
        EXPECT_FALSE(judgement_of(reply, Sender::stranger).junk);
    }
    reply.action = Action::add_header;
    EXPECT_EQ(judgement_of(reply, Sender::stranger).added, "X-Spam-Score: 20.00\r\nX-Spam: Yes\r\n");
    EXPECT_EQ(judgement_of(reply, Sender::stranger).spam_percent, 100u);
    reply.action = Action::rewrite_subject;
    reply.subject = "new";
    EXPECT_EQ(judgement_of(reply, Sender::stranger).subject, "new");
    for (auto action : {Action::quarantine, Action::discard}) {
        reply.action = action;
        EXPECT_EQ(judgement_of(reply, Sender::stranger).action, Kind::accept);
        EXPECT_TRUE(judgement_of(reply, Sender::stranger).junk);
        EXPECT_FALSE(judgement_of(reply, Sender::stranger).subject);
    }
    reply.add_headers = {{"X-A", "1"}};
    EXPECT_EQ(judgement_of(reply, Sender::user).added, "X-A: 1\r\n");
    EXPECT_TRUE(judgement_of(reply, Sender::user).removed.empty());
}

}  // namespace
}  // namespace poplar::inspection
