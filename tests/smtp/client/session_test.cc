// A session with a server that the test plays.
#include "smtp/client/session.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/played_server.h"

namespace poplar::smtp::client {
namespace {

using namespace std::chrono_literals;
using test::PlayedServer;
using test::taking;

class OneBlock final : public Body {
public:
    explicit OneBlock(std::string text, bool readable = true) : text_(std::move(text)), readable_(readable) {}
    Task<Result<std::string_view>> next() override {
        if (!given_) {
            given_ = true;
            co_return std::string_view(text_);
        }
        if (!readable_) co_return fail(Errc::corrupt, "damaged");
        co_return std::string_view();
    }

private:
    const std::string text_;
    const bool readable_;
    bool given_ = false;
};

class SmtpClient : public testing::Test {
protected:
    template <class T>
    T run(Task<T> task) {
        std::optional<T> value;
        auto wrapped = [](Task<T> inner, std::optional<T>& into) -> Task<> { into = co_await std::move(inner); };
        asio::co_spawn(context_, wrapped(std::move(task), value), asio::detached);
        context_.restart();
        context_.run();
        return std::move(*value);
    }
    void connect(PlayedServer& server, Timeouts timeouts = {5s, 5s, 5s}) {
        auto connection = std::make_unique<net::Outgoing>(context_.get_executor());
        ASSERT_TRUE(run(connection->connect("127.0.0.1", server.port(), "", 5s)));
        session_ = std::make_unique<Session>(std::move(connection), "mx.example.test", timeouts);
    }
    void hello(PlayedServer& server) {
        connect(server);
        ASSERT_TRUE(run(session_->greeting())->positive());
        ASSERT_TRUE(run(session_->hello())->positive());
    }
    Outcome send(std::vector<std::string> to, Body& body) {
        Envelope envelope;
        envelope.sender = "jane@example.test";
        for (auto& address : to) envelope.recipients.push_back({std::move(address)});
        return run(session_->send(envelope, body));
    }
    Outcome send(std::vector<std::string> to) {
        OneBlock body("Subject: x\r\n\r\n..dot\r\n");
        return send(std::move(to), body);
    }

    asio::io_context context_{1};
    std::unique_ptr<Session> session_;
};

TEST_F(SmtpClient, AMessageIsTakenByTheReplyBehindItsLastOctet) {
    for (const char* extensions : {"PIPELINING", "HELP"}) {
        PlayedServer server(taking({}, extensions));
        hello(server);
        auto outcome = send({"a@x.example", "b@x.example"});
        ASSERT_EQ(outcome.replies.size(), 2u);
        for (const auto& reply : outcome.replies) EXPECT_EQ(reply->shown(), "250 2.0.0 taken");
        EXPECT_FALSE(outcome.broken);
        EXPECT_FALSE(send({"a@x.example"}).broken) << "and another one";
        test::PlayedServer* played = &server;
        run([](Session* session) -> Task<int> {
            co_await session->quit();
            co_return 0;
        }(session_.get()));
        const auto lines = played->lines();
        EXPECT_EQ(lines.at(1), "MAIL FROM:<jane@example.test>");
        EXPECT_EQ(lines.at(3), "RCPT TO:<b@x.example>");
        EXPECT_EQ(lines.at(5), "Subject: x\r\n\r\n..dot\r\n.");
        EXPECT_EQ(lines.back(), "QUIT");
    }
}

TEST_F(SmtpClient, EachRecipientHasItsOwnReply) {
    for (const char* extensions : {"PIPELINING", "HELP"}) {
        auto usual = taking({}, extensions);
        PlayedServer server([&](const std::string& line) {
            return line.starts_with("RCPT TO:<bad") ? std::string("550 5.1.1 who?") : usual(line);
        });
        hello(server);
        auto outcome = send({"bad@x.example", "good@x.example"});
        EXPECT_EQ(outcome.replies[0]->code, 550);
        EXPECT_EQ(outcome.replies[1]->code, 250);
        session_.reset();
    }
}

TEST_F(SmtpClient, OneRecipientTooManyIsForTheNextTransaction) {
    struct Case {
        const char* reply;
        int code;
        bool surplus;
    };
    for (const auto& [reply, code, surplus] :
         {Case{"452 4.5.3 enough", 452, true}, Case{"452 enough", 452, true}, Case{"552 enough", 452, true},
          Case{"552 5.2.2 full", 552, false}, Case{"452 4.2.2 full", 452, false}}) {
        auto usual = taking();
        PlayedServer server([&](const std::string& line) {
            return line.starts_with("RCPT TO:<more") ? std::string(reply) : usual(line);
        });
        hello(server);
        auto outcome = send({"a@x.example", "more@x.example"});
        EXPECT_EQ(outcome.replies[1]->code, code) << reply;
        EXPECT_EQ(outcome.surplus, surplus ? std::vector<std::size_t>{1} : std::vector<std::size_t>()) << reply;
        EXPECT_TRUE(send({"more@x.example"}).surplus.empty()) << "nobody was accepted before";
        session_.reset();
    }
}

TEST_F(SmtpClient, WhatIsRefusedAtAnyStageIsRefusedForAll) {
    for (const char* stage : {"MAIL", "RCPT", "DATA", "."})
        for (const char* extensions : {"PIPELINING", "HELP"}) {
            PlayedServer server(taking({{stage, "451 4.3.0 not now"}}, extensions));
            hello(server);
            auto outcome = send({"a@x.example", "b@x.example"});
            for (const auto& reply : outcome.replies) EXPECT_EQ(reply->shown(), "451 4.3.0 not now") << stage;
            EXPECT_FALSE(outcome.broken) << stage;
            session_.reset();
        }
}

TEST_F(SmtpClient, AServerThatLeavesAnswersForNobody) {
    for (const char* stage : {"MAIL", "RCPT", "DATA", "."})
        for (const char* what : {PlayedServer::kHangUp, "421 4.3.2 closing", "nonsense"}) {
            PlayedServer server(taking({{stage, what}}));
            hello(server);
            auto outcome = send({"a@x.example"});
            EXPECT_TRUE(outcome.broken) << stage << " " << what;
            const auto& reply = outcome.replies[0];
            EXPECT_FALSE(reply && (reply->positive() || reply->permanent())) << stage << " " << what;
            session_.reset();
        }
}

// One of two recipients is accepted, and then the server is gone: nobody has the message.
TEST_F(SmtpClient, AReplyToRcptIsNoDelivery) {
    for (const char* extensions : {"PIPELINING", "HELP"})
        for (const char* stage : {"RCPT TO:<b", "DATA", "."})
            for (const char* what : {PlayedServer::kHangUp, "421 4.3.2 closing", "nonsense"}) {
                auto usual = taking({}, extensions);
                PlayedServer server([&](const std::string& line) {
                    const bool here = stage[0] == '.' ? line.ends_with("\r\n.") : line.starts_with(stage);
                    return here ? std::string(what) : usual(line);
                });
                hello(server);
                auto outcome = send({"a@x.example", "b@x.example"});
                EXPECT_TRUE(outcome.broken) << extensions << " " << stage << " " << what;
                for (const auto& reply : outcome.replies)
                    EXPECT_FALSE(reply && reply->code != 421) << extensions << " " << stage << " " << what;
                session_.reset();
            }
}

TEST_F(SmtpClient, AReplyOutOfStepIsNoDelivery) {
    for (const char* extensions : {"PIPELINING", "HELP"})
        for (auto [stage, what] : {std::pair("DATA", "250 2.0.0 fine"), std::pair(".", "354 go on")}) {
            PlayedServer server(taking({{stage, what}}, extensions));
            hello(server);
            auto outcome = send({"a@x.example"});
            EXPECT_TRUE(outcome.broken) << stage;
            EXPECT_FALSE(outcome.replies[0]) << stage;
            session_.reset();
        }
}

TEST_F(SmtpClient, ASilentServerIsWaitedForInTime) {
    PlayedServer server(taking({{"MAIL", ""}}));
    connect(server, {300ms, 300ms, 300ms});
    run(session_->greeting());
    run(session_->hello());
    auto outcome = send({"a@x.example"});
    ASSERT_TRUE(outcome.broken);
    EXPECT_EQ(outcome.broken->code(), Errc::timed_out);
}

TEST_F(SmtpClient, AMessageThatCanNotBeReadIsNeverSentInPart) {
    PlayedServer server(taking());
    hello(server);
    OneBlock body("Subject: half\r\n", false);
    auto outcome = send({"a@x.example"}, body);
    ASSERT_TRUE(outcome.broken);
    EXPECT_EQ(outcome.broken->code(), Errc::corrupt);
    EXPECT_FALSE(outcome.replies[0]);
    session_.reset();
    for (const auto& line : server.lines()) EXPECT_FALSE(line.ends_with("\r\n.")) << "the server took a part for all";
}

TEST_F(SmtpClient, HeloFollowsWhereEhloIsNotKnown) {
    PlayedServer server(taking({{"EHLO", "502 5.5.1 what?"}}));
    connect(server);
    run(session_->greeting());
    EXPECT_TRUE(run(session_->hello())->positive());
    EXPECT_FALSE(session_->extensions().pipelining);
    EXPECT_EQ(server.lines().back(), "HELO mx.example.test");
}

TEST_F(SmtpClient, WhatTheServerDoesNotTakeIsNotSentToIt) {
    PlayedServer server(taking({}, "SIZE 100"));
    hello(server);
    OneBlock body("x\r\n");
    Envelope envelope{.sender = "", .octets = 101, .recipients = {{"a@x.example"}}};
    EXPECT_EQ(run(session_->send(envelope, body)).replies[0]->status, "5.3.4");
    envelope.octets = 10;
    envelope.eight_bit = true;
    EXPECT_EQ(run(session_->send(envelope, body)).replies[0]->status, "5.6.3");
    envelope.utf8 = true;
    EXPECT_EQ(run(session_->send(envelope, body)).replies[0]->status, "5.6.7");
    EXPECT_EQ(server.lines().size(), 1u) << "EHLO alone";
}

TEST_F(SmtpClient, WishesForReportsAreHandedOnWhereTheyAreUnderstood) {
    PlayedServer server(taking({}, "DSN"));
    hello(server);
    OneBlock body("x\r\n");
    Envelope envelope{.sender = "j@x.example", .ret = mail::ReturnContent::full, .envelope_id = "a b"};
    envelope.recipients.push_back({"a@x.example", {.given = true, .success = true, .delay = true}, "rfc822;o+p@x"});
    EXPECT_TRUE(run(session_->send(envelope, body)).relayed);
    const auto lines = server.lines();
    EXPECT_EQ(lines.at(1), "MAIL FROM:<j@x.example> RET=FULL ENVID=a+20b");
    EXPECT_EQ(lines.at(2), "RCPT TO:<a@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o+2Bp@x");
}

TEST_F(SmtpClient, LogsInByPlainOrElseByLogin) {
    PlayedServer plain(taking({}, "AUTH LOGIN PLAIN"));
    hello(plain);
    EXPECT_TRUE(run(session_->log_in("me", "secret"))->positive());
    EXPECT_EQ(plain.lines().back(), "AUTH PLAIN AG1lAHNlY3JldA==");
    auto usual = taking({}, "AUTH LOGIN");
    PlayedServer login([&](const std::string& line) {
        if (line == "AUTH LOGIN" || line == "bWU=") return std::string("334 x");
        return line == "c2VjcmV0" ? std::string("535 5.7.8 no") : usual(line);
    });
    hello(login);
    EXPECT_EQ(run(session_->log_in("me", "secret"))->code, 535);
    PlayedServer none(taking());
    hello(none);
    EXPECT_EQ(run(session_->log_in("me", "secret")).error().code(), Errc::denied);
}

}  // namespace
}  // namespace poplar::smtp::client
