#pragma once
// What the admin socket offers, apart from HTTP itself (http/): docs/admin-api.md describes every route.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "auth/authenticator.h"
#include "auth/open_sessions.h"
#include "delivery/delivery.h"
#include "directory/directory.h"
#include "directory/removed.h"
#include "http/message.h"
#include "mailstore/mail_store.h"
#include "pop3/policy.h"
#include "upkeep/verify.h"

namespace poplar::server {

using Json = nlohmann::json;

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
    directory::RemovedAccounts& removed;
    auth::OpenSessions& open_sessions;
    pop3::Announced& announced;
    std::string hostname;
    std::uint64_t body_limit = 64u << 20;  ///< octets of a JSON body
    std::function<Task<Json>()> status;
    std::function<Task<Result<upkeep::VerifyOutcome>>(upkeep::VerifyListener&)> verify;
    std::function<void()> scrub;
    std::function<Task<Result<>>()> confirm_clock;
};

class AdminApi {
public:
    explicit AdminApi(ApiServices services) : s_(std::move(services)) {}
    Task<ApiReply> handle(const http::Request& request, http::Body& body, http::Stream& stream);

private:
    Task<ApiReply> domains(const http::Request& request, http::Body& body);
    Task<ApiReply> accounts(const http::Request& request, http::Body& body, http::Stream& stream);
    Task<ApiReply> list_accounts(const http::Request& request);
    Task<ApiReply> add_account(http::Body& body);
    Task<ApiReply> import_accounts(http::Body& body);
    Task<ApiReply> show_account(std::string address);
    Task<ApiReply> remove_account(std::string address, bool purge);
    Task<ApiReply> purge_removed(std::string name);
    Task<ApiReply> set_password(std::string address, http::Body& body);
    /// Null: takes it away.
    Task<ApiReply> set_shared_secret(std::string address, http::Body* body);
    Task<ApiReply> set_status(std::string address, http::Body& body);
    Task<ApiReply> set_settings(std::string address, http::Body& body);
    /// Brings what CAPA announces before the login up to date.
    Task<> announce_settings();
    /// To be called whichever way an account's password, secret or status was changed, or the account removed, once
    /// that is durable: forgets its verified password and ends its sessions. Returns how many.
    std::size_t credentials_changed(directory::AccountId account);
    Task<ApiReply> removed_accounts();
    Task<ApiReply> aliases(const http::Request& request, http::Body& body);

    // admin_api_mail.cc
    Task<ApiReply> messages(const http::Request& request, directory::AccountId account, http::Stream& stream);
    Task<ApiReply> list_messages(const http::Request& request, directory::AccountId account);
    Task<ApiReply> send_content(mailstore::Message message, directory::AccountId account, http::Stream& stream);
    Task<ApiReply> retained(const http::Request& request, directory::AccountId account);
    Task<ApiReply> deliver(const http::Request& request, http::Body& body);
    Task<ApiReply> verify(http::Stream& stream);
    Task<Json> describe(directory::AccountId account, mailstore::Message message, bool headers);

    Task<Result<Json>> read_json(http::Body& body);
    Task<Result<directory::AccountId>> account_id(std::string address);
    /// What to store for {"password": ...}, {"password_hash": ...} or {"generate": true}; a generated password is
    /// put into `reply`. No such member: "" (nobody can log in), if `optional`.
    Task<Result<directory::Password>> wanted_password(const Json& fields, Json& reply, bool optional);

    ApiServices s_;
    bool verifying_ = false;
};

/// What answers the client of one connection to the admin socket, whose user is `uid`.
std::unique_ptr<http::Handler> admin_handler(AdminApi& api, std::optional<uid_t> uid);

// For the two files of routes.
ApiReply api_error(const Error& error);
ApiReply api_error(Errc code, std::string message);
ApiReply no_such_route(const http::Request& request);
Json json_account(const directory::Account& account);
std::string json_time(Timestamp time);
Json json_damage(const upkeep::NamedDamage& named);
Json json_progress(const engine::VerifyTotals& totals);
Json json_done(const upkeep::VerifyOutcome& outcome);
/// ?limit=, at most `most`. Errors: invalid.
Result<std::uint64_t> query_number(const http::Request& request, std::string_view name, std::uint64_t otherwise,
                                   std::uint64_t most);
std::string query_text(const http::Request& request, std::string_view name);
/// One line of JSON; octets that are not UTF-8 are replaced.
std::string dump(const Json& json, int indent = -1);

}  // namespace poplar::server
