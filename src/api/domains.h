#pragma once
// Domains, and aliases, which lead from an address to others.
#include "api/second_factor.h"

namespace poplar::api {

struct Domain {
    std::string name;
    Nullable<std::string> catch_all;
    std::string created;
    Nullable<SecondFactor> second_factor;
    std::vector<FactorWay> second_factor_ways;
    std::optional<std::uint64_t> sessions_ended;
    Nullable<Seconds> retention;
    static const Shape& shape();
};

struct DomainList {
    std::vector<Domain> domains;
    static const Shape& shape();
};

struct ListDomains {
    using Reply = DomainList;
    static const Operation& operation();
};

struct AddDomain {
    std::string name;
    std::optional<std::string> postmaster;
    using Reply = Domain;
    static const Operation& operation();
};

/// The reply to a removal: the name of the domain, alias or message that went.
struct Removal {
    std::string removed;
    static const Shape& shape();
};

struct RemoveDomain {
    std::string name;
    using Reply = Removal;
    static const Operation& operation();
};

struct CatchAll {
    std::string name, catch_all;
    static const Shape& shape();
};

struct SetCatchAll {
    std::string name, address;
    using Reply = CatchAll;
    static const Operation& operation();
};

struct SetDomain {
    std::string name;
    std::optional<Nullable<SecondFactor>> second_factor;
    std::optional<std::vector<FactorWay>> second_factor_ways;
    std::optional<Nullable<Seconds>> retention;
    using Reply = Domain;
    static const Operation& operation();
};

struct Alias {
    std::string address;
    std::vector<std::string> targets;
    static const Shape& shape();
};

struct AliasList {
    std::vector<Alias> aliases;
    static const Shape& shape();
};

struct ListAliases {
    std::string domain, after;
    std::uint64_t limit = 1000;
    using Reply = AliasList;
    static const Operation& operation();
};

struct AddAlias {
    std::string address;
    std::vector<std::string> targets;
    using Reply = Alias;
    static const Operation& operation();
};

struct RemoveAlias {
    std::string address;
    using Reply = Removal;
    static const Operation& operation();
};

}  // namespace poplar::api
