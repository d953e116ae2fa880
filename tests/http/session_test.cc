// The server's side of HTTP/1.1: requests, bodies, streams, refusals, and how the connection ends.
#include "http/session.h"

#include <gtest/gtest.h>

#include "http/message.h"
#include "tests/support/run.h"
#include "tests/support/script_connection.h"

namespace poplar::http {
namespace {

using test::run;

/// Answers with what it was asked; "/stream" in chunks, "/broken" breaks off behind the first, "/unread" without
/// reading.
class Echo final : public Handler {
public:
    Task<Reply> answer(Request request, Body& body, Stream& stream) override {
        const auto& what = request.target.path.front();
        seen.push_back(request.method + " " + what);
        if (what == "unread") co_return Reply{409, {}, "no", false};
        std::string text;
        for (;;) {
            auto part = co_await body.next();
            if (!part) {
                failures.push_back(part.error().code());
                co_return Reply{400, {}, "", false};
            }
            if (part->empty()) break;
            text.append(*part);
        }
        if (what != "stream" && what != "broken") co_return Reply{200, {{"X-Test", "yes"}}, text, false};
        (void)co_await stream.begin("text/plain");
        (void)co_await stream.write("seven!!");
        if (what == "broken") co_return Reply{500, {}, "", true};
        (void)co_await stream.write("end");
        co_return Reply{200, {}, "", true};
    }
    Reply refuse(Error why) override { return {400, {}, why.detail(), false}; }

    std::vector<std::string> seen;
    std::vector<Errc> failures;
};

struct HttpSession : testing::Test {
    std::string serve(test::ScriptConnection::Script script) {
        auto transcript = std::make_shared<test::Transcript>();
        run(http::serve(std::make_unique<test::ScriptConnection>(std::move(script), transcript), handler));
        EXPECT_TRUE(transcript->closed);
        return transcript->output;
    }
    Echo handler;
};

TEST_F(HttpSession, AnswersOneRequestAfterAnother) {
    const std::string both =
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: x\r\n\r\n";
    for (std::size_t cut : {0u, 1u, 7u}) {
        auto output = serve({.flights = {both}, .cut = cut});
        EXPECT_EQ(output,
                  "HTTP/1.1 200 OK\r\nX-Test: yes\r\nContent-Length: 5\r\n\r\nhello"
                  "HTTP/1.1 200 OK\r\nX-Test: yes\r\nContent-Length: 0\r\n\r\n")
            << cut;
    }
}

TEST_F(HttpSession, TakesAChunkedBodyHoweverItIsCut) {
    for (std::size_t cut : {0u, 1u, 3u}) {
        auto output =
            serve({.flights = {"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                               "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"},
                   .cut = cut});
        EXPECT_TRUE(output.ends_with("Content-Length: 6\r\nConnection: close\r\n\r\nhello!")) << output;
    }
}

TEST_F(HttpSession, AsksForABodyOnlyWhenItIsRead) {
    const std::string head = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    EXPECT_TRUE(serve({.flights = {head, "ok"}}).starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
    auto refused =
        serve({.flights = {"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"}});
    EXPECT_EQ(refused, "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
}

TEST_F(HttpSession, EndsAStreamWithItsLastChunkOnlyIfItIsWhole) {
    const std::string head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nseven!!\r\n";
    EXPECT_EQ(serve({.flights = {"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"}}), head + "3\r\nend\r\n0\r\n\r\n");
    EXPECT_EQ(serve({.flights = {"GET /broken HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n"}}), head);
    EXPECT_EQ(handler.seen.back(), "GET broken") << "nothing is obeyed behind it";
}

TEST_F(HttpSession, SendsNoBodyForHead) {
    EXPECT_EQ(serve({.flights = {"HEAD /unread HTTP/1.1\r\nHost: x\r\n\r\n"}}),
              "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n");
}

TEST_F(HttpSession, RefusesWhatIsNoRequest) {
    for (std::string text : {"hello\r\n\r\n", "GET nothing HTTP/1.1\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n"}) {
        auto output = serve({.flights = {text}});
        EXPECT_TRUE(output.starts_with("HTTP/1.1 400 Bad Request\r\n")) << output;
        EXPECT_TRUE(output.contains("Connection: close\r\n")) << output;
    }
    auto long_header = "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n";
    EXPECT_TRUE(serve({.flights = {long_header}}).starts_with("HTTP/1.1 400 ")) << "over SessionOptions::header_octets";
    EXPECT_TRUE(serve({.flights = {long_header}, .cut = 100}).starts_with("HTTP/1.1 400 "));
    EXPECT_TRUE(handler.seen.empty());
}

TEST_F(HttpSession, GivesARequestsHeadOneDeadlineHoweverItDripsIn) {
    auto transcript = std::make_shared<test::Transcript>();
    test::ScriptConnection::Script script{
        .flights = {"GET /a HTTP/1.1\r\n\r\n"}, .cut = 1, .apart = std::chrono::seconds(1)};
    run(http::serve(std::make_unique<test::ScriptConnection>(std::move(script), transcript), handler,
                    {.idle = std::chrono::seconds(10)}));
    EXPECT_TRUE(handler.seen.empty());
    EXPECT_EQ(transcript->output, "");
}

TEST_F(HttpSession, TellsAHandlerWhyABodyIsMissing) {
    const std::string head = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf";
    serve({.flights = {head}, .end = Errc::timed_out});
    serve({.flights = {head}, .end = Errc::cancelled});
    serve({.flights = {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"}});
    EXPECT_EQ(handler.failures, (std::vector{Errc::timed_out, Errc::cancelled, Errc::invalid}));
}

}  // namespace
}  // namespace poplar::http
