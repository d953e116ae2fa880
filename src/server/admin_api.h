#pragma once
// What the admin socket offers, apart from HTTP itself (admin_server.h): docs/admin-api.md describes every route.
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "auth/authenticator.h"
#include "auth/open_sessions.h"
#include "delivery/delivery.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"
#include "pop3/policy.h"
#include "server/removed_accounts.h"
#include "server/verify.h"

namespace poplar::server {

using Json = nlohmann::json;

struct ApiRequest {
    std::string method;
    std::vector<std::string> path;  ///< percent-decoded segments: {"v1", "accounts", "a@example.org"}
    std::map<std::string, std::string, std::less<>> query;
};

/// Takes "/v1/accounts/a%40example.org?limit=5" apart. Errors: invalid.
Result<ApiRequest> parse_target(std::string method, std::string_view target);
std::string percent_encode(std::string_view text);

/// A request's body as it arrives.
class ApiBody {
public:
    virtual ~ApiBody() = default;
    virtual std::uint64_t size_hint() const = 0;  ///< octets, 0 if unknown
    /// The next octets, "" at the end; valid until the next call. Errors: closed, timed_out, invalid.
    virtual Task<Result<std::string_view>> next() = 0;
};

/// A reply that is too long to gather. Once begin() was called, the returned ApiReply only says how it ended.
class ApiStream {
public:
    virtual ~ApiStream() = default;
    virtual Task<Result<>> begin(std::string content_type) = 0;
    virtual Task<Result<>> write(std::string_view bytes) = 0;  // the caller keeps `bytes` alive until it returns
};

struct ApiReply {
    unsigned status = 200;  ///< of HTTP
    Json body;
    bool streamed = false;  ///< the stream was used and is complete; with `status` not 200 it broke off
};

struct ApiServices {
    directory::Directory& directory;
    mailstore::MailStore& mail;
    auth::Authenticator& auth;
    delivery::Delivery& delivery;
    RemovedAccounts& removed;
    auth::OpenSessions& open_sessions;
    pop3::Announced& announced;
    std::string hostname;
    std::uint64_t body_limit = 64u << 20;  ///< octets of a JSON body
    std::function<Task<Json>()> status;
    std::function<Task<Result<>>(VerifySink&)> verify;
    std::function<void()> scrub;
    std::function<Task<Result<>>()> confirm_clock;
};

class AdminApi {
public:
    explicit AdminApi(ApiServices services) : s_(std::move(services)) {}
    Task<ApiReply> handle(const ApiRequest& request, ApiBody& body, ApiStream& stream);

private:
    Task<ApiReply> domains(const ApiRequest& request, ApiBody& body);
    Task<ApiReply> accounts(const ApiRequest& request, ApiBody& body, ApiStream& stream);
    Task<ApiReply> list_accounts(const ApiRequest& request);
    Task<ApiReply> add_account(ApiBody& body);
    Task<ApiReply> import_accounts(ApiBody& body);
    Task<ApiReply> show_account(std::string address);
    Task<ApiReply> remove_account(std::string address, bool purge);
    Task<ApiReply> purge_removed(std::string name);
    Task<ApiReply> set_password(std::string address, ApiBody& body);
    /// Null: takes it away.
    Task<ApiReply> set_shared_secret(std::string address, ApiBody* body);
    Task<ApiReply> set_status(std::string address, ApiBody& body);
    Task<ApiReply> set_settings(std::string address, ApiBody& body);
    /// Brings what CAPA announces before the login up to date.
    Task<> announce_settings();
    /// To be called whichever way an account's password, secret or status was changed, or the account removed, once
    /// that is durable: forgets its verified password and ends its sessions. Returns how many.
    std::size_t credentials_changed(directory::AccountId account);
    Task<ApiReply> removed_accounts();
    Task<ApiReply> aliases(const ApiRequest& request, ApiBody& body);

    // admin_api_mail.cc
    Task<ApiReply> messages(const ApiRequest& request, directory::AccountId account, ApiStream& stream);
    Task<ApiReply> list_messages(const ApiRequest& request, directory::AccountId account);
    Task<ApiReply> send_content(mailstore::Message message, directory::AccountId account, ApiStream& stream);
    Task<ApiReply> retained(const ApiRequest& request, directory::AccountId account);
    Task<ApiReply> deliver(const ApiRequest& request, ApiBody& body);
    Task<ApiReply> verify(ApiStream& stream);
    Task<Json> describe(directory::AccountId account, mailstore::Message message, bool headers);

    Task<Result<Json>> read_json(ApiBody& body);
    Task<Result<directory::AccountId>> account_id(std::string address);
    /// What to store for {"password": ...}, {"password_hash": ...} or {"generate": true}; a generated password is
    /// put into `reply`. No such member: "" (nobody can log in), if `optional`.
    Task<Result<directory::Password>> wanted_password(const Json& fields, Json& reply, bool optional);

    ApiServices s_;
    bool verifying_ = false;
};

// For the two files of routes.
ApiReply api_error(const Error& error);
ApiReply api_error(Errc code, std::string message);
ApiReply no_such_route(const ApiRequest& request);
Json json_account(const directory::Account& account);
std::string json_time(Timestamp time);
/// ?limit=, at most `most`. Errors: invalid.
Result<std::uint64_t> query_number(const ApiRequest& request, std::string_view name, std::uint64_t otherwise,
                                   std::uint64_t most);
std::string query_text(const ApiRequest& request, std::string_view name);
/// One line of JSON; octets that are not UTF-8 are replaced.
std::string dump(const Json& json, int indent = -1);

}  // namespace poplar::server
