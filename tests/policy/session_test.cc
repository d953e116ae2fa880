// A client of the policy listener, and what it is advised.
#include "policy/session.h"

#include <gtest/gtest.h>

#include "tests/delivery/world.h"
#include "tests/support/script_connection.h"

namespace poplar::policy {
namespace {

using test::run;
using test::ScriptConnection;
using test::World;

std::string ask(World& world, std::string input) {
    auto transcript = std::make_shared<test::Transcript>();
    ScriptConnection::Script script{.flights = {std::move(input)}};
    run(serve(std::make_unique<ScriptConnection>(std::move(script), transcript), world.delivery, "s1"));
    EXPECT_TRUE(transcript->closed);
    return transcript->output;
}

std::string request(const std::string& recipient, const std::string& size = "0", const std::string& state = "RCPT") {
    return "request=smtpd_access_policy\nprotocol_state=" + state +
           "\nsender=a@elsewhere.example\nrecipient=" + recipient + "\nsize=" + size + "\ninstance=1.2.3\n\n";
}

void limit(World& world, std::uint64_t octets) {
    auto change = [octets](auto& settings, const auto&) -> Result<> {
        settings.quota.octets = octets;
        return {};
    };
    ASSERT_TRUE(run(world.directory.change_settings("demo@example.test", change)));
}

const std::string kNoOpinion = "action=DUNNO\n\n", kLater = "action=452 4.2.2 Mailbox full, try later\n\n",
                  kFull = "action=552 5.2.2 Mailbox full\n\n";

void fill(World& world) {
    auto writer = world.store.stage();
    ASSERT_TRUE(run(writer->write(std::string(998, 'x') + "\r\n")));
    auto content = run(writer->finish(1000, 1));
    const auto id = run(world.directory.find_account("demo@example.test"))->id;
    ASSERT_TRUE(run(world.store.append(id, {"", *content, ""})));
}

TEST(PolicySession, RefusesMailForAFullMailbox) {
    for (auto full_reply : {quota::FullReply::defer, quota::FullReply::reject}) {
        World world({}, {.full_reply = full_reply});
        const auto& refusal = full_reply == quota::FullReply::defer ? kLater : kFull;
        fill(world);
        EXPECT_EQ(ask(world, request("demo@example.test")), kNoOpinion) << "no limit";
        limit(world, 2000);
        EXPECT_EQ(ask(world, request("demo@example.test", "1999")), kNoOpinion) << "one message may pass the limit";
        EXPECT_EQ(ask(world, request("demo@example.test", "2001")), refusal);
        limit(world, 1000);
        EXPECT_EQ(ask(world, request("Demo+x@Example.test")), refusal);
        EXPECT_EQ(ask(world, request("demo@example.test", "1", "END-OF-MESSAGE")), refusal);
    }
}

TEST(PolicySession, KeepsNoRoom) {
    World world;
    limit(world, 1000);
    const auto big = request("demo@example.test", "900");
    EXPECT_EQ(ask(world, big + big + big), kNoOpinion + kNoOpinion + kNoOpinion) << "one connection, many requests";
}

TEST(PolicySession, HasNoOpinionOfOtherThings) {
    World world;
    limit(world, 1);
    fill(world);
    for (const auto& input :
         {request("nobody@example.test"), request("a@elsewhere.example"), request(""), request("not an address"),
          request("demo@example.test", "0", "CONNECT"), request("demo@example.test", "0", "VRFY"),
          std::string("request=other\nprotocol_state=RCPT\nrecipient=demo@example.test\n\n")})
        EXPECT_EQ(ask(world, input), kNoOpinion) << input;
}

TEST(PolicySession, AnswersWithAFailureThatPasses) {
    World world;
    limit(world, 1000);
    world.engine.fail_next_reads(1, Errc::io);
    EXPECT_EQ(ask(world, request("demo@example.test")), "action=451 4.3.0 Storage trouble, try later\n\n");
}

TEST(PolicySession, ClosesAfterWhatIsNoRequest) {
    World world;
    EXPECT_EQ(ask(world, "GET / HTTP/1.1\r\n\r\n" + request("demo@example.test")), "");
    EXPECT_EQ(ask(world, std::string(10'000, 'a') + "\n\n" + request("demo@example.test")), "");
    EXPECT_EQ(ask(world, request("demo@example.test") + "\n"), kNoOpinion);
}

}  // namespace
}  // namespace poplar::policy
