#include "http/client.h"

#include <gtest/gtest.h>

#include <thread>

#include "http/session.h"
#include "net/server.h"
#include "tests/support/temp_dir.h"

namespace poplar::http {
namespace {

/// Answers with the body it got; "/slow" never, "/refuse" without reading.
class Answers final : public Handler {
public:
    Task<Reply> answer(Request request, Body& body, Stream& stream) override {
        const auto& what = request.target.path.front();
        if (what == "refuse") co_return Reply{409, {}, "no", false};
        if (what == "slow") {
            while (true)
                if (auto part = co_await body.next(); !part) co_return Reply{400, {}, "", false};
        }
        std::string text = request.method + " ";
        for (;;) {
            auto part = co_await body.next();
            if (!part || part->empty()) break;
            text.append(*part);
        }
        if (what != "stream" && what != "broken") co_return Reply{200, {}, text, false};
        (void)co_await stream.begin("text/plain");
        (void)co_await stream.write(text);
        co_return Reply{what == "broken" ? 500u : 200u, {}, "", true};
    }
    Reply refuse(Error why) override { return {400, {}, why.detail(), false}; }
};

struct HttpClient : testing::Test {
    HttpClient() {
        auto listener = net::listen_on(*net::parse_address("unix:" + path), {.workers = 1});
        EXPECT_TRUE(listener);
        net::Service service;
        service.name = "test";
        service.session = [this](std::unique_ptr<net::Connection> connection) -> Task<> {
            co_await http::serve(std::move(connection), handler);
        };
        server.add(std::move(*listener), std::move(service));
        thread = std::thread([this] { serving.run(); });
    }
    ~HttpClient() override {
        server.stop_accepting();
        server.close_all();
        thread.join();
    }
    Result<ClientReply> ask(Client& client, ClientRequest request) {
        std::optional<Result<ClientReply>> reply;
        auto keep = [&](std::exception_ptr, Result<ClientReply> result) { reply = std::move(result); };
        asio::co_spawn(context, client.ask(std::move(request)), std::move(keep));
        context.restart();
        context.run();
        return std::move(*reply);
    }
    static ClientRequest request(std::string method, std::string target, std::string body = "") {
        ClientRequest made;
        made.method = std::move(method), made.target = std::move(target), made.body = std::move(body);
        return made;
    }

    test::TempDir dir;
    std::string path = (dir.path() / "http.sock").string();
    Answers handler;
    asio::io_context serving{1}, context{1};
    net::Workers worker{serving};
    net::Server server{worker, {}};
    std::thread thread;
};

TEST_F(HttpClient, AsksOneRequestAfterAnother) {
    Client client(context.get_executor(), Origin::at_socket(path));
    EXPECT_EQ(ask(client, request("POST", "/a", "hello"))->body, "POST hello");
    EXPECT_EQ(ask(client, request("GET", "/a"))->body, "GET ");
    EXPECT_EQ(ask(client, request("DELETE", "/refuse"))->status, 409u);
}

TEST_F(HttpClient, SendsFromASourceAndReceivesIntoASink) {
    Client client(context.get_executor(), Origin::at_socket(path));
    std::string wanted(200'000, 'x'), got;
    auto asked = request("PUT", "/stream");
    asked.source = [left = std::string_view(wanted)](char* buffer, std::size_t size) mutable -> std::ptrdiff_t {
        auto part = left.substr(0, size);
        std::ranges::copy(part, buffer);
        left.remove_prefix(part.size());
        return static_cast<std::ptrdiff_t>(part.size());
    };
    asked.sink = [&](std::string_view bytes) { got.append(bytes); };
    ASSERT_TRUE(ask(client, std::move(asked)));
    EXPECT_EQ(got, "PUT " + wanted);
}

TEST_F(HttpClient, SaysWhyThereIsNoAnswer) {
    Client nobody(context.get_executor(), Origin::at_socket(path + "x"));
    EXPECT_EQ(ask(nobody, request("GET", "/a")).error().code(), Errc::not_found);
    Client impossible(context.get_executor(), Origin::at_socket(std::string(200, 'x')));
    EXPECT_EQ(ask(impossible, request("GET", "/a")).error().code(), Errc::io);
    Client hasty(context.get_executor(), Origin::at_socket(path), {.timeout = std::chrono::milliseconds(20)});
    auto unending = request("POST", "/slow");
    unending.fields = {{"Content-Length", "5"}};
    unending.method = "GET";
    EXPECT_EQ(ask(hasty, unending).error().code(), Errc::timed_out);
    Client frugal(context.get_executor(), Origin::at_socket(path), {.answer_octets = 8});
    EXPECT_EQ(ask(frugal, request("POST", "/a", "hello")).error().code(), Errc::too_large);
    EXPECT_EQ(ask(frugal, request("POST", "/a", "hey"))->body, "POST hey") << "by a new connection";
    EXPECT_EQ(ask(frugal, request("GET", "/broken")).error().code(), Errc::closed);
}

/// Gives "ab", then "cd", and so on; nothing behind the last.
struct Pieces {
    std::vector<std::string_view> left;
    Task<Result<std::string_view>> next() {
        if (left.empty()) co_return fail(Errc::corrupt, "unreadable");
        const auto piece = left.front();
        left.erase(left.begin());
        co_return piece;
    }
};

TEST_F(HttpClient, SendsABodyInPiecesOfAKnownLength) {
    Client client(context.get_executor(), Origin::at_socket(path));
    for (const std::uint64_t octets : {4, 3, 5}) {
        Pieces pieces{{"ab", "cd"}};
        auto asked = request("POST", "/a");
        asked.pieces = [&pieces] { return pieces.next(); };
        asked.pieces_octets = octets;
        auto reply = ask(client, std::move(asked));
        if (octets == 4) {
            ASSERT_TRUE(reply) << reply.error().detail();
            EXPECT_EQ(reply->body, "POST abcd");
        } else {
            EXPECT_EQ(reply.error().code(), octets == 3 ? Errc::invalid : Errc::corrupt);
        }
    }
}

Task<Result<std::vector<std::string>>> found_nothing(std::string& asked, std::string host) {
    asked = host;
    co_return fail(Errc::timed_out, "no address");
}

TEST_F(HttpClient, AsksItsUserForAddressesIfItIsToldTo) {
    std::string asked;
    ClientOptions options;
    options.resolve = [&asked](std::string host) { return found_nothing(asked, std::move(host)); };
    Client client(context.get_executor(), *Origin::at_url(*parse_url("http://name.test/"), ""), options);
    EXPECT_EQ(ask(client, request("GET", "/")).error().code(), Errc::timed_out);
    EXPECT_EQ(asked, "name.test");
}

}  // namespace
}  // namespace poplar::http
