#include "api/dkim.h"

#include "api/types.h"

namespace poplar::api {

namespace {
constexpr std::string_view kDomain = "A domain that mail is from, for example example.org";
constexpr std::string_view kSelector =
    "The name of the RSA key; the Ed25519 key has the same with -ed25519 behind it. If it is not said: p and today's "
    "date";
}  // namespace

const Shape& DkimKey::shape() {
    static const Shape shape{
        "DkimKey",
        "A private key. It is never shown.",
        {field<&DkimKey::domain>("domain", "Whose mail it signs"),
         field<&DkimKey::selector>("selector", "Its name in the DNS"),
         field<&DkimKey::algorithm>("algorithm", "`rsa-sha256` or `ed25519-sha256`"),
         field<&DkimKey::created>("created", "When it was made"),
         field<&DkimKey::signs_from>("signs_from", "It signs from then on, until a newer one does")}};
    return shape;
}

const Shape& DkimKeys::shape() {
    static const Shape shape{"DkimKeys", "", {field<&DkimKeys::keys>("keys", "By domain and selector")}};
    return shape;
}

const Shape& DnsRecord::shape() {
    static const Shape shape{"DnsRecord",
                             "A TXT record to publish.",
                             {field<&DnsRecord::name>("name", "Where it belongs"),
                              field<&DnsRecord::value>("value",
                                                       "Its text; what is over 255 octets is to be cut into several "
                                                       "strings of one record")}};
    return shape;
}

const Shape& DnsRecords::shape() {
    static const Shape shape{"DnsRecords", "", {field<&DnsRecords::records>("records", "One for each key")}};
    return shape;
}

const Operation& AddDkim::operation() {
    static const Operation operation{.request = {"AddDkim",
                                                 "Make keys that sign what leaves from a domain: RSA and Ed25519",
                                                 {field<&AddDkim::domain>("domain", kDomain),
                                                  field<&AddDkim::selector>("selector", kSelector).called("NAME")}},
                                     .method = Method::post,
                                     .route = "/v1/dkim/{domain}",
                                     .reply = &DkimKeys::shape(),
                                     .status = 201,
                                     .answer = "They sign at once. 409 if the domain has a key with that selector."};
    return operation;
}

const Operation& ListDkim::operation() {
    static const Operation operation{
        .request = {"ListDkim",
                    "List the keys that sign mail",
                    {field<&ListDkim::domain>("domain", "Only those of this domain").positional()}},
        .method = Method::get,
        .route = "/v1/dkim",
        .reply = &DkimKeys::shape()};
    return operation;
}

const Operation& ShowDkimRecords::operation() {
    static const Operation operation{.request = {"ShowDkimRecords",
                                                 "Show the DNS records to publish for a domain's keys",
                                                 {field<&ShowDkimRecords::domain>("domain", kDomain)}},
                                     .method = Method::get,
                                     .route = "/v1/dkim/{domain}/dns",
                                     .reply = &DnsRecords::shape()};
    return operation;
}

const Operation& RotateDkim::operation() {
    static const Operation operation{
        .request = {"RotateDkim",
                    "Make new keys that take over from a domain's present ones",
                    {field<&RotateDkim::domain>("domain", kDomain),
                     field<&RotateDkim::selector>("selector", kSelector).called("NAME"),
                     field<&RotateDkim::after>("after",
                                               "When they begin to sign, for example 2d: publish their records before. "
                                               "A day if it is not said")
                         .called("TIME")}},
        .method = Method::post,
        .route = "/v1/dkim/{domain}/rotate",
        .reply = &DkimKeys::shape(),
        .status = 201,
        .answer =
            "The old keys stay until they are removed, so that mail on its way can be checked. 404 if the domain "
            "has no keys."};
    return operation;
}

const Shape& DkimRemoval::shape() {
    static const Shape shape{"DkimRemoval",
                             "",
                             {field<&DkimRemoval::domain>("domain", "The domain"),
                              field<&DkimRemoval::keys>("keys", "How many keys were removed")}};
    return shape;
}

const Operation& RemoveDkim::operation() {
    static const Operation operation{
        .request = {"RemoveDkim",
                    "Remove a domain's keys, or the pair with one selector",
                    {field<&RemoveDkim::domain>("domain", kDomain),
                     field<&RemoveDkim::selector>("selector", "Only this one and its second key").called("NAME")}},
        .method = Method::remove,
        .route = "/v1/dkim/{domain}",
        .reply = &DkimRemoval::shape(),
        .answer = "A private key that is removed can't be brought back; its record may leave the DNS some days later."};
    return operation;
}

}  // namespace poplar::api
