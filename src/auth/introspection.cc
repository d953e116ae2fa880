// Asks a token's issuer, and remembers good answers.
#include "auth/introspection.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <mutex>
#include <unordered_map>

#include "auth/claims.h"
#include "auth/sasl.h"
#include "http/client.h"
#include "http/target.h"
#include "http/url.h"

namespace poplar::auth {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kAnswerLimit = 64 * 1024;  // octets of a body

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

    std::optional<TokenHolder> find(const std::string& key, Timestamp now) {
        std::lock_guard hold(mutex_);
        auto found = answers_.find(key);
        if (found == answers_.end()) return std::nullopt;
        bool fresh = now < found->second.until && now >= found->second.since;
        return fresh ? std::optional(found->second.holder) : std::nullopt;
    }

    void remember(const std::string& key, const TokenHolder& holder, Timestamp now, Timestamp expires) {
        if (entries_ == 0) return;
        std::lock_guard hold(mutex_);
        auto [place, added] = answers_.insert_or_assign(key, Answer{holder, now, std::min(now + ttl_, expires)});
        if (!added) return;
        order_.push_back(key);
        if (order_.size() <= entries_) return;
        answers_.erase(order_.front());
        order_.pop_front();
    }

private:
    struct Answer {
        TokenHolder holder;
        Timestamp since, until;
    };
    const std::chrono::seconds ttl_;
    const std::size_t entries_;
    std::mutex mutex_;
    std::unordered_map<std::string, Answer> answers_;
    std::deque<std::string> order_;  ///< one for each, oldest first
};

}  // namespace

struct Introspection::Impl {
    Impl(const TokenOptions& o, std::string where, std::shared_ptr<const http::Origin> whom, std::string secret_text,
         const Clock& the_clock)
        : options(o),
          target(std::move(where)),
          issuer(std::move(whom)),
          secret(std::move(secret_text)),
          clock(the_clock),
          answers(o.cache_ttl, o.cache_entries) {}

    http::ClientRequest request(const std::string& token) const {
        http::ClientRequest made;
        made.method = "POST";
        made.target = target;
        made.fields = {{"Content-Type", "application/x-www-form-urlencoded"},
                       {"Accept", "application/json"},
                       {"Connection", "close"}};
        if (!options.introspection_user.empty()) {
            // RFC 6749 s2.3.1
            auto both = http::percent_encode(options.introspection_user) + ":" + http::percent_encode(secret);
            made.fields.emplace_back("Authorization", "Basic " + base64_encode(both));
        }
        made.body = "token=" + http::percent_encode(token) + "&token_type_hint=access_token";
        return made;
    }

    /// The answer's JSON. Errors: timed_out, io.
    Task<Result<Json>> fetch(std::string token) {
        http::Client client(co_await asio::this_coro::executor, issuer,
                            {.timeout = options.introspection_timeout, .answer_octets = kAnswerLimit});
        auto reply = co_await client.ask(request(token));
        if (!reply && reply.error().code() == Errc::timed_out)
            co_return fail(Errc::timed_out, "token: its issuer does not answer in time");
        if (!reply) co_return fail(Errc::io, "token: its issuer can't be asked: " + reply.error().detail());
        if (reply->status != 200) co_return fail(Errc::io, fmt::format("token: its issuer answered {}", reply->status));
        auto json = Json::parse(reply->body, nullptr, false);
        if (!json.is_object()) co_return fail(Errc::io, "token: its issuer answered no JSON object");
        co_return json;
    }

    Task<Result<TokenHolder>> holder_of(std::string token) {
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
        auto holder = holder_by_claims(*json, options, now);
        if (!holder) co_return holder;
        auto expires = now + options.cache_ttl;
        if (auto stated = json->find("exp"); stated != json->end() && stated->is_number()) {
            auto seconds = std::chrono::duration<double>(std::min(stated->get<double>(), 1e11));
            expires = Timestamp(std::chrono::duration_cast<std::chrono::milliseconds>(seconds));
        }
        answers.remember(key, *holder, now, expires);
        co_return holder;
    }

    const TokenOptions options;
    const std::string target;
    const std::shared_ptr<const http::Origin> issuer;
    const std::string secret;
    const Clock& clock;
    Answers answers;
    std::atomic<std::size_t> under_way = 0;
};

Introspection::Introspection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Introspection::~Introspection() = default;

Result<std::unique_ptr<Introspection>> Introspection::load(const TokenOptions& options, const Clock& clock) {
    auto url = http::parse_url(options.introspection_url);
    if (!url) return pass_on(url);
    std::string secret;
    if (const auto& file = options.introspection_secret_file; !file.empty()) {
        std::ifstream in(file);
        if (!in || !std::getline(in, secret)) return fail(Errc::invalid, file + ": can't be read, or is empty");
    }
    auto issuer = http::Origin::at_url(*url, options.introspection_ca_file);
    if (!issuer) return pass_on(issuer);
    auto impl = std::make_unique<Impl>(options, url->target, std::move(*issuer), std::move(secret), clock);
    return std::unique_ptr<Introspection>(new Introspection(std::move(impl)));
}

Task<Result<TokenHolder>> Introspection::holder_of(std::string token) { return impl_->holder_of(std::move(token)); }

}  // namespace poplar::auth
