#include "server/admin_client.h"

#include <fmt/format.h>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "base/asio.h"
#include "server/config.h"

namespace poplar::server {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using Json = nlohmann::json;

constexpr std::size_t kChunk = 64 * 1024;

http::request<http::empty_body> make_head(std::string_view method, std::string_view target) {
    http::request<http::empty_body> head;
    head.version(11);
    head.method_string({method.data(), method.size()});
    head.target({target.data(), target.size()});
    head.set(http::field::host, "localhost");
    return head;
}

CallError broken(std::string_view what, const beast::error_code& error) {
    return {1, fmt::format("{}: {}", what, error.message()), ""};
}

// The reply's JSON, or the error that it tells of.
CallResult<Json> judge(http::status status, const std::string& body) {
    auto json = Json::parse(body, nullptr, false);
    if (http::to_status_class(status) == http::status_class::successful && !json.is_discarded()) return json;
    if (json.is_object() && json.contains("error")) {
        const auto& error = json["error"];
        return std::unexpected(CallError{1, error.value("message", "refused"), error.value("code", "")});
    }
    return std::unexpected(CallError{1, fmt::format("the server answered {}", static_cast<unsigned>(status)), ""});
}

}  // namespace

struct AdminClient::Impl {
    explicit Impl(std::string p) : path(std::move(p)), socket(context) {}

    CallResult<> connect() {
        if (socket.is_open()) return {};
        beast::error_code error;
        if (path.size() < sizeof(sockaddr_un::sun_path))
            socket.connect(asio::local::stream_protocol::endpoint(path), error);
        else
            error = asio::error::name_too_long;
        if (!error) return {};
        socket.close();
        auto reason =
            error == boost::system::errc::no_such_file_or_directory || error == asio::error::connection_refused
                ? fmt::format(
                      "no server answers at {}; start it with \"poplar serve\", or name its socket with "
                      "--socket or --config",
                      path)
                : fmt::format("can't connect to {}: {}", path, error.message());
        return std::unexpected(CallError{kExitUnavailable, std::move(reason), ""});
    }

    template <class Body>
    CallResult<Json> receive(http::response_parser<Body>& parser) {
        beast::error_code error;
        http::read(socket, buffer, parser, error);
        if (error) return lost(error);
        if (!parser.get().keep_alive()) close();
        return judge(parser.get().result(), parser.get().body());
    }

    std::unexpected<CallError> lost(const beast::error_code& error) {
        close();
        return std::unexpected(broken("the connection to the server broke", error));
    }

    void close() {
        beast::error_code ignored;
        socket.close(ignored);
        buffer.clear();
    }

    std::string path;
    asio::io_context context;
    asio::local::stream_protocol::socket socket;
    beast::flat_buffer buffer;
};

AdminClient::AdminClient(std::string socket_path) : impl_(std::make_unique<Impl>(std::move(socket_path))) {}
AdminClient::~AdminClient() = default;

CallResult<Json> AdminClient::call(std::string_view method, std::string_view target, const Json& body) {
    http::request<http::string_body> request(make_head(method, target));
    if (!body.is_null()) {
        request.set(http::field::content_type, "application/json");
        try {
            request.body() = body.dump();
        } catch (const Json::type_error&) {  // never replaced: a password or a name would be another one
            return std::unexpected(
                CallError{1, "what is not UTF-8 can't be sent: check the terminal's locale", "invalid"});
        }
    }
    if (auto connected = impl_->connect(); !connected) return std::unexpected(std::move(connected.error()));
    request.prepare_payload();
    beast::error_code error;
    http::write(impl_->socket, request, error);
    // A refusal may come before the whole request was taken: it says more than the broken pipe.
    if (error && error != asio::error::broken_pipe) return impl_->lost(error);
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    return impl_->receive(parser);
}

CallResult<Json> AdminClient::upload(std::string_view method, std::string_view target, const Source& source) {
    if (auto connected = impl_->connect(); !connected) return std::unexpected(std::move(connected.error()));
    auto head = make_head(method, target);
    head.set(http::field::content_type, "message/rfc822");
    head.chunked(true);
    http::request_serializer<http::empty_body> serializer(head);
    beast::error_code error;
    http::write_header(impl_->socket, serializer, error);
    std::vector<char> chunk(kChunk);
    while (!error) {
        auto got = source(chunk.data(), chunk.size());
        if (got < 0) {
            impl_->close();
            return std::unexpected(CallError{1, "the input can't be read", ""});
        }
        if (got == 0) break;
        asio::write(impl_->socket, http::make_chunk(asio::const_buffer(chunk.data(), static_cast<std::size_t>(got))),
                    error);
    }
    if (!error) asio::write(impl_->socket, http::make_chunk_last(), error);
    if (error && error != asio::error::broken_pipe) return impl_->lost(error);
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    return impl_->receive(parser);
}

CallResult<> AdminClient::download(std::string_view method, std::string_view target, const Sink& sink) {
    if (auto connected = impl_->connect(); !connected) return std::unexpected(std::move(connected.error()));
    auto request = make_head(method, target);
    if (method != "GET") request.content_length(0);
    beast::error_code error;
    http::write(impl_->socket, request, error);
    if (error) return impl_->lost(error);
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    http::read_header(impl_->socket, impl_->buffer, parser, error);
    if (error) return impl_->lost(error);
    bool good = parser.get().result() == http::status::ok;
    std::string refusal;
    std::vector<char> chunk(kChunk);
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = chunk.data();
        body.size = chunk.size();
        http::read_some(impl_->socket, impl_->buffer, parser, error);
        std::string_view got(chunk.data(), chunk.size() - body.size);
        if (error && error != http::error::need_buffer) return impl_->lost(error);
        if (got.empty()) continue;
        if (good)
            sink(got);
        else
            refusal.append(got);
    }
    if (!parser.get().keep_alive()) impl_->close();
    if (good) return {};
    auto judged = judge(parser.get().result(), refusal);
    if (judged) return std::unexpected(CallError{1, "the server's answer makes no sense", ""});
    return std::unexpected(std::move(judged.error()));
}

}  // namespace poplar::server
