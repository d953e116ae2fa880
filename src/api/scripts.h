#pragma once
// An account's filter scripts.
#include "api/domains.h"
#include "api/operation.h"

namespace poplar::api {

struct ScriptSummary {
    std::string name;
    bool active = false;
    std::uint64_t octets = 0;
    std::string modified;
    static const Shape& shape();
};

struct ScriptList {
    std::vector<ScriptSummary> scripts;
    static const Shape& shape();
};

struct ScriptText {
    std::string name, text;
    static const Shape& shape();
};

struct ScriptProblem {
    std::uint64_t line = 0, column = 0;
    std::string message;
    static const Shape& shape();
};

struct ScriptVerdict {
    bool valid = false;
    std::vector<ScriptProblem> errors, warnings;
    static const Shape& shape();
};

struct ActiveScript {
    Nullable<std::string> active;
    static const Shape& shape();
};

struct ListScripts {
    std::string address;
    using Reply = ScriptList;
    static const Operation& operation();
};

struct GetScript {
    std::string address, name;
    using Reply = ScriptText;
    static const Operation& operation();
};

struct PutScript {
    std::string address, name, text;
    using Reply = ScriptVerdict;
    static const Operation& operation();
};

struct CheckScript {
    std::string address, text;
    using Reply = ScriptVerdict;
    static const Operation& operation();
};

struct ActivateScript {
    std::string address, name;
    using Reply = ActiveScript;
    static const Operation& operation();
};

struct DeactivateScripts {
    std::string address;
    using Reply = ActiveScript;
    static const Operation& operation();
};

struct DeleteScript {
    std::string address, name;
    using Reply = Removal;
    static const Operation& operation();
};

/// Where an account's mail goes on to.
struct Forward {
    std::vector<std::string> to;
    bool keep = false;
    static const Shape& shape();
};

struct GetForward {
    std::string address;
    using Reply = Forward;
    static const Operation& operation();
};

struct SetForward {
    std::string address;
    std::vector<std::string> to;
    bool keep = false;
    using Reply = Forward;
    static const Operation& operation();
};

struct RemoveForward {
    std::string address;
    using Reply = Removal;
    static const Operation& operation();
};

/// The answer that an account's mail gets while its owner is away.
struct Vacation {
    std::string from, to, subject, text;
    static const Shape& shape();
};

struct GetVacation {
    std::string address;
    using Reply = Vacation;
    static const Operation& operation();
};

struct SetVacation {
    std::string address, from, to, subject, text;
    using Reply = Vacation;
    static const Operation& operation();
};

struct RemoveVacation {
    std::string address;
    using Reply = Removal;
    static const Operation& operation();
};

}  // namespace poplar::api
