// Boost.Beast has the grammar; the octets come and go through net::Connection, which has the deadlines.
#include "http/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <optional>

#include "base/steady.h"
#include "http/message.h"
#include "net/connection.h"

namespace poplar::http {

namespace {

namespace beast = boost::beast;
using Parser = beast::http::request_parser<beast::http::buffer_body>;
using HttpError = beast::http::error;

constexpr std::size_t kChunk = 64 * 1024;

std::string head_text(unsigned status, const Fields& fields) {
    auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(status));
    auto text = fmt::format("HTTP/1.1 {} {}\r\n", status, std::string_view(reason.data(), reason.size()));
    for (const auto& [name, value] : fields) text += fmt::format("{}: {}\r\n", name, value);
    return text + "\r\n";
}

/// Octets that were received and not yet parsed, and the parser of the request under way.
class Incoming {
public:
    Incoming(net::Connection& connection, const SessionOptions& options) : connection_(connection), options_(options) {}

    /// Reads the next request's head. False: the client left, was too slow, or the server stops: nothing to answer.
    /// Errors: invalid.
    Task<Result<bool>> read_head() {
        parser_.emplace();
        parser_->body_limit(boost::none);  // each handler has its own
        parser_->header_limit(static_cast<std::uint32_t>(options_.header_octets));
        const auto deadline = SteadyClock::now() + options_.idle;
        for (std::size_t searched = 0;;) {
            if (const auto octets = whole_head(searched); octets != 0) {
                auto error = feed(octets);
                if (error && error != HttpError::need_more)
                    co_return fail(Errc::invalid, fmt::format("malformed HTTP: {}", error.message()));
                if (!parser_->is_header_done()) co_return fail(Errc::invalid, "malformed HTTP: the head is unfinished");
                co_return true;
            }
            auto left = std::chrono::ceil<std::chrono::seconds>(deadline - SteadyClock::now());
            if (left <= std::chrono::seconds(0)) co_return false;
            if (auto more = co_await receive(left); !more) co_return false;
        }
    }

    /// Puts octets of the body into `into` and returns how many; 0: it has ended.
    Task<Result<std::size_t>> read_body(std::span<char> into) {
        // At least so many octets are to come until a body in chunks ends. Beast is given them together, because it
        // asserts that they are there behind the last chunk.
        const std::size_t least = parser_->chunked() ? std::string_view("0\r\n\r\n").size() : 1;
        while (!parser_->is_done()) {
            if (pending_.size() >= least) {
                auto& body = parser_->get().body();
                body.data = into.data();
                body.size = into.size();
                const auto before = pending_.size();
                auto error = feed();
                if (error && error != HttpError::need_more && error != HttpError::need_buffer)
                    co_return fail(Errc::invalid, fmt::format("malformed HTTP: {}", error.message()));
                if (auto got = into.size() - body.size; got > 0) co_return got;
                if (pending_.size() < before) continue;
            }
            if (auto more = co_await receive(options_.idle); !more) {
                if (more.error().code() == Errc::timed_out) co_return fail(Errc::timed_out, "the client is too slow");
                co_return pass_on(more);
            }
        }
        co_return std::size_t(0);
    }

    Parser& parser() { return *parser_; }

private:
    // The octets of the head, once all of it is there; of one that is too long, more than it may have. Beast would
    // judge a part of a head by how it was cut, so it gets none. 0: not yet.
    std::size_t whole_head(std::size_t& searched) const {
        constexpr std::string_view kEnd = "\r\n\r\n";
        const std::size_t most = options_.header_octets + 1;
        if (auto end = pending_.find(kEnd, searched); end != std::string::npos && end + kEnd.size() < most)
            return end + kEnd.size();
        if (pending_.size() >= most) return most;
        searched = pending_.size() - std::min(pending_.size(), kEnd.size() - 1);
        return 0;
    }

    // Octets that Beast did not use stay, because it wants them again with those that come behind them.
    beast::error_code feed(std::size_t most = std::string::npos) {
        beast::error_code error;
        auto used = parser_->put(asio::buffer(pending_.data(), std::min(most, pending_.size())), error);
        pending_.erase(0, used);
        return error;
    }

    Task<Result<>> receive(std::chrono::seconds idle) {
        auto octets = co_await connection_.read_some(idle);
        if (!octets) co_return pass_on(octets);
        const auto size = octets->size();
        pending_.append(*octets);
        connection_.consume(size);
        co_return Result<>();
    }

    net::Connection& connection_;
    const SessionOptions& options_;
    std::string pending_;
    std::optional<Parser> parser_;
};

class ReceivedBody final : public Body {
public:
    ReceivedBody(net::Connection& connection, Incoming& incoming) : connection_(connection), incoming_(incoming) {}

    std::uint64_t size_hint() const override { return incoming_.parser().content_length().value_or(0); }

    Task<Result<std::string_view>> next() override {
        // RFC 9110 s10.1.1: only now, because a handler may refuse without reading.
        if (!std::exchange(continued_, true) &&
            beast::iequals(incoming_.parser().get()[beast::http::field::expect], "100-continue"))
            if (auto sent = co_await connection_.write("HTTP/1.1 100 Continue\r\n\r\n"); !sent) co_return pass_on(sent);
        chunk_.resize(kChunk);
        auto got = co_await incoming_.read_body(chunk_);
        if (!got) co_return pass_on(got);
        co_return std::string_view(chunk_.data(), *got);
    }

private:
    net::Connection& connection_;
    Incoming& incoming_;
    std::vector<char> chunk_;
    bool continued_ = false;
};

/// Chunks (RFC 9112 s7.1), each sent at once: a client may watch what comes.
class SentStream final : public Stream {
public:
    explicit SentStream(net::Connection& connection) : connection_(connection) {}

    Task<Result<>> begin(std::string content_type) override {
        auto head = head_text(200, {{"Content-Type", std::move(content_type)}, {"Transfer-Encoding", "chunked"}});
        if (auto sent = co_await connection_.write(head); !sent) co_return sent;
        co_return co_await connection_.flush();
    }
    Task<Result<>> write(std::string_view bytes) override {
        if (bytes.empty()) co_return Result<>();  // an empty chunk is the last
        auto size = fmt::format("{:x}\r\n", bytes.size());
        std::array<std::string_view, 3> pieces = {size, bytes, "\r\n"};
        if (auto sent = co_await connection_.write_all(pieces); !sent) co_return sent;
        co_return co_await connection_.flush();
    }
    Task<Result<>> end() { co_return co_await connection_.write("0\r\n\r\n"); }

private:
    net::Connection& connection_;
};

enum class After { close, keep };

Task<After> send(net::Connection& connection, Reply reply, After after, bool head_only = false) {
    reply.fields.emplace_back("Content-Length", std::to_string(reply.body.size()));
    if (after == After::close) reply.fields.emplace_back("Connection", "close");
    auto head = head_text(reply.status, reply.fields);
    std::array<std::string_view, 2> pieces = {head, head_only ? std::string_view() : reply.body};
    auto sent = co_await connection.write_all(pieces);
    co_return sent ? after : After::close;
}

Task<After> serve_one(net::Connection& connection, Incoming& incoming, Handler& handler) {
    auto head = co_await incoming.read_head();
    if (!head) co_return co_await send(connection, handler.refuse(std::move(head.error())), After::close);
    if (!*head) co_return After::close;
    auto& parser = incoming.parser();
    auto method = parser.get().method_string();
    auto text = parser.get().target();
    auto target = parse_target({text.data(), text.size()});
    if (!target) co_return co_await send(connection, handler.refuse(std::move(target.error())), After::close);
    Request request{std::string(method), std::move(*target)};
    const bool head_only = request.method == "HEAD";  // RFC 9110 s9.3.2
    ReceivedBody body(connection, incoming);
    SentStream stream(connection);
    auto reply = co_await handler.answer(std::move(request), body, stream);
    auto after = parser.is_done() && parser.get().keep_alive() ? After::keep : After::close;
    if (!reply.streamed) co_return co_await send(connection, std::move(reply), after, head_only);
    if (reply.status != 200) co_return After::close;  // no last chunk: the client sees that something is missing
    auto ended = co_await stream.end();
    co_return ended ? after : After::close;
}

}  // namespace

Task<> serve(std::unique_ptr<net::Connection> connection, Handler& handler, SessionOptions options) {
    Incoming incoming(*connection, options);
    for (auto after = After::keep; after == After::keep;) after = co_await serve_one(*connection, incoming, handler);
    co_await connection->close();
}

}  // namespace poplar::http
