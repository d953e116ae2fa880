// Routes over mail: listing and showing, what was deleted, delivering, verifying.
#include <fmt/format.h>

#include "base/log.h"
#include "base/random.h"
#include "mail/header_walk.h"
#include "mail/wire_form.h"
#include "server/admin_api.h"

namespace poplar::server {

namespace {

constexpr std::size_t kShownHeader = 64 * 1024;  // octets

// The value of the first field called `name` (lower case), as people read it.
std::string shown(const std::vector<mail::HeaderField>& fields, std::string_view name) {
    auto same = [&](std::string_view other) {
        return std::ranges::equal(other, name, {}, [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    };
    for (const auto& field : fields)
        if (same(field.name)) return mail::decode_for_display(field.value);
    return {};
}

class EventStream final : public upkeep::VerifyListener {
public:
    explicit EventStream(http::Stream& stream) : stream_(stream) {}
    Task<Result<>> damaged(upkeep::NamedDamage damage) override { co_return co_await write(json_damage(damage)); }
    Task<Result<>> progress(engine::VerifyTotals totals) override { co_return co_await write(json_progress(totals)); }
    Task<Result<>> write(Json event) {
        auto line = dump(event) + "\n";
        co_return co_await stream_.write(line);
    }

private:
    http::Stream& stream_;
};

Json json_totals(const char* type, const engine::VerifyTotals& totals) {
    return {{"type", type},
            {"segments", totals.segments},
            {"records", totals.records},
            {"bodies", totals.bodies},
            {"octets", totals.octets},
            {"damaged", totals.damaged}};
}

}  // namespace

Json json_progress(const engine::VerifyTotals& totals) { return json_totals("progress", totals); }

Json json_done(const upkeep::VerifyOutcome& outcome) {
    auto out = json_totals("done", outcome.totals);
    out["accounts"] = outcome.accounts;
    return out;
}

Json json_damage(const upkeep::NamedDamage& named) {
    const auto& damage = named.damage;
    Json out{{"type", "damage"}, {"what", damage.what}};
    if (!damage.file.empty()) out["file"] = damage.file, out["offset"] = damage.offset;
    if (damage.partition) out["partition"] = damage.partition->value;
    if (damage.body) out["body"] = damage.body->value;
    if (!named.account.empty()) out["account"] = named.account;
    if (!named.unique_id.empty()) out["message"] = named.unique_id;
    return out;
}

Task<Json> AdminApi::describe(directory::AccountId account, mailstore::Message message, bool headers) {
    Json out{{"unique_id", message.unique_id},
             {"order", message.order.value},
             {"octets", message.octets},
             {"received", json_time(message.received)}};
    if (!headers) co_return out;
    out["from"] = out["subject"] = out["date"] = "";
    auto reader = co_await s_.mail.open(account, message);
    if (!reader) {
        out["error"] = to_string(reader.error().code());
        co_return out;
    }
    // The head, then the content's first chunk: 64 KB hold any header that people wrote.
    std::string plain;
    mail::WireDecoder decoder;
    mail::HeaderWalk walk;
    while (!walk.in_body() && plain.size() < kShownHeader) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) {
            out["error"] = to_string(chunk.error().code());
            co_return out;
        }
        if (chunk->empty()) break;
        walk.feed(*chunk);
        decoder.decode(*chunk, plain);
    }
    auto fields = mail::parse_header(plain);
    out["from"] = shown(fields, "from");
    out["subject"] = shown(fields, "subject");
    out["date"] = shown(fields, "date");
    co_return out;
}

Task<ApiReply> AdminApi::messages(const http::Request& request, directory::AccountId account, http::Stream& stream) {
    const auto& path = request.target.path;
    const auto& method = request.method;
    if (path.size() == 4 && method == "GET") co_return co_await list_messages(request, account);
    if (path.size() < 5) co_return no_such_route(request);
    auto message = co_await s_.mail.find(account, path[4]);
    if (!message && message.error().code() == Errc::not_found)
        co_return api_error(Errc::not_found, fmt::format("no message {}", path[4]));
    if (!message) co_return api_error(message.error());
    if (path.size() == 5 && method == "GET") {
        auto described = co_await describe(account, *message, true);
        co_return ApiReply{200, std::move(described)};
    }
    if (path.size() == 5 && method == "DELETE") {
        auto removed = co_await s_.mail.remove(account, {path[4]}, "admin");
        if (!removed) co_return api_error(removed.error());
        log::info("admin.message_removed", {{"account_id", account.value}, {"unique_id", path[4]}});
        co_return ApiReply{200, {{"removed", path[4]}}};
    }
    if (path.size() == 6 && path[5] == "content" && method == "GET")
        co_return co_await send_content(*message, account, stream);
    co_return no_such_route(request);
}

Task<ApiReply> AdminApi::list_messages(const http::Request& request, directory::AccountId account) {
    auto limit = query_number(request, "limit", 100, 10'000);
    if (!limit) co_return api_error(limit.error());
    auto after = query_number(request, "after", 0, std::numeric_limits<std::uint64_t>::max());
    if (!after) co_return api_error(after.error());
    bool headers = query_text(request, "headers") != "no";
    auto found = co_await s_.mail.list(account, mailstore::OrderKey(*after), *limit);
    if (!found) co_return api_error(found.error());
    auto list = Json::array();
    for (const auto& message : *found) {
        auto described = co_await describe(account, message, headers);
        list.push_back(std::move(described));
    }
    co_return ApiReply{200, {{"messages", std::move(list)}}};
}

Task<ApiReply> AdminApi::send_content(mailstore::Message message, directory::AccountId account, http::Stream& stream) {
    auto reader = co_await s_.mail.open(account, message);
    if (!reader) co_return api_error(reader.error());
    if (auto whole = co_await (*reader)->verify(); !whole) co_return api_error(whole.error());
    if (auto begun = co_await stream.begin("message/rfc822"); !begun) co_return ApiReply{500, {}, true};
    mail::WireDecoder decoder;
    std::string plain;
    for (;;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return ApiReply{500, {}, true};
        if (chunk->empty()) co_return ApiReply{200, {}, true};
        plain.clear();
        decoder.decode(*chunk, plain);
        if (plain.empty()) continue;
        if (auto sent = co_await stream.write(plain); !sent) co_return ApiReply{500, {}, true};
    }
}

Task<ApiReply> AdminApi::retained(const http::Request& request, directory::AccountId account) {
    const auto& path = request.target.path;
    if (path.size() == 4 && request.method == "GET") {
        auto limit = query_number(request, "limit", 100, 10'000);
        if (!limit) co_return api_error(limit.error());
        auto offset = query_number(request, "offset", 0, std::numeric_limits<std::uint32_t>::max());
        if (!offset) co_return api_error(offset.error());
        auto found = co_await s_.mail.list_retained(account, *offset, *limit);
        if (!found) co_return api_error(found.error());
        bool headers = query_text(request, "headers") != "no";
        auto list = Json::array();
        for (const auto& retained : *found) {
            auto described = co_await describe(account, retained.message, headers);
            described["deleted"] = json_time(retained.deleted);
            described["expires"] = json_time(retained.expires);
            described["reason"] = retained.reason;
            list.push_back(std::move(described));
        }
        co_return ApiReply{200, {{"messages", std::move(list)}}};
    }
    if (path.size() == 6 && path[5] == "restore" && request.method == "POST") {
        // The store takes a repeated restore for done; an operator has mistaken the message.
        auto found = co_await s_.mail.find(account, path[4]);
        if (found && found->order.value > 0) {
            auto live = co_await s_.mail.list(account, mailstore::OrderKey(found->order.value - 1), 1);
            if (live && !live->empty() && live->front().unique_id == path[4])
                co_return api_error(Errc::exists, fmt::format("the message {} is not deleted", path[4]));
        }
        auto restored = co_await s_.mail.restore(account, path[4]);
        if (!restored && restored.error().code() == Errc::not_found)
            co_return api_error(Errc::not_found, fmt::format("no deleted message {} is kept", path[4]));
        if (!restored) co_return api_error(restored.error());
        log::info("admin.message_restored", {{"account_id", account.value}, {"unique_id", path[4]}});
        auto described = co_await describe(account, *restored, false);
        co_return ApiReply{200, std::move(described)};
    }
    co_return no_such_route(request);
}

Task<ApiReply> AdminApi::deliver(const http::Request& request, http::Body& body) {
    auto text = query_text(request, "recipient");
    auto address = mail::parse_address(text);
    if (!address) co_return api_error(Errc::invalid, fmt::format("\"{}\" is not an address", text));
    auto sender = query_text(request, "sender");
    if (!sender.empty() && !mail::parse_address(sender))
        co_return api_error(Errc::invalid, fmt::format("\"{}\" is not an address", sender));
    auto resolution = co_await s_.delivery.resolve(*address);
    if (!resolution) co_return api_error(resolution.error());
    using Kind = directory::Resolution::Kind;
    switch (resolution->kind) {
        case Kind::accounts: break;
        case Kind::unknown_domain: co_return api_error(Errc::not_found, fmt::format("no domain for {}", text));
        case Kind::unknown_user: co_return api_error(Errc::not_found, fmt::format("nobody has the address {}", text));
        case Kind::disabled: co_return api_error(Errc::denied, fmt::format("{} is disabled", text));
        case Kind::loop: co_return api_error(Errc::invalid, fmt::format("the aliases of {} lead in a circle", text));
    }

    auto envelope = std::make_shared<delivery::Envelope>();
    envelope->reverse_path = sender;
    envelope->add(text, resolution->accounts);
    envelope->received.by = s_.hostname;
    envelope->received.with = "LMTP";  // the same path; the admin socket has no name of its own among the keywords
    envelope->received.id = random_text(12);
    auto id = envelope->received.id;
    auto incoming = s_.delivery.begin(std::move(envelope), body.size_hint());
    // A file on this machine: its line ends are LF more often than CRLF.
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    std::string wire;
    for (bool more = true; more;) {
        auto part = co_await body.next();
        if (!part) co_return api_error(part.error());
        wire.clear();
        more = !part->empty();
        if (more)
            encoder.encode(*part, wire);
        else
            encoder.finish(wire);
        if (wire.empty()) continue;
        if (auto written = co_await incoming->write(wire); !written)
            co_return api_error(delivery::error_of(written.error()));
    }
    auto verdicts = co_await incoming->finish(encoder.sizes());
    if (!verdicts) co_return api_error(delivery::error_of(verdicts.error()));
    if (verdicts->empty()) co_return api_error(Errc::io, "no result for the recipient");
    if (auto& verdict = verdicts->front(); !verdict.stored()) co_return api_error(delivery::error_of(verdict));
    log::info("admin.delivered", {{"recipient", text}, {"octets", encoder.sizes().octets}, {"transaction", id}});
    co_return ApiReply{201, {{"recipient", text}, {"octets", encoder.sizes().octets}, {"transaction", id}}};
}

Task<ApiReply> AdminApi::verify(http::Stream& stream) {
    if (verifying_) co_return api_error(Errc::busy, "a verification is running already");
    struct Running {
        explicit Running(bool& f) : flag(f) { flag = true; }
        ~Running() { flag = false; }
        bool& flag;
    } running(verifying_);
    if (auto begun = co_await stream.begin("application/x-ndjson"); !begun) co_return ApiReply{500, {}, true};
    EventStream events(stream);
    auto outcome = co_await s_.verify(events);
    Result<> done;
    if (outcome)
        done = co_await events.write(json_done(*outcome));
    else
        done = pass_on(outcome);
    if (!done) {
        log::warning("admin.verify_ended", {{"reason", done.error().detail()}});
        co_return ApiReply{500, {}, true};
    }
    co_return ApiReply{200, {}, true};
}

}  // namespace poplar::server
