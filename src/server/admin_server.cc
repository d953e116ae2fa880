#include "server/admin_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <list>

#include "base/log.h"

namespace poplar::server {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;

using Stream = beast::basic_stream<asio::local::stream_protocol>;
constexpr auto kValues = asio::as_tuple(use_awaitable);
constexpr std::size_t kChunk = 64 * 1024;

Error io_error(const beast::error_code& error) {
    if (error == beast::error::timeout) return Error(Errc::timed_out, "the client is too slow");
    return Error(Errc::closed, error.message());
}

class HttpBody final : public ApiBody {
public:
    HttpBody(Stream& stream, beast::flat_buffer& buffer, http::request_parser<http::buffer_body>& parser,
             std::chrono::seconds idle)
        : stream_(stream), buffer_(buffer), parser_(parser), idle_(idle), chunk_(kChunk) {}

    std::uint64_t size_hint() const override { return parser_.content_length().value_or(0); }

    Task<Result<std::string_view>> next() override {
        if (!expected_) {
            expected_ = true;
            if (beast::iequals(parser_.get()[http::field::expect], "100-continue")) {
                static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
                stream_.expires_after(idle_);
                auto [error, sent] = co_await asio::async_write(stream_, asio::buffer(kContinue), kValues);
                if (error) co_return std::unexpected(io_error(error));
            }
        }
        while (!parser_.is_done()) {
            auto& body = parser_.get().body();
            body.data = chunk_.data();
            body.size = chunk_.size();
            stream_.expires_after(idle_);
            auto [error, octets] = co_await http::async_read_some(stream_, buffer_, parser_, kValues);
            if (error && error != http::error::need_buffer) co_return std::unexpected(io_error(error));
            auto got = chunk_.size() - body.size;
            if (got > 0) co_return std::string_view(chunk_.data(), got);
        }
        co_return std::string_view();
    }

private:
    Stream& stream_;
    beast::flat_buffer& buffer_;
    http::request_parser<http::buffer_body>& parser_;
    std::chrono::seconds idle_;
    std::vector<char> chunk_;
    bool expected_ = false;
};

class HttpStream final : public ApiStream {
public:
    HttpStream(Stream& stream, std::chrono::seconds idle) : stream_(stream), idle_(idle) {}

    Task<Result<>> begin(std::string content_type) override {
        http::response<http::empty_body> head{http::status::ok, 11};
        head.set(http::field::content_type, content_type);
        head.chunked(true);
        http::response_serializer<http::empty_body> serializer{head};
        stream_.expires_after(idle_);
        auto [error, octets] = co_await http::async_write_header(stream_, serializer, kValues);
        if (error) co_return std::unexpected(io_error(error));
        co_return Result<>();
    }
    Task<Result<>> write(std::string_view bytes) override {
        stream_.expires_after(idle_);
        auto chunk = http::make_chunk(asio::const_buffer(bytes.data(), bytes.size()));
        auto [error, octets] = co_await asio::async_write(stream_, chunk, kValues);
        if (error) co_return std::unexpected(io_error(error));
        co_return Result<>();
    }
    Task<bool> end() {
        stream_.expires_after(idle_);
        auto [error, octets] = co_await asio::async_write(stream_, http::make_chunk_last(), kValues);
        co_return !error;
    }

private:
    Stream& stream_;
    std::chrono::seconds idle_;
};

// Root and the server's own user: whoever could read the data directory anyway.
bool may_use(int socket, uid_t& uid) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return false;
    uid = credentials.uid;
    return uid == 0 || uid == geteuid();
}

Task<bool> send_json(Stream& stream, const ApiReply& reply, bool keep_alive, std::chrono::seconds idle) {
    http::response<http::string_body> response{static_cast<http::status>(reply.status), 11};
    response.set(http::field::content_type, "application/json");
    response.keep_alive(keep_alive);
    response.body() = dump(reply.body) + "\n";
    response.prepare_payload();
    stream.expires_after(idle);
    auto [error, octets] = co_await http::async_write(stream, response, kValues);
    co_return !error && keep_alive;
}

}  // namespace

struct AdminServer::Impl : std::enable_shared_from_this<AdminServer::Impl> {
    Impl(asio::io_context& c, AdminApi& a, AdminLimits l) : context(c), api(a), limits(l), acceptor(c), idle(c) {}

    Task<> accept() {
        for (;;) {
            auto [error, socket] = co_await acceptor.async_accept(kValues);
            if (error == asio::error::operation_aborted || !acceptor.is_open()) co_return;
            if (error) {  // out of descriptors, most likely
                log::warning("admin.accept_failed", {{"reason", error.message()}});
                asio::steady_timer pause(context, std::chrono::milliseconds(200));
                co_await pause.async_wait(kValues);
                continue;
            }
            if (streams.size() >= limits.connections) continue;  // closed
            streams.emplace_back(std::move(socket));
            auto self = shared_from_this();
            auto at = std::prev(streams.end());
            asio::co_spawn(context, self->serve(*at), [self, at](std::exception_ptr failure) {
                if (failure) self->report(failure);
                self->streams.erase(at);
                self->idle.cancel();
            });
        }
    }

    void report(const std::exception_ptr& failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& e) {
            log::error("admin.session_failed", {{"reason", std::string_view(e.what())}});
        }
    }

    Task<> serve(Stream& stream) {
        uid_t uid = 0;
        if (!may_use(stream.socket().native_handle(), uid)) {
            log::warning("admin.refused", {{"uid", uid}});
            auto reply = api_error(Errc::denied, "only root and the server's own user may connect");
            co_await send_json(stream, reply, false, limits.idle);
            co_return;
        }
        beast::flat_buffer buffer;
        while (co_await serve_one(stream, buffer) && !stopping) {
        }
    }

    // True if the connection may be used for another request.
    Task<bool> serve_one(Stream& stream, beast::flat_buffer& buffer) {
        http::request_parser<http::buffer_body> parser;
        parser.body_limit(boost::none);  // each route has its own
        parser.header_limit(static_cast<std::uint32_t>(limits.header_octets));
        stream.expires_after(limits.idle);
        auto [error, octets] = co_await http::async_read_header(stream, buffer, parser, kValues);
        if (error == http::error::end_of_stream || error == beast::error::timeout) co_return false;
        if (error == asio::error::operation_aborted || error == asio::error::connection_reset) co_return false;
        if (error) {
            auto reply = api_error(Errc::invalid, fmt::format("malformed HTTP: {}", error.message()));
            co_return co_await send_json(stream, reply, false, limits.idle);
        }
        auto method = parser.get().method_string();
        auto target = parser.get().target();
        HttpBody body(stream, buffer, parser, limits.idle);
        HttpStream out(stream, limits.idle);
        auto request = parse_target({method.data(), method.size()}, {target.data(), target.size()});
        if (!request) {
            auto reply = api_error(request.error());
            co_return co_await send_json(stream, reply, false, limits.idle);
        }
        auto reply = co_await api.handle(*request, body, out);
        bool keep_alive = parser.is_done() && parser.get().keep_alive();
        if (!reply.streamed) co_return co_await send_json(stream, reply, keep_alive, limits.idle);
        if (reply.status != 200) co_return false;  // no last chunk: the client sees that something is missing
        bool ended = co_await out.end();
        co_return ended&& keep_alive;
    }

    asio::io_context& context;
    AdminApi& api;
    AdminLimits limits;
    asio::local::stream_protocol::acceptor acceptor;
    asio::steady_timer idle;  ///< cancelled whenever a connection ends
    std::list<Stream> streams;
    std::string path;
    bool stopping = false;
};

AdminServer::AdminServer(asio::io_context& context, AdminApi& api, AdminLimits limits)
    : impl_(std::make_shared<Impl>(context, api, limits)) {}

AdminServer::~AdminServer() = default;

void AdminServer::start(net::Listener listener) {
    impl_->path = listener.address.path;
    impl_->acceptor.assign(asio::local::stream_protocol(), listener.sockets.front().release());
    auto self = impl_;
    auto accepting = [](std::shared_ptr<Impl> impl) -> Task<> { co_await impl->accept(); };
    asio::co_spawn(impl_->context, accepting(self), asio::detached);
}

Task<> AdminServer::stop(std::chrono::milliseconds patience) {
    auto self = impl_;
    self->stopping = true;
    boost::system::error_code ignored;
    self->acceptor.close(ignored);
    if (!self->path.empty()) ::unlink(self->path.c_str());
    auto until = std::chrono::steady_clock::now() + patience;
    while (!self->streams.empty() && std::chrono::steady_clock::now() < until) {
        self->idle.expires_at(until);
        co_await self->idle.async_wait(kValues);
    }
    for (auto& stream : self->streams) stream.close();
    while (!self->streams.empty()) {
        self->idle.expires_after(std::chrono::seconds(1));
        co_await self->idle.async_wait(kValues);
    }
}

}  // namespace poplar::server
