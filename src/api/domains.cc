#include "api/domains.h"

#include "api/types.h"

namespace poplar::api {

namespace {
constexpr std::string_view kName = "The domain, for example example.org";
}

const Shape& Domain::shape() {
    static const Shape shape{
        "Domain",
        "A domain that mail is taken for.",
        {field<&Domain::name>("name", "In its one spelling"),
         field<&Domain::catch_all>("catch_all", "The address that gets mail to unknown ones; null: none"),
         field<&Domain::created>("created", "When"),
         field<&Domain::second_factor>("second_factor",
                                       "Of accounts that have no setting of their own; null: they need none"),
         field<&Domain::second_factor_ways>("second_factor_ways",
                                            "The ways that count as one, if the domain has a setting"),
         field<&Domain::sessions_ended>("sessions_ended",
                                        "When the setting was changed: those that it does not let in"),
         field<&Domain::retention>("retention",
                                   "How long deleted mail of accounts without a setting of their own is kept; null: "
                                   "as the configuration has it (`storage.retention`)")}};
    return shape;
}

const Shape& DomainList::shape() {
    static const Shape shape{"DomainList", "", {field<&DomainList::domains>("domains", "All of them")}};
    return shape;
}

const Operation& ListDomains::operation() {
    static const Operation operation{.request = {"ListDomains", "List all domains", {}},
                                     .method = Method::get,
                                     .route = "/v1/domains",
                                     .reply = &DomainList::shape()};
    return operation;
}

const Operation& AddDomain::operation() {
    static const Operation operation{
        .request =
            {"AddDomain",
             "Add a domain",
             {field<&AddDomain::name>("name", kName).positional(),
              field<&AddDomain::postmaster>(
                  "postmaster",
                  "Where mail to its postmaster goes: an address that there is, or one of this domain, also before "
                  "its account is added")
                  .called("ADDRESS")}},
        .method = Method::post,
        .route = "/v1/domains",
        .reply = &Domain::shape(),
        .status = 201};
    return operation;
}

const Shape& Removal::shape() {
    static const Shape shape{"Removal", "", {field<&Removal::removed>("removed", "The name that was asked for")}};
    return shape;
}

const Operation& RemoveDomain::operation() {
    static const Operation operation{.request = {"RemoveDomain",
                                                 "Remove a domain that has no accounts and aliases any more",
                                                 {field<&RemoveDomain::name>("name", kName)}},
                                     .method = Method::remove,
                                     .route = "/v1/domains/{name}",
                                     .reply = &Removal::shape(),
                                     .answer = "409 while it has accounts or aliases."};
    return operation;
}

const Shape& CatchAll::shape() {
    static const Shape shape{"CatchAll",
                             "",
                             {field<&CatchAll::name>("name", "The domain"),
                              field<&CatchAll::catch_all>("catch_all", "The address; empty: none")}};
    return shape;
}

const Operation& SetCatchAll::operation() {
    static const Operation operation{
        .request = {"SetCatchAll",
                    "Say who gets the mail to unknown addresses of a domain",
                    {field<&SetCatchAll::name>("name", kName),
                     field<&SetCatchAll::address>(
                         "address", "An account or alias; without it, unknown addresses are refused again")
                         .positional()}},
        .method = Method::put,
        .route = "/v1/domains/{name}/catch-all",
        .reply = &CatchAll::shape(),
        .answer = "An empty `address`: none."};
    return operation;
}

const Operation& SetDomain::operation() {
    static const Operation operation{
        .request =
            {"SetDomain",
             "Set what holds for a domain's accounts that have no setting of their own",
             {field<&SetDomain::name>("name", kName),
              field<&SetDomain::second_factor>(
                  "second_factor",
                  "none; optional: an account with an authenticator needs a second factor; required; default: none")
                  .called("WHEN"),
              field<&SetDomain::second_factor_ways>("second_factor_ways", kFactorWays).called("WAY").up_to(4),
              field<&SetDomain::retention>("retention", kRetention).called("TIME").up_to(kMostRetention)}},
        .method = Method::put,
        .route = "/v1/domains/{name}/settings",
        .reply = &Domain::shape(),
        .answer =
            "Members that are not named stay. Sessions that a new second factor does not let in are ended; a retention "
            "holds "
            "from "
            "the next round of housekeeping."};
    return operation;
}

const Shape& Alias::shape() {
    static const Shape shape{"Alias",
                             "An address that leads to others.",
                             {field<&Alias::address>("address", "In its one spelling"),
                              field<&Alias::targets>("targets", "Where its mail goes")}};
    return shape;
}

const Shape& AliasList::shape() {
    static const Shape shape{
        "AliasList", "", {field<&AliasList::aliases>("aliases", "In order of domain and local part")}};
    return shape;
}

const Operation& ListAliases::operation() {
    static const Operation operation{
        .request =
            {"ListAliases",
             "List aliases",
             {field<&ListAliases::domain>("domain", "Only those of this domain").called("NAME"),
              field<&ListAliases::after>("after", "Only those behind this address").hidden(),
              field<&ListAliases::limit>("limit", "At most so many; 1,000 if it is not said").up_to(10'000).hidden()}},
        .method = Method::get,
        .route = "/v1/aliases",
        .reply = &AliasList::shape()};
    return operation;
}

const Operation& AddAlias::operation() {
    static const Operation operation{
        .request = {"AddAlias",
                    "Add an alias",
                    {field<&AddAlias::address>("address", "The new address").positional(),
                     field<&AddAlias::targets>("targets", "Where its mail goes: addresses of accounts or other aliases")
                         .called("TARGET")
                         .positional()}},
        .method = Method::post,
        .route = "/v1/aliases",
        .reply = &Alias::shape(),
        .status = 201};
    return operation;
}

const Operation& RemoveAlias::operation() {
    static const Operation operation{
        .request = {"RemoveAlias", "Remove an alias", {field<&RemoveAlias::address>("address", "The alias")}},
        .method = Method::remove,
        .route = "/v1/aliases/{address}",
        .reply = &Removal::shape()};
    return operation;
}

}  // namespace poplar::api
