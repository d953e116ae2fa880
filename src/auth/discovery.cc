#include "auth/discovery.h"

#include <fmt/format.h>

#include <mutex>

#include "auth/jwks.h"
#include "auth/jwt.h"
#include "base/async_mutex.h"
#include "base/log.h"
#include "base/steady.h"
#include "http/client.h"
#include "http/url.h"

namespace poplar::auth {

namespace {

constexpr std::size_t kAnswerLimit = 256 * 1024;            // octets of a document
constexpr auto kBetweenFetches = std::chrono::seconds(10);  // whatever tokens come: anybody can make one up
constexpr std::string_view kDocument = "/.well-known/openid-configuration";

}  // namespace

struct Discovery::Impl {
    Impl(const TokenOptions& o, const Clock& c) : options(o), clock(c), issuer(o.discovery) {
        // The document's own address may be given in place of the issuer.
        if (issuer.ends_with(kDocument)) issuer.resize(issuer.size() - kDocument.size());
        if (options.issuer.empty()) options.issuer = issuer;
    }

    /// One document. Errors: timed_out, io.
    Task<Result<std::string>> get(std::string address) {
        auto url = http::parse_url(address);
        if (!url) co_return fail(Errc::io, fmt::format("{}: {}", address, url.error().detail()));
        if (!url->tls && issuer.starts_with("https:"))
            co_return fail(Errc::io, address + ": not by TLS, as the issuer is");
        auto origin = http::Origin::at_url(*url, options.discovery_ca_file);
        if (!origin) co_return pass_on(origin);
        http::Client client(co_await asio::this_coro::executor, std::move(*origin),
                            {.timeout = options.discovery_timeout, .answer_octets = kAnswerLimit});
        http::ClientRequest request;
        request.target = url->target;
        request.fields = {{"Accept", "application/json"}, {"Connection", "close"}};
        auto reply = co_await client.ask(std::move(request));
        if (!reply && reply.error().code() == Errc::timed_out)
            co_return fail(Errc::timed_out, address + ": no answer in time");
        if (!reply) co_return fail(Errc::io, fmt::format("{}: {}", address, reply.error().detail()));
        if (reply->status != 200) co_return fail(Errc::io, fmt::format("{}: status {}", address, reply->status));
        co_return std::move(reply->body);
    }

    Task<Result<JwtKeys>> fetch() {
        // Discovery s4.1: a slash at the end of the issuer is not doubled.
        auto root = issuer.ends_with('/') ? issuer.substr(0, issuer.size() - 1) : issuer;
        auto document = co_await get(root.append(kDocument));
        if (!document) co_return pass_on(document);
        auto where = parse_discovery(*document, issuer);
        if (!where) co_return fail(Errc::io, where.error().detail());
        auto set = co_await get(std::move(*where));
        if (!set) co_return pass_on(set);
        auto fetched = JwtKeys::parse_jwks(options, *set);
        if (!fetched) co_return fail(Errc::io, fetched.error().detail());
        co_return fetched;
    }

    std::shared_ptr<const JwtKeys> current() {
        std::lock_guard hold(mutex);
        return keys;
    }

    bool may_fetch(std::chrono::seconds pause) {
        std::lock_guard hold(mutex);
        return !tried || SteadyClock::now() - *tried >= pause;
    }

    /// Fetches the keys unless somebody has done so in the last moments. Errors: timed_out, io; what was known stays.
    Task<Result<>> refresh(std::chrono::seconds pause) {
        auto turn = co_await fetching.lock();
        if (!may_fetch(pause)) co_return Result<>();
        auto fetched = co_await fetch();
        if (!fetched)
            log::warning("auth.issuer_keys_not_fetched", {{"issuer", issuer}, {"reason", fetched.error().detail()}});
        else
            log::info("auth.issuer_keys_fetched", {{"issuer", issuer}, {"keys", fetched->size()}});
        std::lock_guard hold(mutex);
        tried = SteadyClock::now();
        if (!fetched) co_return pass_on(fetched);
        keys = std::make_shared<const JwtKeys>(std::move(*fetched));
        co_return Result<>();
    }

    Task<Result<TokenHolder>> holder_of(std::string token) {
        auto known = current();
        Result<> fetched;
        const std::chrono::seconds pause = known ? options.discovery_refresh : kBetweenFetches;
        if (may_fetch(pause)) {
            fetched = co_await refresh(pause);
            known = current();
        }
        if (!known && !fetched) co_return pass_on(fetched);
        if (!known) co_return fail(Errc::io, "token: the keys of its issuer could not be fetched a moment ago");
        auto holder = known->holder_of(token, clock.now());
        // A key that is not known yet, or one that took the place of another under the same name.
        if (holder || known->signed_by_one(token) || !may_fetch(kBetweenFetches)) co_return holder;
        if (auto again = co_await refresh(kBetweenFetches); !again) co_return holder;
        co_return current()->holder_of(token, clock.now());
    }

    TokenOptions options;
    const Clock& clock;
    std::string issuer;
    AsyncMutex fetching;
    std::mutex mutex;
    std::shared_ptr<const JwtKeys> keys;  ///< null: not fetched yet
    std::optional<SteadyTime> tried;      ///< the last fetch, a failed one too
};

Discovery::Discovery(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Discovery::~Discovery() = default;

Result<std::unique_ptr<Discovery>> Discovery::load(const TokenOptions& options, const Clock& clock) {
    auto url = http::parse_url(options.discovery);
    if (!url) return pass_on(url);
    // Reads the file, so that a wrong one shows at the start.
    if (auto origin = http::Origin::at_url(*url, options.discovery_ca_file); !origin) return pass_on(origin);
    return std::unique_ptr<Discovery>(new Discovery(std::make_unique<Impl>(options, clock)));
}

Task<Result<TokenHolder>> Discovery::holder_of(std::string token) { return impl_->holder_of(std::move(token)); }

}  // namespace poplar::auth
