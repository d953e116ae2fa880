// Makes docs/reference/admin-api.md and admin-api.ts.
#include "api/page.h"

#include <fmt/format.h>

#include <algorithm>

namespace poplar::api {

namespace {

constexpr std::string_view kHead = R"(# The admin API

<!-- Made from src/api/ by scripts/make-pages: change the declarations there. -->

HTTP/1.1 and JSON on a local socket (`admin_socket` in the [configuration](../operating/configuration.md), mode
0600). Only root and the server's own user may use it: the server asks the kernel who connects, and answers anyone else
403. The `poplar` command is its client; `curl --unix-socket /run/poplar/admin.sock http://localhost/v1/status` works
too. The same as types and calls for TypeScript: [admin-api.ts](admin-api.ts).

Addresses, names and ids in a path are percent-encoded. A body is a JSON object; a member or a parameter that is unknown,
or has the wrong type, is an error. Times are UTC (`2026-11-22T03:05:09Z`), sizes are octets. In a query, true and false
are `yes` and `no`. A failure has a JSON body, whose `code` does not change:

```json
{"error": {"code": "not_found", "message": "no account jane@example.org"}}
```

| status | code | meaning |
| --- | --- | --- |
| 400 | `invalid` | the request breaks a rule |
| 403 | `denied` | not allowed |
| 404 | `not_found` | no such thing, or no such route |
| 405 | `invalid` | the route has other methods: those that the header field `Allow` names |
| 408 | `timed_out` | the client is too slow |
| 409 | `exists`, `busy`, `conflict` | it is there already; it is in use; it changed meanwhile |
| 413 | `too_large` | over `limits.admin_body`, or a message over `limits.message_size` |
| 500 | `io`, `corrupt`, `outcome_unknown` | storage trouble: see the log |
| 503 | `cancelled` | the server is stopping |
| 507 | `no_space` | no room on the disk; works again when there is |

Limits: 64 connections, 16 KB of request header, 5 minutes for each part of a request to arrive or to leave.
)";

constexpr std::string_view kTypescriptHead =
    R"(// The admin API's types and calls. Made from src/api/ by scripts/make-pages: change the declarations there.

/** Sends a request and gives the reply's JSON; throws what the API answers as an error. */
export type Call = (method: string, target: string, body?: unknown) => Promise<unknown>;

function query(parameters: Record<string, string | number | boolean | undefined>): string {
  const pairs = Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(typeof value === "boolean" ? (value ? "yes" : "no") : String(value))}`);
  return pairs.length === 0 ? "" : "?" + pairs.join("&");
}
)";

/// The structs that others hold, each once, in the order they are first seen.
void collect(const Shape* shape, std::vector<const Shape*>& seen) {
    if (!shape || std::ranges::find(seen, shape) != seen.end()) return;
    seen.push_back(shape);
    for (const auto& member : shape->members) collect(member.type->shape(), seen);
}

std::vector<const Shape*> shapes_of(std::span<const Group> groups) {
    std::vector<const Shape*> seen;
    for (const auto& group : groups)
        for (const auto* operation : group.operations) {
            for (const auto& member : operation->request.members) collect(member.type->shape(), seen);
            collect(operation->reply, seen);
        }
    return seen;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

std::string type_words(const Member& member) {
    auto words = member.type->words();
    const auto* shape = member.type->shape();
    if (!shape) return words;
    const auto at = words.find(shape->name);
    return words.replace(at, shape->name.size(), fmt::format("[{}](#{})", shape->name, lower(shape->name)));
}

std::string_view place_words(Place place) {
    switch (place) {
        case Place::path: return "path";
        case Place::query: return "query";
        case Place::body: break;
    }
    return "body";
}

bool may_be_missing(const Operation& operation, const Member& member) {
    return member.optional || place_of(operation, member) == Place::query;
}

std::string operation_text(const Operation& operation) {
    const auto& request = operation.request;
    auto text = fmt::format("\n### `{} {}`\n\n{}.", to_string(operation.method), operation.route, request.words);
    text += fmt::format(" Answers {}", operation.status);
    if (operation.reply)
        text += fmt::format(": [{}](#{}).", operation.reply->name, lower(operation.reply->name));
    else
        text += fmt::format(", `{}`.", operation.content_type);
    if (!operation.answer.empty()) text += fmt::format(" {}", operation.answer);
    if (operation.scope == Scope::self) text += " The account itself may ask for it, too.";
    text += "\n";
    if (request.members.empty()) return text;
    text += "\n| member | in | type | meaning |\n| --- | --- | --- | --- |\n";
    for (const auto& member : request.members) {
        auto type = type_words(member);
        if (may_be_missing(operation, member)) type += ", may be missing";
        text += fmt::format("| `{}` | {} | {} | {} |\n", member.name, place_words(place_of(operation, member)), type,
                            member.words);
    }
    return text;
}

std::string shape_text(const Shape& shape) {
    auto text = fmt::format("\n### {}\n\n", shape.name);
    if (!shape.words.empty()) text += fmt::format("{}\n\n", shape.words);
    text += "| member | type | meaning |\n| --- | --- | --- |\n";
    for (const auto& member : shape.members)
        text += fmt::format("| `{}` | {}{} | {} |\n", member.name, type_words(member),
                            member.optional ? ", may be missing" : "", member.words);
    return text;
}

std::string interface_text(std::string_view name, const std::vector<Member>& members, auto optional) {
    auto text = fmt::format("\nexport interface {} {{\n", name);
    for (const auto& member : members)
        text += fmt::format("  {}{}: {};\n", member.name, optional(member) ? "?" : "", member.type->typescript());
    return text + "}\n";
}

std::string call_text(const Operation& operation) {
    std::string target(operation.route), query, body;
    for (const auto& member : operation.request.members) {
        const auto place = place_of(operation, member);
        const auto value = fmt::format("request.{}", member.name);
        if (place == Place::path)
            target.replace(target.find(fmt::format("{{{}}}", member.name)), member.name.size() + 2,
                           fmt::format("${{encodeURIComponent({})}}", value));
        else
            (place == Place::query ? query : body) += fmt::format("{}: {}, ", member.name, value);
    }
    std::string name(operation.request.name);
    name[0] = static_cast<char>(name[0] + 32);
    auto trimmed = [](std::string& list) { list.resize(list.size() - 2); };
    std::string arguments = fmt::format("\"{}\", `{}`", to_string(operation.method), target);
    if (!query.empty()) trimmed(query), arguments += fmt::format(" + query({{ {} }})", query);
    if (!body.empty()) trimmed(body), arguments += fmt::format(", {{ {} }}", body);
    const bool asks = !operation.request.members.empty();
    return fmt::format(
        "\n/** {}. */\nexport async function {}(call: Call{}): Promise<{}> {{\n  return (await call({})) as {};\n}}\n",
        operation.request.words, name, asks ? fmt::format(", request: {}", operation.request.name) : "",
        operation.reply->name, arguments, operation.reply->name);
}

}  // namespace

std::string markdown_page(std::span<const Group> groups) {
    std::string page(kHead);
    for (const auto& group : groups) {
        page += fmt::format("\n## {}\n", group.title);
        if (!group.words.empty()) page += fmt::format("\n{}\n", group.words);
        for (const auto* operation : group.operations) page += operation_text(*operation);
    }
    page += "\n## Types\n";
    for (const auto* shape : shapes_of(groups)) page += shape_text(*shape);
    return page;
}

std::string typescript_file(std::span<const Group> groups) {
    std::string file(kTypescriptHead);
    for (const auto* shape : shapes_of(groups))
        file += interface_text(shape->name, shape->members, [](const Member& member) { return member.optional; });
    for (const auto& group : groups)
        for (const auto* operation : group.operations) {
            // A caller in TypeScript sends and reads octets itself.
            if (!operation->reply || operation->body == Content::octets) continue;
            if (!operation->request.members.empty())
                file += interface_text(operation->request.name, operation->request.members,
                                       [&](const Member& member) { return may_be_missing(*operation, member); });
            file += call_text(*operation);
        }
    return file;
}

}  // namespace poplar::api
