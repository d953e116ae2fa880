// Connects, writes a request and reads its reply by Boost.Beast, the same over each kind of stream; one timer cuts all
// of it.
#include "http/client.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/un.h>

#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <optional>

#include "base/one_shot.h"
#include "base/steady.h"

namespace poplar::http {

namespace {

namespace beast = boost::beast;
namespace ssl = asio::ssl;
using tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using Endpoint = asio::generic::stream_protocol::endpoint;
using Secured = ssl::stream<Socket&>;
using Parser = beast::http::response_parser<beast::http::buffer_body>;

constexpr auto kValues = asio::as_tuple(use_awaitable);
constexpr std::size_t kChunk = 64 * 1024;

struct Place final : Origin {
    explicit Place(Url u) : url(std::move(u)) {}
    explicit Place(std::string path) : socket(std::move(path)) { url.host_header = "localhost"; }
    Url url;
    std::string socket;                       // empty: by URL
    mutable std::optional<ssl::context> tls;  // OpenSSL's context may be used by many threads at once
};

std::string head_text(const ClientRequest& request, std::string_view host) {
    auto text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.target, host);
    for (const auto& [name, value] : request.fields) text += fmt::format("{}: {}\r\n", name, value);
    if (request.source)
        text += "Transfer-Encoding: chunked\r\n";
    else if (request.pieces)
        text += fmt::format("Content-Length: {}\r\n", request.pieces_octets);
    else if (!request.body.empty() || request.method != "GET")
        text += fmt::format("Content-Length: {}\r\n", request.body.size());
    return text + "\r\n";
}

std::unexpected<Error> broken(const beast::error_code& error) { return fail(Errc::closed, error.message()); }

template <class Stream>
Task<Result<>> send(Stream& stream, const ClientRequest& request, std::string head) {
    head += request.body;
    auto [error, written] = co_await asio::async_write(stream, asio::buffer(head), kValues);
    std::vector<char> chunk(request.source ? kChunk : 0);
    while (request.source && !error) {
        auto got = request.source(chunk.data(), chunk.size());
        if (got < 0) co_return fail(Errc::invalid, "the input can't be read");
        // RFC 9112 s7.1
        std::string size = fmt::format("{:x}\r\n", got);
        std::array<asio::const_buffer, 3> pieces = {asio::buffer(size),
                                                    asio::const_buffer(chunk.data(), static_cast<std::size_t>(got)),
                                                    asio::buffer("\r\n", 2)};
        auto [failed, octets] = co_await asio::async_write(stream, pieces, kValues);
        error = failed;
        if (got == 0) break;
    }
    for (auto left = request.pieces ? request.pieces_octets : 0; left > 0 && !error;) {
        auto piece = co_await request.pieces();
        if (!piece) co_return pass_on(piece);
        if (piece->empty() || piece->size() > left) co_return fail(Errc::invalid, "the body is not of its length");
        left -= piece->size();
        auto [failed, octets] = co_await asio::async_write(stream, asio::buffer(*piece), kValues);
        error = failed;
    }
    // A refusal may come before the whole request was taken: it says more than the broken pipe.
    if (error && error != asio::error::broken_pipe) co_return broken(error);
    co_return Result<>();
}

template <class Stream>
Task<Result<ClientReply>> receive(Stream& stream, beast::flat_buffer& buffer, Parser& parser,
                                  const ClientRequest& request, std::size_t limit) {
    parser.body_limit(boost::none);
    auto [error, octets] = co_await beast::http::async_read_header(stream, buffer, parser, kValues);
    if (error) co_return broken(error);
    ClientReply reply;
    reply.status = parser.get().result_int();
    reply.content_type = parser.get()[beast::http::field::content_type];
    std::vector<char> chunk(kChunk);
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = chunk.data();
        body.size = chunk.size();
        auto [failed, used] = co_await beast::http::async_read_some(stream, buffer, parser, kValues);
        if (failed && failed != beast::http::error::need_buffer) co_return broken(failed);
        std::string_view got(chunk.data(), chunk.size() - body.size);
        if (request.sink && reply.status == 200) {
            if (!got.empty()) request.sink(got);
            continue;
        }
        if (limit != 0 && got.size() > limit - reply.body.size())
            co_return fail(Errc::too_large, "the answer is too long");
        reply.body.append(got);
    }
    co_return reply;
}

}  // namespace

Result<std::shared_ptr<const Origin>> Origin::at_url(const Url& url, const std::string& ca_file) {
    auto place = std::make_shared<Place>(url);
    if (!url.tls) return place;
    beast::error_code error;
    auto& context = place->tls.emplace(ssl::context::tls_client);
    context.set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 | ssl::context::default_workarounds);
    context.set_verify_mode(ssl::verify_peer);
    if (ca_file.empty())
        context.set_default_verify_paths(error);
    else
        context.load_verify_file(ca_file, error);
    if (error) return fail(Errc::invalid, ca_file + ": " + error.message());
    return place;
}

std::shared_ptr<const Origin> Origin::at_socket(std::string path) { return std::make_shared<Place>(std::move(path)); }

struct Client::Impl {
    using Addresses = std::vector<tcp::endpoint>;
    /// The parts that the deadline cuts. Shared with the timer, which may fire while the connection goes.
    struct Line {
        explicit Line(const Executor& executor) : resolver(executor), socket(executor) {}
        void cut() {
            expired = true;
            resolver.cancel();
            give_addresses(fail(Errc::timed_out, "no address in time"));
            beast::error_code ignored;
            socket.close(ignored);
        }
        /// The first that is told counts: a call of the system's resolver can't be cut, only left alone.
        void give_addresses(Result<Addresses> found) {
            if (auto sender = std::exchange(waiting, std::nullopt)) sender->send(std::move(found));
        }
        asio::ip::basic_resolver<tcp, Executor> resolver;
        std::optional<OneShot<Addresses>::Sender> waiting;
        Socket socket;
        bool expired = false;
    };

    Impl(Executor e, std::shared_ptr<const Origin> o, ClientOptions with)
        : executor(std::move(e)), place(std::static_pointer_cast<const Place>(std::move(o))), options(with) {}

    void hang_up() {
        secured.reset();
        if (line) line->cut();
        line.reset();
        buffer.clear();
    }

    Task<beast::error_code> try_endpoint(Endpoint endpoint) {
        beast::error_code ignored;
        line->socket.close(ignored);
        auto [error] = co_await line->socket.async_connect(endpoint, kValues);
        co_return error;
    }

    Task<Result<Addresses>> addresses() {
        const auto port = static_cast<std::uint16_t>(std::stoul(place->url.port));  // checked by parse_url()
        beast::error_code no_address;
        if (const auto literal = asio::ip::make_address(place->url.host, no_address); !no_address)
            co_return Addresses{{literal, port}};
        if (options.resolve) {
            auto found = co_await options.resolve(place->url.host);
            if (!found) co_return pass_on(found);
            Addresses all;
            for (const auto& text : *found)
                if (const auto address = asio::ip::make_address(text, no_address); !no_address)
                    all.emplace_back(address, port);
            co_return all;
        }
        OneShot<Addresses> result;
        line->waiting = result.sender();
        line->resolver.async_resolve(place->url.host, place->url.port,
                                     [held = line](const beast::error_code& error, const auto& found) {
                                         if (error) return held->give_addresses(fail(Errc::io, error.message()));
                                         Addresses all;
                                         for (const auto& entry : found) all.push_back(entry.endpoint());
                                         held->give_addresses(std::move(all));
                                     });
        co_return co_await result.receive();
    }

    Task<Result<>> connect() {
        beast::error_code error = asio::error::host_not_found;
        if (!place->socket.empty()) {
            if (place->socket.size() >= sizeof(sockaddr_un::sun_path))
                co_return fail(Errc::io, beast::error_code(asio::error::name_too_long).message());
            error = co_await try_endpoint(asio::local::stream_protocol::endpoint(place->socket));
        } else {
            auto found = co_await addresses();
            if (!found) co_return pass_on(found);
            for (const auto& address : *found) {
                if (line->expired) break;
                error = co_await try_endpoint(Endpoint(address));
                if (!error) break;
            }
        }
        if (error == boost::system::errc::no_such_file_or_directory || error == asio::error::connection_refused)
            co_return fail(Errc::not_found, error.message());
        if (error) co_return fail(Errc::io, error.message());
        if (!place->url.tls) co_return Result<>();
        secured.emplace(line->socket, *place->tls);
        SSL_set_tlsext_host_name(secured->native_handle(), place->url.host.c_str());
        secured->set_verify_callback(ssl::host_name_verification(place->url.host));
        auto [unsafe] = co_await secured->async_handshake(ssl::stream_base::client, kValues);
        if (unsafe) co_return broken(unsafe);
        co_return Result<>();
    }

    template <class Stream>
    Task<Result<ClientReply>> exchange(Stream& stream, const ClientRequest& request) {
        auto sent = co_await send(stream, request, head_text(request, place->url.host_header));
        if (!sent) co_return pass_on(sent);
        Parser parser;
        auto reply = co_await receive(stream, buffer, parser, request, options.answer_octets);
        if (reply && !parser.get().keep_alive()) hang_up();
        co_return reply;
    }

    Task<Result<ClientReply>> try_ask(const ClientRequest& request) {
        if (!line->socket.is_open())
            if (auto connected = co_await connect(); !connected) co_return pass_on(connected);
        if (secured) co_return co_await exchange(*secured, request);
        co_return co_await exchange(line->socket, request);
    }

    Task<Result<ClientReply>> ask(const ClientRequest& request) {
        if (!line) line = std::make_shared<Line>(executor);
        auto held = line;
        SteadyTimer timer(executor);
        if (options.timeout.count() > 0) {
            timer.expires_after(options.timeout);
            timer.async_wait([watched = std::weak_ptr(line)](beast::error_code error) {
                if (auto cut = watched.lock(); cut && !error) cut->cut();
            });
        }
        auto reply = co_await try_ask(request);
        timer.cancel();
        if (reply) co_return reply;
        const bool expired = held->expired;
        hang_up();
        if (expired) co_return fail(Errc::timed_out, "no answer in time");
        co_return reply;
    }

    Executor executor;
    std::shared_ptr<const Place> place;
    ClientOptions options;
    std::shared_ptr<Line> line;
    std::optional<Secured> secured;  ///< over the line's socket
    beast::flat_buffer buffer;
};

Client::Client(Executor executor, std::shared_ptr<const Origin> origin, ClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(origin), options)) {}

Client::~Client() { impl_->hang_up(); }

void Client::cut() {
    if (impl_->line) impl_->line->cut();
}

Task<Result<ClientReply>> Client::ask(ClientRequest request) { co_return co_await impl_->ask(request); }

}  // namespace poplar::http
