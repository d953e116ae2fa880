// Declares the operations on the administrator's filter scripts.
#include "api/common_scripts.h"

#include "api/types.h"

namespace poplar::api {

namespace {

constexpr std::string_view kPlace = "before, after or library";
constexpr std::string_view kName = "all, or a domain; in the library a name that scripts include";
constexpr std::string_view kText = "The script's text (RFC 5228)";

}  // namespace

const Shape& CommonScript::shape() {
    static const Shape shape{
        "CommonScript",
        "",
        {field<&CommonScript::place>("place", kPlace), field<&CommonScript::name>("name", kName),
         field<&CommonScript::built_in>("built_in", "Whether it is the server's own, as long as nobody put another"),
         field<&CommonScript::octets>("octets", "Of its text"),
         field<&CommonScript::modified>("modified", "When it was put; null: it is built in")}};
    return shape;
}

const Shape& CommonScriptList::shape() {
    static const Shape shape{
        "CommonScriptList", "", {field<&CommonScriptList::scripts>("scripts", "By place and name")}};
    return shape;
}

const Shape& CommonScriptText::shape() {
    static const Shape shape{
        "CommonScriptText",
        "",
        {field<&CommonScriptText::place>("place", kPlace), field<&CommonScriptText::name>("name", kName),
         field<&CommonScriptText::text>("text", "As it was put, octet by octet")}};
    return shape;
}

const Operation& ListCommonScripts::operation() {
    static const Operation operation{.request = {"ListCommonScripts", "List the administrator's filter scripts", {}},
                                     .method = Method::get,
                                     .route = "/v1/common-scripts",
                                     .reply = &CommonScriptList::shape()};
    return operation;
}

const Operation& GetCommonScript::operation() {
    static const Operation operation{
        .request = {"GetCommonScript",
                    "Read one of the administrator's filter scripts",
                    {field<&GetCommonScript::place>("place", kPlace), field<&GetCommonScript::name>("name", kName)}},
        .method = Method::get,
        .route = "/v1/common-scripts/{place}/{name}",
        .reply = &CommonScriptText::shape()};
    return operation;
}

const Operation& PutCommonScript::operation() {
    static const Operation operation{
        .request = {"PutCommonScript",
                    "Store a filter script that runs before or after those of accounts, or that they may include",
                    {field<&PutCommonScript::place>("place", kPlace), field<&PutCommonScript::name>("name", kName),
                     field<&PutCommonScript::text>("text", kText).hidden()}},
        .method = Method::put,
        .route = "/v1/common-scripts/{place}/{name}",
        .reply = &ScriptVerdict::shape(),
        .answer =
            "It holds for mail that comes from now on. A script that is not `valid` is not stored: then the one "
            "before stays."};
    return operation;
}

const Operation& DeleteCommonScript::operation() {
    static const Operation operation{.request = {"DeleteCommonScript",
                                                 "Delete one of the administrator's filter scripts",
                                                 {field<&DeleteCommonScript::place>("place", kPlace),
                                                  field<&DeleteCommonScript::name>("name", kName)}},
                                     .method = Method::remove,
                                     .route = "/v1/common-scripts/{place}/{name}",
                                     .reply = &Removal::shape()};
    return operation;
}

}  // namespace poplar::api
