#pragma once
// What may be asked of a running server: one struct each, declared once. The struct's operation() says where it is
// asked, who may, what it means and what its fields are; admin/ has the function that does it.
#include <string>
#include <string_view>
#include <vector>

#include "api/shape.h"
#include "http/target.h"

namespace poplar::api {

enum class Method { get, post, put, remove };
std::string_view to_string(Method method);  ///< "GET"; "DELETE" for remove

/// Who may ask: an administrator, or also the account that it is about.
enum class Scope { admin, self };

/// JSON, or octets that come and go as they are.
enum class Content { json, octets };

/// A member that the route names ("/v1/domains/{name}") comes in the path. Others come in the query with GET and
/// DELETE, and where the body is octets; with POST and PUT in the body, a JSON object. In a query any may be missing.
struct Operation {
    Shape request;  ///< the struct itself: its name, what it does, its members
    Method method = Method::get;
    std::string_view route;
    Scope scope = Scope::admin;
    const Shape* reply = nullptr;  ///< null: the reply is octets
    unsigned status = 200;         ///< of a reply
    Content body = Content::json;
    std::string_view content_type = "application/json";  ///< of the reply
    std::string_view answer = {};                        ///< what the reply is, where its shape does not say it all
};

enum class Place { path, query, body };
Place place_of(const Operation& operation, const Member& member);
bool has_json_body(const Operation& operation);

/// The values of the path's members, in the route's order; nothing: it is another route.
struct PathValue {
    std::string_view name, value;
};
std::optional<std::vector<PathValue>> match(const Operation& operation, const std::vector<std::string>& path);

/// Fills the struct from all but the body. Errors: invalid.
Result<> read_target(const Operation& operation, const std::vector<PathValue>& path, const http::Target& target,
                     void* request);
/// The members that come in the body. Errors: invalid.
Result<> read_body(const Operation& operation, const Json& body, void* request);

/// The other way round, for a client.
std::string target_of(const Operation& operation, const void* request);
Json body_of(const Operation& operation, const void* request);  ///< null: none

}  // namespace poplar::api
