// Routes over the directory: domains, accounts, aliases. Mail is in admin_api_mail.cc.
#include "server/admin_api.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "auth/password.h"
#include "base/log.h"
#include "base/random.h"

namespace poplar::server {

namespace {

constexpr std::size_t kPasswordOctets = 1024;  // what a client can send (auth/sasl.h)
constexpr std::size_t kImportAtOnce = 20'000;
constexpr std::uint32_t kMostDays = 36'500, kMostDelay = 30 * 24 * 3600;  // as in the configuration

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

// The member `name` of a JSON object as text. Errors: invalid (missing, or no text).
Result<std::string> text_member(const Json& fields, const char* name) {
    auto member = fields.find(name);
    if (member == fields.end() || !member->is_string())
        return fail(Errc::invalid, fmt::format("\"{}\" is missing or not a text", name));
    return member->get<std::string>();
}

Result<std::vector<std::string>> text_list(const Json& fields, const char* name) {
    auto wrong = [&] { return fail(Errc::invalid, fmt::format("\"{}\" is missing or not a list of texts", name)); };
    auto member = fields.find(name);
    if (member == fields.end() || !member->is_array()) return wrong();
    std::vector<std::string> list;
    for (const auto& element : *member) {
        if (!element.is_string()) return wrong();
        list.push_back(element.get<std::string>());
    }
    return list;
}

// A misspelt member must not be passed over in silence.
Result<> only_members(const Json& fields, std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : fields.items())
        if (std::ranges::find(known, std::string_view(name)) == known.end())
            return fail(Errc::invalid, fmt::format("unknown member \"{}\"", name));
    return {};
}

// What APOP and CRAM-MD5 share with the client. RFC 1939 s7: it should be long, since who listens can try passwords.
Result<> check_secret(std::string_view secret) {
    constexpr std::size_t kLeast = 16, kMost = 255;  // octets
    if (secret.size() < kLeast || secret.size() > kMost)
        return fail(Errc::invalid, fmt::format("a shared secret has {} to {} octets", kLeast, kMost));
    if (!std::ranges::all_of(secret, [](char c) { return c >= 0x20 && c <= 0x7e; }))
        return fail(Errc::invalid, "a shared secret is printable ASCII");
    return {};
}

Json json_domain(const directory::Domain& domain) {
    Json out{{"name", domain.name}, {"catch_all", nullptr}, {"created", json_time(domain.created)}};
    if (!domain.catch_all.empty()) out["catch_all"] = domain.catch_all;
    return out;
}

Json json_alias(const directory::Alias& alias) { return {{"address", alias.address}, {"targets", alias.targets}}; }

http::Reply to_http(const ApiReply& reply) {
    return {reply.status, {{"Content-Type", "application/json"}}, dump(reply.body) + "\n", reply.streamed};
}

class AdminHandler final : public http::Handler {
public:
    AdminHandler(AdminApi& api, bool allowed) : api_(api), allowed_(allowed) {}
    Task<http::Reply> answer(http::Request request, http::Body& body, http::Stream& stream) override {
        if (!allowed_) co_return to_http(api_error(Errc::denied, "only root and the server's own user may connect"));
        auto reply = co_await api_.handle(request, body, stream);
        co_return to_http(reply);
    }
    http::Reply refuse(Error why) override { return to_http(api_error(why)); }

private:
    AdminApi& api_;
    const bool allowed_;
};

// Not what the failure says in general, but what it means here.
ApiReply explain(Result<>& failed, Errc code, std::string message) {
    return failed.error().code() == code ? api_error(code, std::move(message)) : api_error(failed.error());
}

}  // namespace

// Root and the server's own user: whoever could read the data directory anyway.
std::unique_ptr<http::Handler> admin_handler(AdminApi& api, std::optional<uid_t> uid) {
    const bool allowed = uid && (*uid == 0 || *uid == geteuid());
    if (!allowed) log::warning("admin.refused", {{"uid", uid ? std::to_string(*uid) : std::string("unknown")}});
    return std::make_unique<AdminHandler>(api, allowed);
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

std::string json_time(Timestamp time) {
    auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    auto day = std::chrono::floor<std::chrono::days>(seconds);
    std::chrono::year_month_day date(day);
    std::chrono::hh_mm_ss clock(seconds - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", int(date.year()), unsigned(date.month()),
                       unsigned(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

ApiReply api_error(Errc code, std::string message) {
    return {http_status(code), {{"error", {{"code", to_string(code)}, {"message", std::move(message)}}}}};
}

ApiReply api_error(const Error& error) { return api_error(error.code(), error.detail()); }

ApiReply no_such_route(const http::Request& request) {
    return api_error(Errc::not_found,
                     fmt::format("no such route: {} /{}", request.method, fmt::join(request.target.path, "/")));
}

Result<std::uint64_t> query_number(const http::Request& request, std::string_view name, std::uint64_t otherwise,
                                   std::uint64_t most) {
    auto found = request.target.query.find(name);
    if (found == request.target.query.end()) return otherwise;
    const auto& text = found->second;
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > most)
        return fail(Errc::invalid, fmt::format("\"{}\" must be a number up to {}", name, most));
    return value;
}

std::string query_text(const http::Request& request, std::string_view name) {
    auto found = request.target.query.find(name);
    return found == request.target.query.end() ? std::string() : found->second;
}

namespace {

Json expire_json(std::uint32_t days) { return days == directory::kNeverExpires ? Json("never") : Json(days); }

// A setting of an account: null (the server's), or a number up to `most`.
Result<std::optional<std::uint32_t>> setting_member(const Json& value, const char* name, std::uint32_t most) {
    if (value.is_null()) return std::optional<std::uint32_t>();
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
        return fail(Errc::invalid, fmt::format("\"{}\" must be null or a number up to {}", name, most));
    return value.get<std::uint32_t>();
}

}  // namespace

Json json_account(const directory::Account& account) {
    Json out{{"id", account.id.value},
             {"address", account.address},
             {"status", account.status == directory::AccountStatus::enabled ? "enabled" : "disabled"},
             {"password_scheme", nullptr},
             {"created", json_time(account.created)}};
    if (!account.password.empty()) out["password_scheme"] = auth::scheme_of(account.password);
    out["scram"] = Json::array();
    for (auto [hash, name] : {std::pair(auth::ScramHash::sha256, "SHA-256"), {auth::ScramHash::sha1, "SHA-1"}})
        if (auth::find_scram_keys(account.scram_keys, hash) || auth::find_scram_keys(account.password, hash))
            out["scram"].push_back(name);
    out["shared_secret"] = !account.shared_secret.empty();
    const auto& own = account.settings;
    out["expire_days"] = own.expire_days ? expire_json(*own.expire_days) : Json();
    out["login_delay"] = own.login_delay ? Json(*own.login_delay) : Json();
    return out;
}

Task<Result<Json>> AdminApi::read_json(http::Body& body) {
    std::string text;
    for (;;) {
        auto part = co_await body.next();
        if (!part) co_return pass_on(part);
        if (part->empty()) break;
        if (part->size() > s_.body_limit - text.size())
            co_return fail(Errc::too_large, fmt::format("the request is larger than {} octets", s_.body_limit));
        text.append(*part);
    }
    auto json = Json::parse(text, nullptr, false);
    if (!json.is_object()) co_return fail(Errc::invalid, "the request's body must be a JSON object");
    co_return json;
}

Task<Result<directory::AccountId>> AdminApi::account_id(std::string address) {
    // "id:1025" reaches the mail of an account that was removed.
    if (address.starts_with("id:")) {
        std::uint64_t id = 0;
        auto [end, error] = std::from_chars(address.data() + 3, address.data() + address.size(), id);
        bool whole = error == std::errc{} && end == address.data() + address.size();
        if (!whole || id < directory::kFirstAccount.value) co_return fail(Errc::invalid, "malformed account id");
        co_return directory::AccountId(id);
    }
    if (address == "postmaster") co_return directory::kPostmasterMailbox;
    auto account = co_await s_.directory.find_account(address);
    if (!account && account.error().code() == Errc::not_found)
        co_return fail(Errc::not_found, fmt::format("no account {}", address));
    if (!account) co_return pass_on(account);
    co_return account->id;
}

Task<Result<directory::Password>> AdminApi::wanted_password(const Json& fields, Json& reply, bool optional) {
    int given = fields.contains("password") + fields.contains("password_hash") + fields.contains("generate");
    if (given == 0 && optional) co_return directory::Password();
    if (given != 1) co_return fail(Errc::invalid, "give one of \"password\", \"password_hash\" and \"generate\"");
    if (fields.contains("password_hash")) {
        auto hash = text_member(fields, "password_hash");
        if (!hash) co_return pass_on(hash);
        if (!auth::is_valid_hash(*hash))
            co_return fail(Errc::invalid, "the password hash has an unknown scheme or the wrong form");
        co_return directory::Password(std::move(*hash));
    }
    std::string password;
    if (fields.contains("generate")) {
        if (fields["generate"] != true) co_return fail(Errc::invalid, "\"generate\" can only be true");
        password = random_text(20);  // 100 random bits
        reply["password"] = password;
    } else {
        auto text = text_member(fields, "password");
        if (!text) co_return pass_on(text);
        password = std::move(*text);
    }
    if (password.empty() || password.size() > kPasswordOctets)
        co_return fail(Errc::invalid, fmt::format("a password has 1 to {} octets", kPasswordOctets));
    if (password.find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos)
        co_return fail(Errc::invalid, "a password can't contain line ends or NUL: no client could send it");
    co_return co_await s_.auth.hash_password(std::move(password));
}

Task<ApiReply> AdminApi::handle(const http::Request& request, http::Body& body, http::Stream& stream) {
    const auto& path = request.target.path;
    if (path.size() < 2 || path[0] != "v1") co_return no_such_route(request);
    const auto& what = path[1];
    if (what == "domains") co_return co_await domains(request, body);
    if (what == "accounts") co_return co_await accounts(request, body, stream);
    if (what == "aliases") co_return co_await aliases(request, body);
    if (what == "clock" && path.size() == 3 && path[2] == "confirm" && request.method == "POST") {
        auto confirmed = co_await s_.confirm_clock();
        if (!confirmed) co_return api_error(confirmed.error());
        co_return ApiReply{200, Json{{"confirmed", true}}};
    }
    if (path.size() != 2) co_return no_such_route(request);
    if (what == "status" && request.method == "GET") {
        auto status = co_await s_.status();
        co_return ApiReply{200, std::move(status)};
    }
    if (what == "removed-accounts" && request.method == "GET") co_return co_await removed_accounts();
    if (what == "deliver" && request.method == "POST") co_return co_await deliver(request, body);
    if (what == "verify" && request.method == "POST") co_return co_await verify(stream);
    if (what == "scrub" && request.method == "POST") {
        s_.scrub();
        co_return ApiReply{202, Json{{"scrubbing", true}}};
    }
    co_return no_such_route(request);
}

Task<ApiReply> AdminApi::domains(const http::Request& request, http::Body& body) {
    const auto& path = request.target.path;
    const auto& method = request.method;
    if (path.size() == 2 && method == "GET") {
        auto domains = co_await s_.directory.domains();
        if (!domains) co_return api_error(domains.error());
        auto list = Json::array();
        for (const auto& domain : *domains) list.push_back(json_domain(domain));
        co_return ApiReply{200, {{"domains", std::move(list)}}};
    }
    if (path.size() == 2 && method == "POST") {
        auto fields = co_await read_json(body);
        if (!fields) co_return api_error(fields.error());
        if (auto known = only_members(*fields, {"name", "postmaster"}); !known) co_return api_error(known.error());
        auto name = text_member(*fields, "name");
        if (!name) co_return api_error(name.error());
        std::string postmaster;
        if (fields->contains("postmaster")) {
            auto text = text_member(*fields, "postmaster");
            if (!text) co_return api_error(text.error());
            postmaster = std::move(*text);
        }
        auto domain = co_await s_.directory.add_domain(*name, postmaster);
        if (!domain && domain.error().code() == Errc::exists)
            co_return api_error(Errc::exists, fmt::format("the domain {} is there already", *name));
        if (!domain) co_return api_error(domain.error());
        log::info("admin.domain_added", {{"domain", domain->name}, {"postmaster", postmaster}});
        co_return ApiReply{201, json_domain(*domain)};
    }
    if (path.size() == 3 && method == "DELETE") {
        auto removed = co_await s_.directory.remove_domain(path[2]);
        if (!removed && removed.error().code() == Errc::busy)
            co_return api_error(Errc::busy, fmt::format("the domain {} still has accounts or aliases", path[2]));
        if (!removed) co_return explain(removed, Errc::not_found, fmt::format("no domain {}", path[2]));
        log::info("admin.domain_removed", {{"domain", path[2]}});
        co_return ApiReply{200, {{"removed", path[2]}}};
    }
    if (path.size() == 4 && path[3] == "catch-all" && method == "PUT") {
        auto fields = co_await read_json(body);
        if (!fields) co_return api_error(fields.error());
        if (auto known = only_members(*fields, {"address"}); !known) co_return api_error(known.error());
        auto address = text_member(*fields, "address");
        if (!address) co_return api_error(address.error());
        auto set = co_await s_.directory.set_catch_all(path[2], *address);
        if (!set)
            co_return explain(set, Errc::not_found, fmt::format("no domain {}, or no address {}", path[2], *address));
        log::info("admin.catch_all_set", {{"domain", path[2]}, {"address", *address}});
        co_return ApiReply{200, {{"name", path[2]}, {"catch_all", *address}}};
    }
    co_return no_such_route(request);
}

Task<ApiReply> AdminApi::accounts(const http::Request& request, http::Body& body, http::Stream& stream) {
    const auto& path = request.target.path;
    const auto& method = request.method;
    if (path.size() == 2 && method == "GET") co_return co_await list_accounts(request);
    if (path.size() == 2 && method == "POST") co_return co_await add_account(body);
    if (path.size() == 3 && path[2] == "import" && method == "POST") co_return co_await import_accounts(body);
    if (path.size() == 3 && method == "GET") co_return co_await show_account(path[2]);
    if (path.size() == 3 && method == "DELETE")
        co_return co_await remove_account(path[2], query_text(request, "purge") == "yes");
    if (path.size() == 4 && path[3] == "password" && method == "PUT") co_return co_await set_password(path[2], body);
    if (path.size() == 4 && path[3] == "shared-secret" && (method == "PUT" || method == "DELETE"))
        co_return co_await set_shared_secret(path[2], method == "PUT" ? &body : nullptr);
    if (path.size() == 4 && path[3] == "status" && method == "PUT") co_return co_await set_status(path[2], body);
    if (path.size() == 4 && path[3] == "settings" && method == "PUT") co_return co_await set_settings(path[2], body);
    if (path.size() >= 4 && (path[3] == "messages" || path[3] == "retained")) {
        auto id = co_await account_id(path[2]);
        if (!id) co_return api_error(id.error());
        if (path[3] == "messages") co_return co_await messages(request, *id, stream);
        co_return co_await retained(request, *id);
    }
    co_return no_such_route(request);
}

Task<ApiReply> AdminApi::list_accounts(const http::Request& request) {
    auto limit = query_number(request, "limit", 1000, 10'000);
    if (!limit) co_return api_error(limit.error());
    auto accounts = co_await s_.directory.accounts(query_text(request, "domain"), query_text(request, "after"), *limit);
    if (!accounts) co_return api_error(accounts.error());
    auto list = Json::array();
    for (const auto& account : *accounts) list.push_back(json_account(account));
    co_return ApiReply{200, {{"accounts", std::move(list)}}};
}

Task<ApiReply> AdminApi::add_account(http::Body& body) {
    auto fields = co_await read_json(body);
    if (!fields) co_return api_error(fields.error());
    if (auto known = only_members(*fields, {"address", "password", "password_hash", "generate"}); !known)
        co_return api_error(known.error());
    auto address = text_member(*fields, "address");
    if (!address) co_return api_error(address.error());
    Json reply = Json::object();
    auto wanted = co_await wanted_password(*fields, reply, true);
    if (!wanted) co_return api_error(wanted.error());
    auto account = co_await s_.directory.add_account(*address, std::move(*wanted));
    if (!account && account.error().code() == Errc::not_found)
        co_return api_error(Errc::not_found, fmt::format("no domain for {}: add it first", *address));
    if (!account && account.error().code() == Errc::exists)
        co_return api_error(Errc::exists, fmt::format("{} is there already", *address));
    if (!account && account.error().code() == Errc::invalid)
        co_return api_error(Errc::invalid, fmt::format("\"{}\": {}", *address, account.error().detail()));
    if (!account) co_return api_error(account.error());
    reply.update(json_account(*account));
    log::info("admin.account_added", {{"account", account->address}});
    co_return ApiReply{201, std::move(reply)};
}

Task<ApiReply> AdminApi::import_accounts(http::Body& body) {
    auto fields = co_await read_json(body);
    if (!fields) co_return api_error(fields.error());
    if (auto known = only_members(*fields, {"accounts", "add_domains"}); !known) co_return api_error(known.error());
    auto list = fields->find("accounts");
    if (list == fields->end() || !list->is_array() || list->size() > kImportAtOnce)
        co_return api_error(Errc::invalid, fmt::format("\"accounts\" must be a list of at most {}", kImportAtOnce));
    auto add = fields->find("add_domains");
    if (add != fields->end() && !add->is_boolean())
        co_return api_error(Errc::invalid, "\"add_domains\" must be true or false");
    bool add_domains = add != fields->end() && add->get<bool>();

    std::vector<directory::Directory::NewAccount> accounts;
    std::vector<std::pair<std::string, std::string>> refused;
    for (const auto& element : *list) {
        if (!element.is_object()) co_return api_error(Errc::invalid, "\"accounts\" must hold objects");
        auto address = text_member(element, "address");
        if (!address) co_return api_error(address.error());
        auto hash = text_member(element, "password_hash");
        if (!hash) co_return api_error(hash.error());
        if (hash->empty() || auth::is_valid_hash(*hash))  // empty: nobody can log in
            accounts.push_back({std::move(*address), std::move(*hash)});
        else
            refused.emplace_back(std::move(*address), "unknown scheme or malformed password hash");
    }
    using Add = directory::Directory::AddDomains;
    std::size_t ended = 0;
    auto changed = [&](directory::AccountId account) { ended += credentials_changed(account); };
    auto counts = co_await s_.directory.import_accounts(std::move(accounts), add_domains ? Add::yes : Add::no, changed);
    if (!counts) co_return api_error(counts.error());
    refused.insert(refused.end(), std::make_move_iterator(counts->refused.begin()),
                   std::make_move_iterator(counts->refused.end()));
    auto why = Json::array();
    for (auto& [address, reason] : refused) why.push_back({{"address", address}, {"why", reason}});
    log::info("admin.accounts_imported", {{"added", counts->added},
                                          {"updated", counts->updated},
                                          {"unchanged", counts->unchanged},
                                          {"refused", refused.size()},
                                          {"sessions_ended", ended}});
    co_return ApiReply{200,
                       {{"added", counts->added},
                        {"updated", counts->updated},
                        {"unchanged", counts->unchanged},
                        {"refused", std::move(why)},
                        {"sessions_ended", ended}}};
}

Task<ApiReply> AdminApi::show_account(std::string address) {
    auto account = co_await s_.directory.find_account(address);
    if (!account && account.error().code() == Errc::not_found)
        co_return api_error(Errc::not_found, fmt::format("no account {}", address));
    if (!account) co_return api_error(account.error());
    auto totals = co_await s_.mail.totals(account->id);
    if (!totals) co_return api_error(totals.error());
    auto reply = json_account(*account);
    reply["messages"] = totals->messages;
    reply["octets"] = totals->octets;
    reply["retained_messages"] = totals->retained_messages;
    reply["retained_octets"] = totals->retained_octets;
    co_return ApiReply{200, std::move(reply)};
}

// What is left of an account that was removed, before its days are over; or of one that nobody knows of (verify).
Task<ApiReply> AdminApi::purge_removed(std::string name) {
    auto id = co_await account_id(name);
    if (!id) co_return api_error(id.error());
    auto account = co_await s_.directory.account(*id);
    if (account) co_return api_error(Errc::exists, fmt::format("{} is the account {}", name, account->address));
    if (account.error().code() != Errc::not_found) co_return api_error(account.error());
    auto purged = co_await s_.mail.purge(*id);
    if (!purged) co_return api_error(purged.error());
    auto record = co_await s_.removed.list(directory::AccountId(id->value - 1), 1);
    if (!record) co_return api_error(record.error());
    if (!record->empty() && record->front().id == *id)
        if (auto forgotten = co_await s_.removed.forget(record->front()); !forgotten)
            co_return api_error(forgotten.error());
    log::info("admin.removed_account_purged", {{"account_id", id->value}});
    co_return ApiReply{200,
                       {{"removed", name}, {"id", id->value}, {"mail_kept_until", nullptr}, {"sessions_ended", 0}}};
}

Task<ApiReply> AdminApi::remove_account(std::string address, bool purge) {
    if (purge && address.starts_with("id:")) co_return co_await purge_removed(std::move(address));
    auto account = co_await s_.directory.find_account(address);
    if (!account && account.error().code() == Errc::not_found)
        co_return api_error(Errc::not_found, fmt::format("no account {}", address));
    if (!account) co_return api_error(account.error());
    auto kept = co_await s_.removed.add(account->id, account->address);
    if (!kept) co_return api_error(kept.error());
    auto removed = co_await s_.directory.remove_account(address);
    if (!removed) co_return api_error(removed.error());
    auto ended = credentials_changed(removed->id);
    co_await announce_settings();
    if (!purge)
        if (auto closed = co_await s_.mail.close(removed->id); !closed) co_return api_error(closed.error());
    log::info("admin.account_removed",
              {{"account", removed->address}, {"purged", purge ? "yes" : "no"}, {"sessions_ended", ended}});
    Json reply{{"removed", removed->address},
               {"id", removed->id.value},
               {"mail_kept_until", nullptr},
               {"sessions_ended", ended}};
    if (purge) {
        auto purged = co_await s_.mail.purge(removed->id);
        if (!purged) co_return api_error(purged.error());  // the record stays: housekeeping tries again
        auto forgotten = co_await s_.removed.forget(*kept);
        if (!forgotten) co_return api_error(forgotten.error());
    } else {
        reply["mail_kept_until"] = json_time(kept->expires);
    }
    co_return ApiReply{200, std::move(reply)};
}

Task<ApiReply> AdminApi::set_password(std::string address, http::Body& body) {
    auto fields = co_await read_json(body);
    if (!fields) co_return api_error(fields.error());
    if (auto known = only_members(*fields, {"password", "password_hash", "generate"}); !known)
        co_return api_error(known.error());
    Json reply{{"address", address}};
    auto account = co_await s_.directory.find_account(address);
    if (!account && account.error().code() == Errc::not_found)
        co_return api_error(Errc::not_found, fmt::format("no account {}", address));
    if (!account) co_return api_error(account.error());
    auto wanted = co_await wanted_password(*fields, reply, false);
    if (!wanted) co_return api_error(wanted.error());
    auto set = co_await s_.directory.set_password(address, std::move(*wanted));
    if (!set) co_return api_error(set.error());
    auto ended = credentials_changed(account->id);
    reply["sessions_ended"] = ended;
    log::info("admin.password_set", {{"account", account->address}, {"sessions_ended", ended}});
    co_return ApiReply{200, std::move(reply)};
}

Task<ApiReply> AdminApi::set_shared_secret(std::string address, http::Body* body) {
    Json reply{{"address", address}};
    std::string secret;
    if (body != nullptr) {
        auto fields = co_await read_json(*body);
        if (!fields) co_return api_error(fields.error());
        if (auto known = only_members(*fields, {"secret", "generate"}); !known) co_return api_error(known.error());
        if (fields->contains("secret") == fields->contains("generate"))
            co_return api_error(Errc::invalid, "give one of \"secret\" and \"generate\"");
        if (fields->contains("generate")) {
            if ((*fields)["generate"] != true) co_return api_error(Errc::invalid, "\"generate\" can only be true");
            secret = random_text(26);  // 130 random bits
            reply["secret"] = secret;
        } else {
            auto text = text_member(*fields, "secret");
            if (!text) co_return api_error(text.error());
            secret = std::move(*text);
        }
        if (auto good = check_secret(secret); !good) co_return api_error(good.error());
    }
    auto account = co_await s_.directory.find_account(address);
    if (!account && account.error().code() == Errc::not_found)
        co_return api_error(Errc::not_found, fmt::format("no account {}", address));
    if (!account) co_return api_error(account.error());
    auto set = co_await s_.directory.set_shared_secret(address, std::move(secret));
    if (!set) co_return api_error(set.error());
    auto ended = credentials_changed(account->id);
    reply["sessions_ended"] = ended;
    log::info(body != nullptr ? "admin.shared_secret_set" : "admin.shared_secret_removed",
              {{"account", account->address}, {"sessions_ended", ended}});
    co_return ApiReply{200, std::move(reply)};
}

Task<ApiReply> AdminApi::set_status(std::string address, http::Body& body) {
    auto fields = co_await read_json(body);
    if (!fields) co_return api_error(fields.error());
    if (auto known = only_members(*fields, {"status"}); !known) co_return api_error(known.error());
    auto status = text_member(*fields, "status");
    if (!status) co_return api_error(status.error());
    if (*status != "enabled" && *status != "disabled")
        co_return api_error(Errc::invalid, "\"status\" must be \"enabled\" or \"disabled\"");
    using directory::AccountStatus;
    auto wanted = *status == "enabled" ? AccountStatus::enabled : AccountStatus::disabled;
    auto account = co_await s_.directory.find_account(address);
    if (!account && account.error().code() == Errc::not_found)
        co_return api_error(Errc::not_found, fmt::format("no account {}", address));
    if (!account) co_return api_error(account.error());
    auto set = co_await s_.directory.set_status(address, wanted);
    if (!set) co_return api_error(set.error());
    std::size_t ended = account->status == wanted ? 0 : credentials_changed(account->id);
    account->status = wanted;
    auto reply = json_account(*account);
    reply["sessions_ended"] = ended;
    log::info("admin.status_set", {{"account", account->address}, {"status", *status}, {"sessions_ended", ended}});
    co_return ApiReply{200, std::move(reply)};
}

std::size_t AdminApi::credentials_changed(directory::AccountId account) {
    s_.auth.forget(account);
    return s_.open_sessions.end(account);
}

Task<ApiReply> AdminApi::set_settings(std::string address, http::Body& body) {
    auto fields = co_await read_json(body);
    if (!fields) co_return api_error(fields.error());
    if (auto known = only_members(*fields, {"expire_days", "login_delay"}); !known) co_return api_error(known.error());
    auto account = co_await s_.directory.find_account(address);
    if (!account && account.error().code() == Errc::not_found)
        co_return api_error(Errc::not_found, fmt::format("no account {}", address));
    if (!account) co_return api_error(account.error());
    auto settings = account->settings;
    if (auto given = fields->find("expire_days"); given != fields->end()) {
        if (*given == "never") {
            settings.expire_days = directory::kNeverExpires;
        } else {
            auto days = setting_member(*given, "expire_days", kMostDays);
            if (!days) co_return api_error(days.error());
            settings.expire_days = *days;
        }
    }
    if (auto given = fields->find("login_delay"); given != fields->end()) {
        auto delay = setting_member(*given, "login_delay", kMostDelay);
        if (!delay) co_return api_error(delay.error());
        settings.login_delay = *delay;
    }
    auto set = co_await s_.directory.set_settings(address, settings);
    if (!set) co_return explain(set, Errc::not_found, fmt::format("no account {}", address));
    co_await announce_settings();
    account->settings = settings;
    auto reply = json_account(*account);
    log::info("admin.settings_set", {{"account", account->address},
                                     {"expire_days", dump(reply["expire_days"])},
                                     {"login_delay", dump(reply["login_delay"])}});
    co_return ApiReply{200, std::move(reply)};
}

Task<> AdminApi::announce_settings() {
    auto strictest = co_await s_.directory.strictest_settings();
    if (strictest)
        s_.announced.set(*strictest);
    else  // CAPA goes on saying what it did
        log::warning("admin.announcement_failed", {{"reason", strictest.error().detail()}});
}

Task<ApiReply> AdminApi::removed_accounts() {
    auto list = Json::array();
    directory::AccountId after;
    for (;;) {
        auto page = co_await s_.removed.list(after, 1000);
        if (!page) co_return api_error(page.error());
        for (const auto& removed : *page) {
            after = removed.id;
            list.push_back({{"id", removed.id.value},
                            {"address", removed.address},
                            {"removed", json_time(removed.removed)},
                            {"mail_kept_until", json_time(removed.expires)}});
        }
        if (page->size() < 1000) break;
    }
    co_return ApiReply{200, {{"removed_accounts", std::move(list)}}};
}

Task<ApiReply> AdminApi::aliases(const http::Request& request, http::Body& body) {
    const auto& path = request.target.path;
    const auto& method = request.method;
    if (path.size() == 2 && method == "GET") {
        auto limit = query_number(request, "limit", 1000, 10'000);
        if (!limit) co_return api_error(limit.error());
        auto aliases =
            co_await s_.directory.aliases(query_text(request, "domain"), query_text(request, "after"), *limit);
        if (!aliases) co_return api_error(aliases.error());
        auto list = Json::array();
        for (const auto& alias : *aliases) list.push_back(json_alias(alias));
        co_return ApiReply{200, {{"aliases", std::move(list)}}};
    }
    if (path.size() == 2 && method == "POST") {
        auto fields = co_await read_json(body);
        if (!fields) co_return api_error(fields.error());
        if (auto known = only_members(*fields, {"address", "targets"}); !known) co_return api_error(known.error());
        auto address = text_member(*fields, "address");
        if (!address) co_return api_error(address.error());
        auto targets = text_list(*fields, "targets");
        if (!targets) co_return api_error(targets.error());
        auto alias = co_await s_.directory.add_alias(*address, std::move(*targets));
        if (!alias && alias.error().code() == Errc::exists)
            co_return api_error(Errc::exists, fmt::format("{} is there already", *address));
        if (!alias) co_return api_error(alias.error());
        log::info("admin.alias_added", {{"alias", alias->address}});
        co_return ApiReply{201, json_alias(*alias)};
    }
    if (path.size() == 3 && method == "DELETE") {
        auto removed = co_await s_.directory.remove_alias(path[2]);
        if (!removed) co_return explain(removed, Errc::not_found, fmt::format("no alias {}", path[2]));
        log::info("admin.alias_removed", {{"alias", path[2]}});
        co_return ApiReply{200, {{"removed", path[2]}}};
    }
    co_return no_such_route(request);
}

}  // namespace poplar::server
