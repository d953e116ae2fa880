// Declares the operations on filter scripts.
#include "api/scripts.h"

#include "api/types.h"

namespace poplar::api {

namespace {

constexpr std::string_view kAccount = "The account, for example jane@example.org";
constexpr std::string_view kName = "The script";
constexpr std::string_view kText = "The script's text (RFC 5228)";

}  // namespace

const Shape& ScriptSummary::shape() {
    static const Shape shape{"ScriptSummary",
                             "",
                             {field<&ScriptSummary::name>("name", "UTF-8"),
                              field<&ScriptSummary::active>("active", "Whether it filters the account's mail"),
                              field<&ScriptSummary::octets>("octets", "Of its text"),
                              field<&ScriptSummary::modified>("modified", "When it was put")}};
    return shape;
}

const Shape& ScriptList::shape() {
    static const Shape shape{"ScriptList", "", {field<&ScriptList::scripts>("scripts", "By name")}};
    return shape;
}

const Shape& ScriptText::shape() {
    static const Shape shape{
        "ScriptText",
        "",
        {field<&ScriptText::name>("name", kName), field<&ScriptText::text>("text", "As it was put, octet by octet")}};
    return shape;
}

const Shape& ScriptProblem::shape() {
    static const Shape shape{"ScriptProblem",
                             "",
                             {field<&ScriptProblem::line>("line", "Counts from 1"),
                              field<&ScriptProblem::column>("column", "Counts octets, from 1"),
                              field<&ScriptProblem::message>("message", "The mistake")}};
    return shape;
}

const Shape& ScriptVerdict::shape() {
    static const Shape shape{"ScriptVerdict",
                             "",
                             {field<&ScriptVerdict::valid>("valid", "Whether it compiles"),
                              field<&ScriptVerdict::errors>("errors", "Why not; at most 20"),
                              field<&ScriptVerdict::warnings>(
                                  "warnings", "Of a script that compiles: what is probably not meant; at most 20")}};
    return shape;
}

const Shape& ActiveScript::shape() {
    static const Shape shape{
        "ActiveScript",
        "",
        {field<&ActiveScript::active>("active", "The script that filters mail now; null: none does")}};
    return shape;
}

const Operation& ListScripts::operation() {
    static const Operation operation{.request = {"ListScripts",
                                                 "List an account's filter scripts",
                                                 {field<&ListScripts::address>("address", kAccount)}},
                                     .method = Method::get,
                                     .route = "/v1/accounts/{address}/scripts",
                                     .reply = &ScriptList::shape()};
    return operation;
}

const Operation& GetScript::operation() {
    static const Operation operation{
        .request = {"GetScript",
                    "Read a filter script",
                    {field<&GetScript::address>("address", kAccount), field<&GetScript::name>("name", kName)}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/scripts/{name}",
        .reply = &ScriptText::shape()};
    return operation;
}

const Operation& PutScript::operation() {
    static const Operation operation{
        .request = {"PutScript",
                    "Store a filter script, in place of one of the same name",
                    {field<&PutScript::address>("address", kAccount), field<&PutScript::name>("name", kName),
                     field<&PutScript::text>("text", kText).hidden()}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/scripts/{name}",
        .reply = &ScriptVerdict::shape(),
        .answer = "A script that is not `valid` is not stored: then the one before stays."};
    return operation;
}

const Operation& CheckScript::operation() {
    static const Operation operation{.request = {"CheckScript",
                                                 "Tell whether a filter script would be stored",
                                                 {field<&CheckScript::address>("address", kAccount),
                                                  field<&CheckScript::text>("text", kText).hidden()}},
                                     .method = Method::post,
                                     .route = "/v1/accounts/{address}/script-checks",
                                     .reply = &ScriptVerdict::shape()};
    return operation;
}

const Operation& ActivateScript::operation() {
    static const Operation operation{.request = {"ActivateScript",
                                                 "Let a script filter an account's mail from now on",
                                                 {field<&ActivateScript::address>("address", kAccount),
                                                  field<&ActivateScript::name>("name", kName).positional()}},
                                     .method = Method::put,
                                     .route = "/v1/accounts/{address}/active-script",
                                     .reply = &ActiveScript::shape()};
    return operation;
}

const Operation& DeactivateScripts::operation() {
    static const Operation operation{.request = {"DeactivateScripts",
                                                 "Let no script filter an account's mail any more; all scripts stay",
                                                 {field<&DeactivateScripts::address>("address", kAccount)}},
                                     .method = Method::remove,
                                     .route = "/v1/accounts/{address}/active-script",
                                     .reply = &ActiveScript::shape()};
    return operation;
}

const Operation& DeleteScript::operation() {
    static const Operation operation{
        .request = {"DeleteScript",
                    "Delete a filter script; the active one is deactivated first",
                    {field<&DeleteScript::address>("address", kAccount), field<&DeleteScript::name>("name", kName)}},
        .method = Method::remove,
        .route = "/v1/accounts/{address}/scripts/{name}",
        .reply = &Removal::shape()};
    return operation;
}

namespace {

constexpr std::uint64_t kMostTargets = 20;
constexpr std::string_view kTargets = "Where a copy of each message goes";
constexpr std::string_view kKeep = "The account gets its mail, too";
constexpr std::string_view kFrom = "The first day, like 2026-12-20; empty: from now on";
constexpr std::string_view kTo = "The last day; empty: until it is taken away";
constexpr std::string_view kSubject = "Of the answers; empty: \"Auto:\" and that of the message";
constexpr std::string_view kAnswer = "The answers' text";

}  // namespace

const Shape& Forward::shape() {
    static const Shape shape{
        "Forward", "", {field<&Forward::to>("to", kTargets).up_to(kMostTargets), field<&Forward::keep>("keep", kKeep)}};
    return shape;
}

const Operation& GetForward::operation() {
    static const Operation operation{.request = {"GetForward",
                                                 "Tell where an account's mail goes on to",
                                                 {field<&GetForward::address>("address", kAccount)}},
                                     .method = Method::get,
                                     .route = "/v1/accounts/{address}/forward",
                                     .reply = &Forward::shape(),
                                     .answer = "404 if it goes nowhere."};
    return operation;
}

const Operation& SetForward::operation() {
    static const Operation operation{
        .request = {"SetForward",
                    "Let an account's mail go on to other addresses",
                    {field<&SetForward::address>("address", kAccount),
                     field<&SetForward::to>("to", kTargets).called("ADDRESS").up_to(kMostTargets),
                     field<&SetForward::keep>("keep", kKeep)}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/forward",
        .reply = &Forward::shape(),
        .answer = "What the account's own script drops, refuses or files as junk goes nowhere."};
    return operation;
}

const Operation& RemoveForward::operation() {
    static const Operation operation{.request = {"RemoveForward",
                                                 "Let an account's mail go nowhere else any more",
                                                 {field<&RemoveForward::address>("address", kAccount)}},
                                     .method = Method::remove,
                                     .route = "/v1/accounts/{address}/forward",
                                     .reply = &Removal::shape()};
    return operation;
}

const Shape& Vacation::shape() {
    static const Shape shape{"Vacation",
                             "",
                             {field<&Vacation::from>("from", kFrom), field<&Vacation::to>("to", kTo),
                              field<&Vacation::subject>("subject", kSubject), field<&Vacation::text>("text", kAnswer)}};
    return shape;
}

const Operation& GetVacation::operation() {
    static const Operation operation{.request = {"GetVacation",
                                                 "Show the answer that an account's mail gets",
                                                 {field<&GetVacation::address>("address", kAccount)}},
                                     .method = Method::get,
                                     .route = "/v1/accounts/{address}/vacation",
                                     .reply = &Vacation::shape(),
                                     .answer = "404 if it gets none."};
    return operation;
}

const Operation& SetVacation::operation() {
    static const Operation operation{
        .request = {"SetVacation",
                    "Let an account's mail be answered while its owner is away",
                    {field<&SetVacation::address>("address", kAccount),
                     field<&SetVacation::from>("from", kFrom).called("DAY"),
                     field<&SetVacation::to>("to", kTo).called("DAY"),
                     field<&SetVacation::subject>("subject", kSubject),
                     field<&SetVacation::text>("text", kAnswer).hidden()}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/vacation",
        .reply = &Vacation::shape(),
        .answer = "A sender is answered once a week, and lists and programs never (RFC 5230)."};
    return operation;
}

const Operation& RemoveVacation::operation() {
    static const Operation operation{.request = {"RemoveVacation",
                                                 "Let an account's mail be answered no more",
                                                 {field<&RemoveVacation::address>("address", kAccount)}},
                                     .method = Method::remove,
                                     .route = "/v1/accounts/{address}/vacation",
                                     .reply = &Removal::shape()};
    return operation;
}

}  // namespace poplar::api
