#pragma once
// Answers requests: finds the operation of api/, checks the caller's right, and calls the function that does it.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/caller.h"
#include "api/page.h"
#include "base/asio.h"
#include "http/message.h"

namespace poplar::activity {
class Ledger;
}
namespace poplar::auth {
class Authenticator;
class DeviceUses;
class OpenSessions;
}  // namespace poplar::auth
namespace poplar::delivery {
class Delivery;
}
namespace poplar::directory {
class Directory;
class RemovedAccounts;
struct AccountSettings;
}  // namespace poplar::directory
namespace poplar::engine {
class BodyReader;
class Inspection;
}  // namespace poplar::engine
namespace poplar::mailstore {
class MailStore;
}
namespace poplar::quota {
class Quotas;
}
namespace poplar::queue {
class Queue;
}
namespace poplar::upkeep {
class Retention;
class StoreClock;
}  // namespace poplar::upkeep
namespace poplar::api {
struct Session;
struct SessionList;
struct Status;
}  // namespace poplar::api

namespace poplar::admin {

struct Services {
    directory::Directory& directory;
    mailstore::MailStore& mail;
    auth::Authenticator& auth;
    auth::OpenSessions& open_sessions;
    auth::DeviceUses& device_uses;
    activity::Ledger& ledger;
    delivery::Delivery& delivery;
    quota::Quotas& quotas;
    directory::RemovedAccounts& removed;
    engine::Inspection& engine;
    upkeep::StoreClock& clock;
    upkeep::Retention& retention;
    std::string hostname;
    std::uint64_t body_limit = 64u << 20;  ///< octets of a JSON body
    queue::Queue* queue = nullptr;         ///< mail that leaves; null: none does
    /// Teaches the filter for spam with a message of so many octets, plain, in wire form. Null: there is none that
    /// learns.
    enum class Lesson : std::uint8_t { spam, ham };
    std::function<Task<Result<>>(Lesson lesson, std::unique_ptr<engine::BodyReader> wire, std::uint64_t octets)> learn =
        nullptr;
    /// Called with Directory::strictest_settings() after each change, because CAPA announces them before a login.
    std::function<void(const directory::AccountSettings&)> settings_changed = nullptr;
    /// Fills in the part of the status that only the server itself knows.
    std::function<void(api::Status&)> own_status = nullptr;
    /// The open sessions of an account ("": of all), at most so many; and ending one by its id: what it was, or nothing
    /// if there is none. Null: there are no sessions.
    std::function<Task<api::SessionList>(std::string account, std::size_t limit)> sessions = nullptr;
    std::function<Task<std::optional<api::Session>>(std::string id)> end_session = nullptr;
};

/// Shared by the functions that do operations. On one thread.
struct Context : Services {
    explicit Context(Services services) : Services(std::move(services)) {}
    bool verifying = false;
};

/// May be used on one thread.
class Api {
public:
    explicit Api(Services services) : context_(std::move(services)) {}
    Task<http::Reply> answer(Caller caller, const http::Request& request, http::Body& body, http::Stream& stream);

private:
    Context context_;
};

/// Every operation there is.
std::vector<api::Group> operations();

/// The answer to every failure: {"error": ...}.
http::Reply refusal(const Error& error);

/// Answers the requests of one connection.
std::unique_ptr<http::Handler> handler(Api& api, Caller caller);

}  // namespace poplar::admin
