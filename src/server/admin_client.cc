#include "server/admin_client.h"

#include <fmt/format.h>

#include <optional>

#include "base/asio.h"
#include "http/client.h"
#include "server/config.h"

namespace poplar::server {

namespace {

using Json = nlohmann::json;

CallError refusal(const http::ClientReply& reply) {
    auto json = Json::parse(reply.body, nullptr, false);
    if (json.is_object() && json.contains("error")) {
        const auto& error = json["error"];
        return {1, error.value("message", "refused"), error.value("code", "")};
    }
    return {1, fmt::format("the server answered {}", reply.status), ""};
}

CallResult<Json> parsed(const http::ClientReply& reply) {
    auto json = Json::parse(reply.body, nullptr, false);
    if (reply.status / 100 != 2 || json.is_discarded()) return std::unexpected(refusal(reply));
    return json;
}

}  // namespace

struct AdminClient::Impl {
    explicit Impl(std::string p) : path(std::move(p)), client(context.get_executor(), http::Origin::at_socket(path)) {}

    CallError explain(const Error& error) const {
        switch (error.code()) {
            case Errc::not_found:
                return {kExitUnavailable,
                        fmt::format("no server answers at {}; start it with \"poplar serve\", or name its socket with "
                                    "--socket or --config",
                                    path),
                        ""};
            case Errc::io: return {kExitUnavailable, fmt::format("can't connect to {}: {}", path, error.detail()), ""};
            case Errc::invalid: return {1, error.detail(), ""};
            default: return {1, fmt::format("the connection to the server broke: {}", error.detail()), ""};
        }
    }

    CallResult<http::ClientReply> ask(http::ClientRequest request) {
        std::optional<Result<http::ClientReply>> reply;
        auto keep = [&reply](std::exception_ptr failure, Result<http::ClientReply> result) {
            if (failure) std::rethrow_exception(failure);
            reply = std::move(result);
        };
        context.restart();
        asio::co_spawn(context, client.ask(std::move(request)), std::move(keep));
        context.run();
        if (!*reply) return std::unexpected(explain(reply->error()));
        return std::move(**reply);
    }

    std::string path;
    asio::io_context context;
    http::Client client;
};

AdminClient::AdminClient(std::string socket_path) : impl_(std::make_unique<Impl>(std::move(socket_path))) {}
AdminClient::~AdminClient() = default;

CallResult<Json> AdminClient::call(std::string_view method, std::string_view target, const Json& body) {
    http::ClientRequest request{std::string(method), std::string(target), {}, {}, {}, {}};
    if (!body.is_null()) {
        request.fields = {{"Content-Type", "application/json"}};
        try {
            request.body = body.dump();
        } catch (const Json::type_error&) {  // never replaced: a password or a name would be another one
            return std::unexpected(
                CallError{1, "what is not UTF-8 can't be sent: check the terminal's locale", "invalid"});
        }
    }
    auto reply = impl_->ask(std::move(request));
    if (!reply) return std::unexpected(std::move(reply.error()));
    return parsed(*reply);
}

CallResult<Json> AdminClient::upload(std::string_view method, std::string_view target, const Source& source) {
    auto reply =
        impl_->ask({std::string(method), std::string(target), {{"Content-Type", "message/rfc822"}}, {}, source, {}});
    if (!reply) return std::unexpected(std::move(reply.error()));
    return parsed(*reply);
}

CallResult<> AdminClient::download(std::string_view method, std::string_view target, const Sink& sink) {
    auto reply = impl_->ask({std::string(method), std::string(target), {}, {}, {}, sink});
    if (!reply) return std::unexpected(std::move(reply.error()));
    if (reply->status != 200) return std::unexpected(refusal(*reply));
    return {};
}

}  // namespace poplar::server
