// From a request to the function that answers it, and its failure to a reply.
#include "admin/api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "admin/row.h"
#include "base/log.h"

namespace poplar::admin {

namespace {

using api::Json;

struct Section {
    std::string_view title, words;
    const std::vector<Row>& rows;
};

const std::vector<Section>& sections() {
    static const std::vector<Section> list = {
        {"Domains", "", domain_rows()},
        {"Accounts",
         "A new password (an imported one too) or shared secret, a new status and removal end the account's open POP3 "
         "sessions:\none that waits for a command is told so, one that is sending is cut. Nothing marked for deletion "
         "is "
         "deleted.\n\nA removed address is free at once. Mail for it that a client is just sending is refused at the "
         "end "
         "(`550 5.1.1`), and goes\nneither to what is left of the account nor to a new owner of the address. Its mail "
         "is "
         "kept for `storage.retention` and\nthen goes in the next round (`storage.expire_every`); until then it is "
         "read as "
         "the mail of `id:NUMBER` in place of the\naddress.",
         account_rows()},
        {"Devices",
         "A device is a password of an account for one client (docs/using/devices.md). It can be named by its id or by "
         "its "
         "name.",
         device_rows()},
        {"Second factors",
         "When an account needs one is a setting of the account or its domain (docs/using/second-factor.md).",
         second_factor_rows()},
        {"Encrypted mail", "Mail that only its owner's credentials open (docs/operating/encryption.md).",
         encryption_rows()},
        {"Aliases", "", alias_rows()},
        {"Quotas",
         "How much mail may be held (docs/operating/quota.md). A name with \"@\" is an account's, another a domain's.",
         quota_rows()},
        {"Activity and sessions", "", activity_rows()},
        {"Mail",
         "In place of an address `id:NUMBER` names the mail of an account that was removed, and `postmaster` the "
         "mailbox of "
         "the\nserver's own that keeps mail for a postmaster whom nobody has named.",
         mail_rows()},
        {"Deleted mail",
         "Deleted messages are kept for a time, by whatever they were deleted (docs/using/deleted-mail.md). "
         "`id:NUMBER` "
         "and `postmaster` are good here, too.",
         deleted_mail_rows()},
        {"Mailboxes", "A name stands in the path percent-encoded, its \"/\" too.", mailbox_rows()},
        {"The queue", "Mail for domains that are not this server's, until the next server has taken it.", queue_rows()},
        {"Signing keys", "Keys that sign what leaves from your domains (DKIM, RFC 6376).", dkim_rows()},
        {"Filter scripts",
         "Scripts in the language Sieve (docs/using/filters.md). A name stands in the path percent-encoded.",
         script_rows()},
        {"The administrator's filter scripts",
         "They run before and after those of accounts, or are there to be included (docs/operating/filters.md).",
         common_script_rows()},
        {"Work on mail that is there", "Filtering and archiving what came before.", mail_work_rows()},
        {"The server", "", server_rows()},
    };
    return list;
}

unsigned http_status(Errc code) {
    switch (code) {
        case Errc::not_found: return 404;
        case Errc::exists:
        case Errc::conflict: return 409;
        case Errc::busy: return 409;
        case Errc::denied: return 403;
        case Errc::invalid: return 400;
        case Errc::too_large: return 413;
        case Errc::timed_out: return 408;
        case Errc::cancelled: return 503;
        case Errc::no_space: return 507;
        default: return 500;
    }
}

http::Reply refusal_with(unsigned status, Errc code, const std::string& message) {
    return json_reply(status, {{"error", {{"code", to_string(code)}, {"message", message}}}});
}

Task<Result<Json>> read_json_body(http::Body& body, std::uint64_t limit) {
    std::string text;
    for (;;) {
        auto part = co_await body.next();
        if (!part) co_return pass_on(part);
        if (part->empty()) break;
        if (part->size() > limit - text.size())
            co_return fail(Errc::too_large, fmt::format("the request is larger than {} octets", limit));
        text.append(*part);
    }
    auto json = Json::parse(text, nullptr, false);
    if (!json.is_object()) co_return fail(Errc::invalid, "the request's body must be a JSON object");
    co_return json;
}

/// The operation asked for, or what to answer in its place.
struct Found {
    const Row* row = nullptr;
    std::vector<api::PathValue> path;
    http::Reply refused;
};

Found find(const http::Request& request) {
    std::set<std::string_view> methods;
    for (const auto& section : sections())
        for (const auto& row : section.rows) {
            auto path = match(row.operation, request.target.path);
            if (!path) continue;
            if (to_string(row.operation.method) == request.method) return {&row, std::move(*path), {}};
            methods.insert(to_string(row.operation.method));
        }
    auto route = fmt::format("{} /{}", request.method, fmt::join(request.target.path, "/"));
    if (methods.empty()) return {nullptr, {}, refusal(Error(Errc::not_found, "no such route: " + route))};
    auto allowed = fmt::format("{}", fmt::join(methods, ", "));
    Found wrong{nullptr, {}, refusal_with(405, Errc::invalid, fmt::format("{}: only {}", route, allowed))};
    wrong.refused.fields.emplace_back("Allow", allowed);  // RFC 9110 s15.5.6
    return wrong;
}

class ApiHandler final : public http::Handler {
public:
    ApiHandler(Api& api, Caller caller) : api_(api), caller_(caller) {}
    Task<http::Reply> answer(http::Request request, http::Body& body, http::Stream& stream) override {
        co_return co_await api_.answer(caller_, request, body, stream);
    }
    http::Reply refuse(Error why) override { return refusal(why); }

private:
    Api& api_;
    const Caller caller_;
};

}  // namespace

Caller local_caller(std::optional<uid_t> user) {
    Caller caller;
    caller.administrator = user && (*user == 0 || *user == geteuid());
    if (!caller.administrator)
        log::warning("admin.refused", {{"uid", user ? std::to_string(*user) : std::string("unknown")}});
    return caller;
}

bool may(const Caller& caller, api::Scope scope) {
    return caller.administrator || (scope == api::Scope::self && caller.account);
}

http::Reply json_reply(unsigned status, const Json& json) {
    return {status, {{"Content-Type", "application/json"}}, api::dump(json) + "\n", false};
}

http::Reply refusal(const Error& error) {
    return refusal_with(http_status(error.code()), error.code(), error.detail());
}

Result<> read_request(const api::Operation& operation, const Exchange& exchange, void* request) {
    if (auto read = read_target(operation, exchange.path, exchange.target, request); !read) return read;
    return exchange.json ? read_body(operation, *exchange.json, request) : Result<>();
}

std::vector<api::Group> operations() {
    std::vector<api::Group> groups;
    for (const auto& section : sections()) {
        api::Group group{section.title, section.words, {}};
        for (const auto& row : section.rows) group.operations.push_back(&row.operation);
        groups.push_back(std::move(group));
    }
    return groups;
}

Task<http::Reply> Api::answer(Caller caller, const http::Request& request, http::Body& body, http::Stream& stream) {
    // Strangers are not told what there is.
    if (!may(caller, api::Scope::self))
        co_return refusal(Error(Errc::denied, "only root and the server's own user may connect"));
    auto found = find(request);
    if (!found.row) co_return found.refused;
    const auto& operation = found.row->operation;
    if (!may(caller, operation.scope)) co_return refusal(Error(Errc::denied, "only an administrator may do that"));
    std::optional<Json> json;
    if (has_json_body(operation)) {
        auto read = co_await read_json_body(body, context_.body_limit);
        if (!read) co_return refusal(read.error());
        json = std::move(*read);
    }
    Exchange exchange{context_, caller, body, stream, json ? &*json : nullptr, found.path, request.target};
    auto reply = co_await found.row->run(exchange);
    if (!reply) co_return refusal(reply.error());
    co_return std::move(*reply);
}

std::unique_ptr<http::Handler> handler(Api& api, Caller caller) { return std::make_unique<ApiHandler>(api, caller); }

}  // namespace poplar::admin
