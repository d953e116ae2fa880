// AUTH's framing and APOP; what mechanisms do is in tests/auth.
#include <set>

#include "auth/sasl.h"
#include "tests/pop3/world.h"

namespace poplar::test {
namespace {

using auth::base64_encode;
using namespace std::string_literals;

const std::string kName = base64_encode("fred@example.test"), kPassword = base64_encode(" pass word ");

class Pop3Auth : public Pop3World {
protected:
    static std::string first_line(const std::string& output) { return output.substr(0, output.find("\r\n") + 2); }
};

TEST_F(Pop3Auth, PlaysAnExchangeOfSeveralSteps) {
    EXPECT_EQ(say("auth login\r\n" + kName + "\r\n" + kPassword + "\r\nQUIT\r\n"),
              "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n+OK 0 messages (0 octets)\r\n+OK goodbye\r\n");
    EXPECT_EQ(say("AUTH LOGIN " + kName + "\r\n" + kPassword + "\r\nQUIT\r\n"),
              "+ UGFzc3dvcmQ6\r\n+OK 0 messages (0 octets)\r\n+OK goodbye\r\n");
}

TEST_F(Pop3Auth, AnyStepCanBeCancelledAndTheSessionGoesOn) {
    for (auto begin : {"AUTH LOGIN\r\n"s, "AUTH LOGIN\r\n" + kName + "\r\n", "AUTH PLAIN\r\n"s}) {
        auto output = say(begin + "*\r\nUSER fred@example.test\r\nPASS  pass word \r\nQUIT\r\n");
        EXPECT_TRUE(output.contains("-ERR cancelled\r\n+OK send the password\r\n+OK 0 messages")) << output;
    }
}

TEST_F(Pop3Auth, CancellingForEverEndsTheSession) {
    options_.bad_commands = 3;
    auto output = say("AUTH LOGIN\r\n*\r\nAUTH LOGIN\r\n*\r\nAUTH LOGIN\r\n*\r\nNOOP\r\n");
    EXPECT_TRUE(output.ends_with("-ERR too many bad commands, goodbye\r\n")) << output;
}

TEST_F(Pop3Auth, WhatIsNoBase64EndsTheExchangeAtAnyStep) {
    EXPECT_EQ(say("AUTH LOGIN\r\n!\r\nQUIT\r\n"), "+ VXNlcm5hbWU6\r\n-ERR not valid base64\r\n+OK goodbye\r\n");
    EXPECT_EQ(say("AUTH LOGIN " + kName + "\r\n=\r\nQUIT\r\n"),
              "+ UGFzc3dvcmQ6\r\n-ERR not valid base64\r\n+OK goodbye\r\n");
}

TEST_F(Pop3Auth, AuthMayBeAsLongAsAResponseAndNoOtherCommand) {
    std::string message = "\0fred@example.test\0"s + std::string(900, 'x');
    EXPECT_TRUE(say("AUTH PLAIN " + base64_encode(message) + "\r\n").starts_with("-ERR [AUTH]"));
    EXPECT_EQ(say("AUTH PLAIN " + std::string(13'000, 'A') + "\r\nQUIT\r\n"), "-ERR line too long\r\n+OK goodbye\r\n");
    EXPECT_EQ(say("USER " + std::string(248, 'x') + "\r\nQUIT\r\n"), "+OK send the password\r\n+OK goodbye\r\n");
    EXPECT_EQ(say("USER " + std::string(249, 'x') + "\r\nQUIT\r\n"), "-ERR line too long\r\n+OK goodbye\r\n");
    EXPECT_EQ(say("AUTHX " + std::string(300, 'x') + "\r\nQUIT\r\n"), "-ERR line too long\r\n+OK goodbye\r\n");
}

TEST_F(Pop3Auth, ApopGreetsWithATimestampAndTakesItsDigest) {
    options_.apop = true;
    options_.hostname = "mail.example.test";
    ASSERT_TRUE(run(directory_.set_shared_secret("fred@example.test", "tanstaaf")));
    std::set<std::string> greetings;
    for (int i = 0; i < 3; ++i) greetings.insert(first_line(talk({.flights = {"QUIT\r\n"}}).output));
    EXPECT_EQ(greetings.size(), 3u) << "RFC 1939 s7: a different one each time";
    EXPECT_TRUE(greetings.begin()->starts_with("+OK Poplar ready <")) << *greetings.begin();
    EXPECT_TRUE(greetings.begin()->ends_with("@mail.example.test>\r\n")) << *greetings.begin();
    auto output =
        talk({.flights = {"APOP fred@example.test 0123456789abcdef0123456789abcdef\r\nAPOP fred\r\nQUIT\r\n"}}).output;
    EXPECT_TRUE(
        output.ends_with("-ERR [AUTH] wrong name or password\r\n-ERR expected a name and a digest\r\n+OK goodbye\r\n"))
        << output;
}

TEST_F(Pop3Auth, WithoutApopThereIsNoTimestampAndNoCommand) {
    ASSERT_TRUE(run(directory_.set_shared_secret("fred@example.test", "tanstaaf")));
    auto output = talk({.flights = {"APOP fred@example.test 0123456789abcdef0123456789abcdef\r\nQUIT\r\n"}}).output;
    EXPECT_EQ(output, "+OK Poplar ready\r\n-ERR unknown command\r\n+OK goodbye\r\n");
}

}  // namespace
}  // namespace poplar::test
