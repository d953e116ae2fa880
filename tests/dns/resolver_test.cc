// The resolver asks a server that the test plays, on a port of its own.
#include "dns/resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "dns/record.h"

namespace poplar::dns {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Udp = asio::ip::udp;

/// Answers each question with one record of data, with an error code, or not at all.
class FakeServer {
public:
    enum class Answer { record, nothing, no_name, failure, silence };
    FakeServer(Answer answer, std::string data) : answer_(answer), data_(std::move(data)) {
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeServer() {
        over_ = true;
        asio::io_context context;
        Udp::socket poke(context, Udp::v4());
        poke.send_to(asio::buffer("x", 1), socket_.local_endpoint());
        thread_.join();
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(socket_.local_endpoint().port()); }
    int asked() const { return asked_; }

private:
    void serve() {
        char query[1500];
        while (!over_) {
            Udp::endpoint from;
            boost::system::error_code error;
            const auto size = socket_.receive_from(asio::buffer(query), from, 0, error);
            if (over_ || error || size < 17) continue;
            ++asked_;
            if (answer_ == Answer::silence) continue;
            std::size_t end = 12;
            while (query[end] != 0) end += 1 + static_cast<unsigned char>(query[end]);
            end += 5;
            std::string reply(query, end);
            const char codes[] = {0, 0, 3, 2, 0};
            reply[2] = static_cast<char>(0x84 | (query[2] & 1));
            reply[3] = static_cast<char>(0x80 | codes[static_cast<int>(answer_)]);
            reply[6] = 0;
            reply[7] = answer_ == Answer::record ? 1 : 0;
            reply.replace(8, 4, 4, '\0');
            if (answer_ == Answer::record) {
                reply += "\xc0\x0c"s + std::string(query + end - 4, 4) + "\0\0\0\x3c"s;  // a minute to live
                reply += static_cast<char>(0);
                reply += static_cast<char>(data_.size());
                reply += data_;
            }
            socket_.send_to(asio::buffer(reply), from, 0, error);
        }
    }

    asio::io_context context_;
    Udp::socket socket_{context_, Udp::endpoint(asio::ip::make_address("127.0.0.1"), 0)};
    const Answer answer_;
    const std::string data_;
    std::atomic<bool> over_ = false;
    std::atomic<int> asked_ = 0;
    std::thread thread_;
};

class ResolverTest : public testing::Test {
protected:
    Result<Answer> ask(const std::string& server, std::string name, Type type,
                       std::chrono::milliseconds timeout = 10s) {
        if (!resolver_) {
            Options options;
            options.servers = {server};
            options.timeout = timeout;
            auto made = Resolver::make(context_.get_executor(), options);
            EXPECT_TRUE(made) << made.error().detail();
            resolver_ = std::move(*made);
        }
        std::optional<Result<Answer>> answer;
        auto asking = [&]() -> Task<> { answer = co_await resolver_->ask(name, type); };
        asio::co_spawn(context_, asking(), asio::detached);
        context_.restart();
        while (!answer) context_.run_one();
        return std::move(*answer);
    }

    asio::io_context context_{1};
    std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, ARecordIsGivenAsItIsOnTheWireAndKept) {
    FakeServer server(FakeServer::Answer::record,
                      "\0\x0a\x02mx\x07"
                      "example\0"s);
    auto answer = ask(server.address(), "far.example", Type::mx);
    ASSERT_TRUE(answer) << answer.error().detail();
    ASSERT_EQ(answer->records.size(), 1u);
    EXPECT_EQ(parse_mx(answer->records[0]), (Mx{10, "mx.example"}));
    const auto asked = server.asked();
    EXPECT_TRUE(ask(server.address(), "FAR.example", Type::mx));
    EXPECT_EQ(server.asked(), asked) << "it is kept for its time to live";
}

TEST_F(ResolverTest, NoRecordAndNoNameAreAnswers) {
    FakeServer nothing(FakeServer::Answer::nothing, "");
    auto answer = ask(nothing.address(), "far.example", Type::aaaa);
    ASSERT_TRUE(answer) << answer.error().detail();
    EXPECT_TRUE(answer->records.empty() && answer->exists);
    resolver_.reset();
    FakeServer no_name(FakeServer::Answer::no_name, "");
    answer = ask(no_name.address(), "x.test", Type::a);
    ASSERT_TRUE(answer) << answer.error().detail();
    EXPECT_FALSE(answer->exists);
    EXPECT_GT(no_name.asked(), 0) << "names under test. are asked for like any other";
}

TEST_F(ResolverTest, AServerThatFailsIsAnErrorAndOneThatIsSilentIsOneInTime) {
    FakeServer failing(FakeServer::Answer::failure, "");
    EXPECT_EQ(ask(failing.address(), "far.example", Type::a, 20s).error().code(), Errc::io);
    resolver_.reset();
    FakeServer silent(FakeServer::Answer::silence, "");
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(ask(silent.address(), "far.example", Type::a, 300ms).error().code(), Errc::timed_out);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

TEST_F(ResolverTest, WhatIsNoNameIsRefused) {
    FakeServer server(FakeServer::Answer::nothing, "");
    EXPECT_EQ(ask(server.address(), std::string(300, 'a'), Type::a).error().code(), Errc::invalid);
}

TEST(DnsServer, IsAnAddressAndAPort) {
    EXPECT_EQ(*parse_server("127.0.0.1:5353"), "127.0.0.1@5353");
    EXPECT_EQ(*parse_server("127.0.0.1"), "127.0.0.1@53");
    EXPECT_EQ(*parse_server("[2001:db8::1]:53"), "2001:db8::1@53");
    EXPECT_EQ(*parse_server("2001:db8::1"), "2001:db8::1@53");
    for (const char* text : {"", "localhost", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "[::1", "[::1]53"})
        EXPECT_FALSE(parse_server(text)) << text;
}

}  // namespace
}  // namespace poplar::dns
