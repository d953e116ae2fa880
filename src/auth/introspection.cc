#include "auth/introspection.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <atomic>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <deque>
#include <fstream>
#include <mutex>
#include <unordered_map>

#include "auth/claims.h"
#include "auth/sasl.h"

namespace poplar::auth {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using Json = nlohmann::json;
using tcp = asio::ip::tcp;
using Request = http::request<http::string_body>;
using Parser = http::response_parser<http::string_body>;

constexpr auto kValues = asio::as_tuple(use_awaitable);
constexpr std::size_t kAnswerLimit = 64 * 1024;  // octets of a body

/// RFC 3986 s2.3 and what application/x-www-form-urlencoded makes of the rest.
std::string form_encode(std::string_view text) {
    std::string out;
    for (char c : text) {
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     std::string_view("-._~").contains(c);
        if (plain)
            out.push_back(c);
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string digest(std::string_view text) {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), out, &size, EVP_sha256(), nullptr);
    return {reinterpret_cast<const char*>(out), size};
}

/// Good answers, for a while, by the token's digest. May be used from any thread.
class Answers {
public:
    Answers(std::chrono::seconds ttl, std::size_t entries) : ttl_(ttl), entries_(ttl.count() > 0 ? entries : 0) {}

    std::optional<std::string> find(const std::string& key, Timestamp now) {
        std::lock_guard hold(mutex_);
        auto found = answers_.find(key);
        if (found == answers_.end()) return std::nullopt;
        bool fresh = now < found->second.until && now >= found->second.since;
        return fresh ? std::optional(found->second.name) : std::nullopt;
    }

    void remember(const std::string& key, const std::string& name, Timestamp now, Timestamp expires) {
        if (entries_ == 0) return;
        std::lock_guard hold(mutex_);
        auto [place, added] = answers_.insert_or_assign(key, Answer{name, now, std::min(now + ttl_, expires)});
        if (!added) return;
        order_.push_back(key);
        if (order_.size() <= entries_) return;
        answers_.erase(order_.front());
        order_.pop_front();
    }

private:
    struct Answer {
        std::string name;
        Timestamp since, until;
    };
    const std::chrono::seconds ttl_;
    const std::size_t entries_;
    std::mutex mutex_;
    std::unordered_map<std::string, Answer> answers_;
    std::deque<std::string> order_;  ///< one for each, oldest first
};

/// What a deadline cuts.
struct Line {
    explicit Line(const Executor& executor) : resolver(executor), socket(executor) {}
    void cut() {
        expired = true;
        resolver.cancel();
        beast::error_code ignored;
        socket.close(ignored);
    }
    tcp::resolver resolver;
    tcp::socket socket;
    bool expired = false;
};

template <class Stream>
Task<beast::error_code> ask(Stream& stream, Request& request, Parser& parser) {
    auto [write_error, written] = co_await http::async_write(stream, request, kValues);
    if (write_error) co_return write_error;
    beast::flat_buffer buffer(kAnswerLimit);
    auto [read_error, read] = co_await http::async_read(stream, buffer, parser, kValues);
    co_return read_error;
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
    auto wrong = [&](std::string_view what) {
        return fail(Errc::invalid, fmt::format("\"{}\" is no URL that can be asked: {}", text, what));
    };
    Url url;
    auto rest = text;
    if (rest.starts_with("https://"))
        url.tls = true;
    else if (!rest.starts_with("http://"))
        return wrong("it must begin with https:// or http://");
    rest.remove_prefix(url.tls ? 8 : 7);
    if (!std::ranges::all_of(rest, [](char c) { return c > 0x20 && c < 0x7f; })) return wrong("spaces or non-ASCII");
    if (rest.find_first_of("#@") != std::string_view::npos) return wrong("no fragment, no user");
    auto slash = std::min(rest.find_first_of("/?"), rest.size());
    auto authority = rest.substr(0, slash);
    url.target = rest.substr(slash);
    if (!url.target.starts_with('/')) url.target.insert(0, "/");
    url.host_header = authority;
    auto colon = authority.rfind(':');
    if (authority.starts_with('[')) {
        auto bracket = authority.find(']');
        if (bracket == std::string_view::npos) return wrong("a malformed host");
        url.host = authority.substr(1, bracket - 1);
        auto port = authority.substr(bracket + 1);
        if (!port.empty() && !port.starts_with(':')) return wrong("a malformed port");
        colon = port.empty() ? std::string_view::npos : bracket + 1;
    } else {
        url.host = authority.substr(0, colon);
    }
    url.port = colon == std::string_view::npos ? (url.tls ? "443" : "80") : std::string(authority.substr(colon + 1));
    bool digits = url.port.find_first_not_of("0123456789") == std::string::npos;
    if (url.host.empty() || url.port.empty() || url.port.size() > 5 || !digits || std::stoul(url.port) > 65535)
        return wrong("a malformed host or port");
    return url;
}

struct Introspection::Impl {
    Impl(const TokenOptions& o, Url where, std::string secret_text, const Clock& the_clock)
        : options(o),
          url(std::move(where)),
          secret(std::move(secret_text)),
          clock(the_clock),
          tls(ssl::context::tls_client),
          answers(o.cache_ttl, o.cache_entries) {}

    Request request(const std::string& token) const {
        Request made(http::verb::post, url.target, 11);
        made.set(http::field::host, url.host_header);
        made.set(http::field::content_type, "application/x-www-form-urlencoded");
        made.set(http::field::accept, "application/json");
        made.set(http::field::connection, "close");
        if (!options.introspection_user.empty()) {
            // RFC 6749 s2.3.1
            auto both = form_encode(options.introspection_user) + ":" + form_encode(secret);
            made.set(http::field::authorization, "Basic " + base64_encode(both));
        }
        made.body() = "token=" + form_encode(token) + "&token_type_hint=access_token";
        made.prepare_payload();
        return made;
    }

    Task<beast::error_code> exchange(Line& line, Request& wanted, Parser& parser) {
        beast::error_code error;
        auto address = asio::ip::make_address(url.host, error);
        if (!error) {
            auto port = static_cast<std::uint16_t>(std::stoul(url.port));
            auto [failed] = co_await line.socket.async_connect({address, port}, kValues);
            if (failed) co_return failed;
        } else {
            auto [unresolved, found] = co_await line.resolver.async_resolve(url.host, url.port, kValues);
            if (unresolved) co_return unresolved;
            if (line.expired) co_return asio::error::timed_out;
            auto [failed, endpoint] = co_await asio::async_connect(line.socket, found, kValues);
            if (failed) co_return failed;
        }
        if (!url.tls) co_return co_await ask(line.socket, wanted, parser);
        ssl::stream<tcp::socket&> stream(line.socket, tls);
        SSL_set_tlsext_host_name(stream.native_handle(), url.host.c_str());
        stream.set_verify_callback(ssl::host_name_verification(url.host));
        auto [unsafe] = co_await stream.async_handshake(ssl::stream_base::client, kValues);
        if (unsafe) co_return unsafe;
        co_return co_await ask(stream, wanted, parser);
    }

    /// The answer's JSON. Errors: timed_out, io.
    Task<Result<Json>> fetch(std::string token) {
        auto executor = co_await asio::this_coro::executor;
        auto line = std::make_shared<Line>(executor);
        asio::steady_timer timer(executor, options.introspection_timeout);
        timer.async_wait([watched = std::weak_ptr(line)](beast::error_code error) {
            if (auto held = watched.lock(); held && !error) held->cut();
        });
        auto wanted = request(token);
        Parser parser;
        parser.body_limit(kAnswerLimit);
        auto error = co_await exchange(*line, wanted, parser);
        timer.cancel();
        if (line->expired) co_return fail(Errc::timed_out, "token: its issuer does not answer in time");
        if (error) co_return fail(Errc::io, "token: its issuer can't be asked: " + error.message());
        if (parser.get().result() != http::status::ok)
            co_return fail(Errc::io, fmt::format("token: its issuer answered {}", parser.get().result_int()));
        auto json = Json::parse(parser.get().body(), nullptr, false);
        if (!json.is_object()) co_return fail(Errc::io, "token: its issuer answered no JSON object");
        co_return json;
    }

    Task<Result<std::string>> account_of(std::string token) {
        auto key = digest(token);
        if (auto known = answers.find(key, clock.now())) co_return std::move(*known);
        struct Place {
            explicit Place(std::atomic<std::size_t>& count) : taken(count) { ++taken; }
            ~Place() { --taken; }
            std::atomic<std::size_t>& taken;
        } place(under_way);
        if (under_way > options.introspection_requests) co_return fail(Errc::busy, "token: too many are being checked");
        auto json = co_await fetch(std::move(token));
        if (!json) co_return pass_on(json);
        // RFC 7662 s2.2
        if (json->value("active", Json(false)) != true) co_return fail(Errc::denied, "token: not active");
        auto now = clock.now();
        auto name = account_claim(*json, options, now);
        if (!name) co_return name;
        auto expires = now + options.cache_ttl;
        if (auto stated = json->find("exp"); stated != json->end() && stated->is_number()) {
            auto seconds = std::chrono::duration<double>(std::min(stated->get<double>(), 1e11));
            expires = Timestamp(std::chrono::duration_cast<std::chrono::milliseconds>(seconds));
        }
        answers.remember(key, *name, now, expires);
        co_return name;
    }

    const TokenOptions options;
    const Url url;
    const std::string secret;
    const Clock& clock;
    ssl::context tls;
    Answers answers;
    std::atomic<std::size_t> under_way = 0;
};

Introspection::Introspection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Introspection::~Introspection() = default;

Result<std::unique_ptr<Introspection>> Introspection::load(const TokenOptions& options, const Clock& clock) {
    auto url = parse_url(options.introspection_url);
    if (!url) return pass_on(url);
    std::string secret;
    if (const auto& file = options.introspection_secret_file; !file.empty()) {
        std::ifstream in(file);
        if (!in || !std::getline(in, secret)) return fail(Errc::invalid, file + ": can't be read, or is empty");
    }
    auto impl = std::make_unique<Impl>(options, std::move(*url), std::move(secret), clock);
    beast::error_code error;
    impl->tls.set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 | ssl::context::default_workarounds);
    impl->tls.set_verify_mode(ssl::verify_peer);
    if (options.introspection_ca_file.empty())
        impl->tls.set_default_verify_paths(error);
    else
        impl->tls.load_verify_file(options.introspection_ca_file, error);
    if (error) return fail(Errc::invalid, options.introspection_ca_file + ": " + error.message());
    return std::unique_ptr<Introspection>(new Introspection(std::move(impl)));
}

Task<Result<std::string>> Introspection::account_of(std::string token) { return impl_->account_of(std::move(token)); }

}  // namespace poplar::auth
