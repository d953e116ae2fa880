#include "api/second_factor.h"

#include "api/types.h"

namespace poplar::api {

namespace {

constexpr std::string_view kAddress = "The account, for example jane@example.org";
constexpr std::string_view kSite = "The number that the list gives it";

}  // namespace

template <>
const Type& type_of<SecondFactor>() {
    static const WordType<SecondFactor> type({"none", "optional", "required"});
    return type;
}

template <>
const Type& type_of<FactorWay>() {
    static const WordType<FactorWay> type({"totp", "approval", "device", "certificate"});
    return type;
}

template <>
const Type& type_of<SiteKind>() {
    static const WordType<SiteKind> type({"window", "accepted", "denied", "pending"});
    return type;
}

const Shape& Enrollment::shape() {
    static const Shape shape{
        "Enrollment",
        "An authenticator that waits for its first code. Its secret and the codes are shown this once.",
        {field<&Enrollment::address>("address", "The account's"),
         field<&Enrollment::secret>("secret", "In base 32, to be typed into an authenticator"),
         field<&Enrollment::uri>("uri", "The same for a QR code: `otpauth://totp/...`"),
         field<&Enrollment::recovery_codes>("recovery_codes", "Ten, each good once in place of a code")}};
    return shape;
}

const Operation& EnrollTotp::operation() {
    static const Operation operation{
        .request = {"EnrollTotp",
                    "Give an account an authenticator (TOTP): prints its secret and ten recovery codes once",
                    {field<&EnrollTotp::address>("address", kAddress)}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/totp",
        .reply = &Enrollment::shape(),
        .status = 201,
        .answer =
            "It counts once a code of it was confirmed; until then this can be asked for again. 409 if the account "
            "has a confirmed one."};
    return operation;
}

const Shape& TotpConfirmation::shape() {
    static const Shape shape{
        "TotpConfirmation",
        "",
        {field<&TotpConfirmation::address>("address", "The account's"),
         field<&TotpConfirmation::second_factor>(
             "second_factor", "The policy that holds for the account; with none, no login asks for a code")}};
    return shape;
}

const Operation& ConfirmTotp::operation() {
    static const Operation operation{
        .request =
            {"ConfirmTotp",
             "Confirm an authenticator by a code of it; from now on it counts",
             {field<&ConfirmTotp::address>("address", kAddress),
              field<&ConfirmTotp::code>("code", "Six digits, as the authenticator shows them now").positional()}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/totp/confirm",
        .reply = &TotpConfirmation::shape(),
        .answer = "403 for a wrong code."};
    return operation;
}

const Shape& TotpRemoval::shape() {
    static const Shape shape{
        "TotpRemoval",
        "",
        {field<&TotpRemoval::address>("address", "The account's"),
         field<&TotpRemoval::sessions_ended>("sessions_ended", "Open sessions of the account that were ended")}};
    return shape;
}

const Operation& RemoveTotp::operation() {
    static const Operation operation{
        .request = {"RemoveTotp",
                    "Take an account's authenticator away, with its recovery codes and the windows that codes opened",
                    {field<&RemoveTotp::address>("address", kAddress)}},
        .method = Method::remove,
        .route = "/v1/accounts/{address}/totp",
        .reply = &TotpRemoval::shape()};
    return operation;
}

const Shape& RecoveryCodes::shape() {
    static const Shape shape{"RecoveryCodes",
                             "",
                             {field<&RecoveryCodes::address>("address", "The account's"),
                              field<&RecoveryCodes::recovery_codes>("recovery_codes", "Ten, shown this once")}};
    return shape;
}

const Operation& MakeRecoveryCodes::operation() {
    static const Operation operation{.request = {"MakeRecoveryCodes",
                                                 "Make ten new recovery codes; the earlier ones are void",
                                                 {field<&MakeRecoveryCodes::address>("address", kAddress)}},
                                     .method = Method::post,
                                     .route = "/v1/accounts/{address}/totp/codes",
                                     .reply = &RecoveryCodes::shape()};
    return operation;
}

const Shape& Site::shape() {
    static const Shape shape{
        "Site",
        "A network that an account was logged in from, with the right password.",
        {field<&Site::id>("id", "Within the account"),
         field<&Site::kind>(
             "kind",
             "`window`: a code was typed there, and the password alone is taken; `accepted` and `denied`: "
             "by the user; `pending`: refused, until it is accepted"),
         field<&Site::network>("network", "The /24 of an IPv4 address, the /64 of an IPv6 address"),
         field<&Site::peer>("peer", "The address in it"), field<&Site::protocol>("protocol", "Of that login"),
         field<&Site::since>("since", "The time of that login"), field<&Site::until>("until", "Then it is forgotten")}};
    return shape;
}

const Shape& SiteList::shape() {
    static const Shape shape{"SiteList", "", {field<&SiteList::sites>("sites", "The newest last")}};
    return shape;
}

const Operation& ListSites::operation() {
    static const Operation operation{
        .request = {"ListSites",
                    "List the networks that wait to be accepted for an account, and those that are decided",
                    {field<&ListSites::address>("address", kAddress)}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/sites",
        .reply = &SiteList::shape()};
    return operation;
}

const Shape& LearnedSites::shape() {
    static const Shape shape{
        "LearnedSites",
        "",
        {field<&LearnedSites::accounts>("accounts", "That were looked at"),
         field<&LearnedSites::sites>("sites", "That are accepted from now on, or longer than before"),
         field<&LearnedSites::next>("next",
                                    "Of a domain with many accounts: ask again with this as `after`; empty: "
                                    "that was all")}};
    return shape;
}

const Operation& LearnSites::operation() {
    static const Operation operation{
        .request =
            {"LearnSites",
             "Accept the networks that an account, or all of a domain, logged in from by its own password within the "
             "last 30 days, so that asking for approval from now on surprises nobody",
             {field<&LearnSites::address>("address", kAddress).positional(),
              field<&LearnSites::domain>("domain", "All accounts of this domain").called("NAME"),
              field<&LearnSites::after>("after", "Only those behind this address").hidden()}},
        .method = Method::post,
        .route = "/v1/sites/learn",
        .reply = &LearnedSites::shape(),
        .answer =
            "Just one of `address` and `domain`. Each is accepted for auth.accepted_site from its last login on. A "
            "network that was denied stays so."};
    return operation;
}

const Operation& AcceptSite::operation() {
    static const Operation operation{
        .request =
            {"AcceptSite",
             "Let an account's password in from a network, until it was not used from there for auth.accepted_site",
             {field<&AcceptSite::address>("address", kAddress), field<&AcceptSite::id>("id", kSite).positional()}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/sites/accept",
        .reply = &Site::shape()};
    return operation;
}

const Shape& SiteDenial::shape() {
    static const Shape shape{
        "SiteDenial",
        "",
        {field<&SiteDenial::id>("id", "Of the site"), field<&SiteDenial::network>("network", "Its network"),
         field<&SiteDenial::until>("until", "So long the account's password is refused from there"),
         field<&SiteDenial::sessions_ended>("sessions_ended", "Open sessions of the account that were ended")}};
    return shape;
}

const Operation& DenySite::operation() {
    static const Operation operation{
        .request = {"DenySite",
                    "Refuse an account's password from a network, for auth.denied_site; an accepted one, too",
                    {field<&DenySite::address>("address", kAddress), field<&DenySite::id>("id", kSite).positional()}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/sites/deny",
        .reply = &SiteDenial::shape()};
    return operation;
}

}  // namespace poplar::api
