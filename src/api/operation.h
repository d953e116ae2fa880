#pragma once
// The operations of a running server. Each is one struct, declared once: its operation() has the route, the right to
// ask, what it means and its fields. admin/ has the function that does it.
#include <string>
#include <string_view>
#include <vector>

#include "api/shape.h"
#include "http/target.h"

namespace poplar::api {

enum class Method { get, post, put, remove };
std::string_view to_string(Method method);  ///< "GET"; "DELETE" for remove

/// The callers who may ask: an administrator alone, or also the account that it is about.
enum class Scope { admin, self };

/// Whether a body or a reply is JSON, or octets as they are.
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

/// A member of the path, and its value.
struct PathValue {
    std::string_view name, value;
};
/// In the route's order; nothing: the path is another route's.
std::optional<std::vector<PathValue>> match(const Operation& operation, const std::vector<std::string>& path);

/// Fills the struct from all but the body. Errors: invalid.
Result<> read_target(const Operation& operation, const std::vector<PathValue>& path, const http::Target& target,
                     void* request);
/// The members that come in the body. Errors: invalid.
Result<> read_body(const Operation& operation, const Json& body, void* request);

/// The target of a request, and its body, for a client.
std::string target_of(const Operation& operation, const void* request);
Json body_of(const Operation& operation, const void* request);  ///< null: none

}  // namespace poplar::api
