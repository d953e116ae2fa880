#pragma once
// The administrator's filter scripts: before and after those of accounts, and the library.
#include "api/domains.h"
#include "api/scripts.h"

namespace poplar::api {

struct CommonScript {
    std::string place, name;
    bool built_in = false;
    std::uint64_t octets = 0;
    Nullable<std::string> modified;
    static const Shape& shape();
};

struct CommonScriptList {
    std::vector<CommonScript> scripts;
    static const Shape& shape();
};

struct CommonScriptText {
    std::string place, name, text;
    static const Shape& shape();
};

struct ListCommonScripts {
    using Reply = CommonScriptList;
    static const Operation& operation();
};

struct GetCommonScript {
    std::string place, name;
    using Reply = CommonScriptText;
    static const Operation& operation();
};

struct PutCommonScript {
    std::string place, name, text;
    using Reply = ScriptVerdict;
    static const Operation& operation();
};

struct DeleteCommonScript {
    std::string place, name;
    using Reply = Removal;
    static const Operation& operation();
};

}  // namespace poplar::api
