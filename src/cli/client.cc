#include "cli/client.h"

#include <fmt/format.h>

#include <optional>

#include "base/asio.h"
#include "http/client.h"

namespace poplar::cli {

namespace {

using api::Json;

CallError refusal(const http::ClientReply& reply) {
    auto json = Json::parse(reply.body, nullptr, false);
    if (json.is_object() && json.contains("error")) {
        const auto& error = json["error"];
        return {1, error.value("message", "refused"), error.value("code", "")};
    }
    return {1, fmt::format("the server answered {}", reply.status), ""};
}

/// Makes the HTTP request of `request`, with its JSON body or the octets of `source`.
CallResult<http::ClientRequest> request_of(const api::Operation& operation, const void* request,
                                           const Client::Source& source) {
    http::ClientRequest asked;
    asked.method = to_string(operation.method);
    asked.target = target_of(operation, request);
    if (source) {
        asked.fields = {{"Content-Type", "message/rfc822"}};
        asked.source = source;
    } else if (auto body = body_of(operation, request); !body.is_null()) {
        asked.fields = {{"Content-Type", "application/json"}};
        try {
            asked.body = body.dump();
        } catch (const Json::type_error&) {  // not UTF-8; replacing octets would make it another password or name
            return std::unexpected(
                CallError{1, "what is not UTF-8 can't be sent: check the terminal's locale", "invalid"});
        }
    }
    return asked;
}

}  // namespace

struct Client::Impl {
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

Client::Client(std::string socket_path) : impl_(std::make_unique<Impl>(std::move(socket_path))) {}
Client::~Client() = default;

CallResult<> Client::ask(const api::Operation& operation, const void* request, const Source& source, void* reply) {
    auto asked = request_of(operation, request, source);
    if (!asked) return std::unexpected(std::move(asked.error()));
    auto answer = impl_->ask(std::move(*asked));
    if (!answer) return std::unexpected(std::move(answer.error()));
    auto json = Json::parse(answer->body, nullptr, false);
    if (answer->status / 100 != 2 || json.is_discarded()) return std::unexpected(refusal(*answer));
    if (auto read = api::read_json(*operation.reply, json, reply); !read)
        return std::unexpected(
            CallError{1, fmt::format("the server is of another version: {}", read.error().detail()), ""});
    return {};
}

CallResult<> Client::fetch(const api::Operation& operation, const void* request, const Sink& sink) {
    auto asked = request_of(operation, request, nullptr);
    if (!asked) return std::unexpected(std::move(asked.error()));
    asked->sink = sink;
    auto answer = impl_->ask(std::move(*asked));
    if (!answer) return std::unexpected(std::move(answer.error()));
    if (answer->status != 200) return std::unexpected(refusal(*answer));
    return {};
}

}  // namespace poplar::cli
