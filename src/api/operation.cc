#include "api/operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/types.h"

namespace poplar::api {

namespace {

std::vector<std::string_view> segments(std::string_view route) {
    std::vector<std::string_view> list;
    while (!route.empty()) {
        route.remove_prefix(1);
        auto end = std::min(route.find('/'), route.size());
        list.push_back(route.substr(0, end));
        route.remove_prefix(end);
    }
    return list;
}

/// "address" of "{address}"; "": it is a fixed segment.
std::string_view variable(std::string_view segment) {
    return segment.starts_with('{') ? segment.substr(1, segment.size() - 2) : std::string_view();
}

const Member* find(const Operation& operation, std::string_view name) {
    auto at = std::ranges::find(operation.request.members, name, &Member::name);
    return at == operation.request.members.end() ? nullptr : &*at;
}

Shape body_shape(const Operation& operation) {
    Shape shape{operation.request.name, {}, {}};
    for (const auto& member : operation.request.members)
        if (place_of(operation, member) == Place::body) shape.members.push_back(member);
    return shape;
}

Result<> read_text(const Member& member, std::string_view text, void* request) {
    auto done = member.type->read_text(text, member.make(request), member);
    if (!done) return fail(Errc::invalid, fmt::format("\"{}\" {}", member.name, done.error().detail()));
    return {};
}

}  // namespace

std::string_view to_string(Method method) {
    switch (method) {
        case Method::get: return "GET";
        case Method::post: return "POST";
        case Method::put: return "PUT";
        case Method::remove: break;
    }
    return "DELETE";
}

Place place_of(const Operation& operation, const Member& member) {
    if (operation.route.contains(fmt::format("{{{}}}", member.name))) return Place::path;
    const bool in_body = operation.method == Method::post || operation.method == Method::put;
    return in_body && operation.body == Content::json ? Place::body : Place::query;
}

bool has_json_body(const Operation& operation) {
    return std::ranges::any_of(operation.request.members,
                               [&](const Member& member) { return place_of(operation, member) == Place::body; });
}

std::optional<std::vector<PathValue>> match(const Operation& operation, const std::vector<std::string>& path) {
    const auto wanted = segments(operation.route);
    if (wanted.size() != path.size()) return std::nullopt;
    std::vector<PathValue> values;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (auto name = variable(wanted[i]); !name.empty())
            values.push_back({name, path[i]});
        else if (wanted[i] != path[i])
            return std::nullopt;
    }
    return values;
}

Result<> read_target(const Operation& operation, const std::vector<PathValue>& path, const http::Target& target,
                     void* request) {
    for (const auto& [name, value] : path)
        if (auto done = read_text(*find(operation, name), value, request); !done) return done;
    for (const auto& [name, value] : target.query) {
        const auto* member = find(operation, name);
        if (!member || place_of(operation, *member) != Place::query)
            return fail(Errc::invalid, fmt::format("unknown parameter \"{}\"", name));
        if (auto done = read_text(*member, value, request); !done) return done;
    }
    return {};
}

Result<> read_body(const Operation& operation, const Json& body, void* request) {
    if (!body.is_object()) return fail(Errc::invalid, "the request's body must be a JSON object");
    return read_struct(body_shape(operation), body, request);
}

std::string target_of(const Operation& operation, const void* request) {
    std::string target;
    for (auto segment : segments(operation.route)) {
        auto name = variable(segment);
        if (name.empty()) {
            target += fmt::format("/{}", segment);
        } else {
            const auto& member = *find(operation, name);
            target += "/" + http::percent_encode(member.type->text(member.find(request)));
        }
    }
    char separator = '?';
    for (const auto& member : operation.request.members) {
        const void* value = member.find(request);
        if (!value || place_of(operation, member) != Place::query) continue;
        target += fmt::format("{}{}={}", separator, member.name, http::percent_encode(member.type->text(value)));
        separator = '&';
    }
    return target;
}

Json body_of(const Operation& operation, const void* request) {
    Json body;
    if (has_json_body(operation)) write_struct(body_shape(operation), body, request);
    return body;
}

}  // namespace poplar::api
