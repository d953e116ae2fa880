#include "directory/outside/http.h"

#include <fmt/format.h>

#include <atomic>

#include <nlohmann/json.hpp>

#include "directory/outside/words.h"
#include "http/client.h"

namespace poplar::directory::outside {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kAnswerLimit = 64 * 1024;  // octets of a body
constexpr int kDepth = 4;                        // of nesting in it

std::unexpected<Error> failure(std::string_view what) { return fail(Errc::io, fmt::format("HTTP: {}", what)); }
/// It answered, but this can't be used. It may be able to say something of other addresses.
std::unexpected<Error> nonsense(std::string_view what) { return fail(Errc::invalid, fmt::format("HTTP: {}", what)); }

/// Whether a service that answers so may have stumbled over this question alone (RFC 9110 s15.5, s15.6).
bool is_of_question(int status) {
    switch (status) {
        case 400:
        case 404:
        case 409:
        case 413:
        case 414:
        case 422:
        case 500: return true;
        default: return false;
    }
}

class Http final : public Source {
public:
    Http(const Settings& settings, std::string target, std::shared_ptr<const http::Origin> origin)
        : limit_(settings.connections + settings.waiting), target_(std::move(target)), origin_(std::move(origin)) {}

    Task<Result<Answer>> ask(Question question) override {
        struct Place {
            explicit Place(std::atomic<std::size_t>& count) : taken(count) { ++taken; }
            ~Place() { --taken; }
            std::atomic<std::size_t>& taken;
        } place(under_way_);
        if (under_way_ > limit_) co_return fail(Errc::busy, "HTTP: too many questions are under way");
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(question.deadline - SteadyClock::now());
        if (left.count() <= 0) co_return fail(Errc::timed_out, "HTTP: no time left");
        http::Client client(co_await asio::this_coro::executor, origin_,
                            {.timeout = left, .answer_octets = kAnswerLimit});
        http::ClientRequest request;
        request.method = "POST";
        request.target = target_;
        request.fields = {
            {"Content-Type", "application/json"}, {"Accept", "application/json"}, {"Connection", "close"}};
        request.body = http_question(question);
        auto reply = co_await client.ask(std::move(request));
        if (!reply && reply.error().code() == Errc::timed_out)
            co_return fail(Errc::timed_out, "HTTP: no answer in time");
        if (!reply) co_return failure(reply.error().detail());
        if (reply->status != 200) {
            const auto what = fmt::format("answered with status {}", reply->status);
            co_return is_of_question(reply->status) ? nonsense(what) : failure(what);
        }
        co_return parse_http_answer(reply->body, question.password.has_value());
    }

private:
    const std::size_t limit_;
    const std::string target_;
    const std::shared_ptr<const http::Origin> origin_;
    std::atomic<std::size_t> under_way_ = 0;
};

}  // namespace

std::string http_question(const Question& question) {
    Json json{{"address", value_of(Word::address, question.address)},
              {"protocol", question.protocol},
              {"peer", question.peer}};
    if (question.password) json["password"] = *question.password;
    // A password need not be UTF-8; one that is not can't be the one that the service knows.
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Answer> parse_http_answer(std::string_view body, bool with_password) {
    bool deep = false;
    auto shallow = [&deep](int depth, Json::parse_event_t, Json&) {
        deep |= depth > kDepth;
        return depth <= kDepth;
    };
    auto json = Json::parse(body, shallow, false);
    if (deep || !json.is_object()) return nonsense("answered no JSON object");
    auto flag = [&json](const char* name) -> std::optional<bool> {
        auto found = json.find(name);
        if (found == json.end() || !found->is_boolean()) return std::nullopt;
        return found->get<bool>();
    };
    const auto exists = flag("exists"), ok = flag("ok");
    if (!exists) return nonsense("answered without \"exists\": true or false");
    if (with_password && !ok) return nonsense("answered without \"ok\": true or false");
    if (ok.value_or(false) && !*exists) return nonsense("answered that somebody is right who does not exist");
    Answer answer{.exists = *exists};
    if (with_password && *exists) answer.right = *ok;
    return answer;
}

Result<std::unique_ptr<Source>> make_http(const Settings& settings) {
    auto url = http::parse_url(settings.url);
    if (!url) return pass_on(url);
    auto origin = http::Origin::at_url(*url, settings.ca_file);
    if (!origin) return pass_on(origin);
    return std::make_unique<Http>(settings, url->target, std::move(*origin));
}

}  // namespace poplar::directory::outside
