#pragma once
// A row of the table of operations: the declaration and the function that does it, with their types erased.
#include <functional>
#include <vector>

#include "admin/api.h"
#include "api/json.h"
#include "api/operation.h"

namespace poplar::admin {

/// All that belongs to one request, beside its struct.
struct Exchange {
    Context& context;
    Caller caller;
    http::Body& body;
    http::Stream& stream;
    const api::Json* json;  ///< the body, if the operation has one
    const std::vector<api::PathValue>& path;
    const http::Target& target;
};

struct Row {
    const api::Operation& operation;
    Task<Result<http::Reply>> (*run)(Exchange exchange);
};

// Notes whether the stream has begun: after that a failure can't be answered, and only breaks it off.
class Begun final : public http::Stream {
public:
    explicit Begun(http::Stream& stream) : stream_(stream) {}
    Task<Result<>> begin(std::string content_type) override {
        begun = true;
        return stream_.begin(std::move(content_type));
    }
    Task<Result<>> write(std::string_view bytes) override { return stream_.write(bytes); }
    bool begun = false;

private:
    http::Stream& stream_;
};

http::Reply json_reply(unsigned status, const api::Json& json);
Result<> read_request(const api::Operation& operation, const Exchange& exchange, void* request);

/// `row<api::AddDomain, add_domain>()`. The function takes the context, the caller and the struct; then the body, where
/// that is octets, or the stream, where the reply is.
template <class Request, auto run>
Row row() {
    return {Request::operation(), [](Exchange exchange) -> Task<Result<http::Reply>> {
                const auto& operation = Request::operation();
                Request request;
                if (auto read = read_request(operation, exchange, &request); !read) co_return pass_on(read);
                auto& context = exchange.context;
                if constexpr (requires { run(context, exchange.caller, std::move(request), exchange.stream); }) {
                    Begun stream(exchange.stream);
                    auto done = co_await run(context, exchange.caller, std::move(request), stream);
                    if (!done && !stream.begun) co_return pass_on(done);
                    co_return http::Reply{done ? 200u : 500u, {}, {}, true};
                } else if constexpr (requires { run(context, exchange.caller, std::move(request), exchange.body); }) {
                    auto reply = co_await run(context, exchange.caller, std::move(request), exchange.body);
                    if (!reply) co_return pass_on(reply);
                    co_return json_reply(operation.status, api::to_json(*reply));
                } else {
                    auto reply = co_await run(context, exchange.caller, std::move(request));
                    if (!reply) co_return pass_on(reply);
                    co_return json_reply(operation.status, api::to_json(*reply));
                }
            }};
}

// Each at the end of its file.
const std::vector<Row>& domain_rows();
const std::vector<Row>& account_rows();
const std::vector<Row>& device_rows();
const std::vector<Row>& activity_rows();
const std::vector<Row>& second_factor_rows();
const std::vector<Row>& encryption_rows();
const std::vector<Row>& alias_rows();
const std::vector<Row>& mail_rows();
const std::vector<Row>& quota_rows();
const std::vector<Row>& deleted_mail_rows();
const std::vector<Row>& mailbox_rows();
const std::vector<Row>& queue_rows();
const std::vector<Row>& dkim_rows();
const std::vector<Row>& script_rows();
const std::vector<Row>& common_script_rows();
const std::vector<Row>& mail_work_rows();
const std::vector<Row>& server_rows();

}  // namespace poplar::admin
