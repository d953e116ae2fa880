#include "screening/dkim.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/record.h"

namespace poplar::screening {

namespace {

bool is_temporary(const Error& error) {
    return error.code() != Errc::invalid && error.code() != Errc::not_found && error.code() != Errc::denied;
}

}  // namespace

Task<Result<PublicKey>> fetch_key(dns::Lookup& dns, std::string name) {
    auto answer = co_await dns.ask(name, dns::Type::txt);
    if (!answer && answer.error().code() == Errc::invalid) co_return fail(Errc::not_found, "no key");
    if (!answer) co_return fail(answer.error().code(), "no answer for the key");
    Result<PublicKey> last = fail(Errc::not_found, "no key");
    for (const auto& record : answer->records) {  // RFC 6376 s3.6.2.2: of several, any may be taken
        const auto text = dns::parse_txt(record);
        if (!text) continue;
        last = PublicKey::parse(*text);
        if (last) break;
    }
    co_return last;
}

std::vector<Canonical> body_forms(const Header& header, std::size_t most_signatures) {
    std::vector<Canonical> forms;
    const auto look = [&](const std::string& name, Signature::Kind kind) {
        std::size_t seen = 0;
        for (const auto at : header.named(name)) {
            if (++seen > most_signatures) break;
            Signature signature;
            if (!Signature::parse(header.fields()[at].value(), kind, signature)) continue;
            if (std::ranges::find(forms, signature.body_form) == forms.end()) forms.push_back(signature.body_form);
        }
    };
    look("dkim-signature", Signature::Kind::dkim);
    look("arc-message-signature", Signature::Kind::arc);
    return forms;
}

// Checks that cost nothing come before the one that asks the DNS.
Task<DkimAnswer> verify_signature(dns::Lookup& dns, const Header& header, const Header::Field& field,
                                  Signature::Kind kind, const HashedBodies& bodies, Timestamp now) {
    DkimAnswer answer;
    Signature signature;
    const auto parsed = Signature::parse(field.value(), kind, signature);
    answer.domain = signature.domain;
    answer.selector = signature.selector;
    answer.identity = signature.identity;
    answer.shown = signature.shown;
    const auto end = [&](Outcome outcome, std::string reason) {
        answer.outcome = outcome;
        answer.reason = std::move(reason);
        return answer;
    };
    if (!parsed)
        co_return end(parsed.error().code() == Errc::denied ? Outcome::policy : Outcome::permerror,
                      parsed.error().detail());
    answer.algorithm = name_of(signature.algorithm);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    if (signature.expires && *signature.expires < static_cast<std::uint64_t>(seconds))
        co_return end(Outcome::fail, "signature expired");
    const auto body = bodies.find(signature.body_form);
    if (body == bodies.end()) co_return end(Outcome::neutral, "not looked at");
    if (signature.length && *signature.length > body->second.octets)
        co_return end(Outcome::fail, "body is shorter than signed");
    if (signature.length && *signature.length < body->second.octets)
        co_return end(Outcome::policy, "part of the body is not signed");
    if (signature.body_hash != body->second.hash) co_return end(Outcome::fail, "body has changed");
    const auto key = co_await fetch_key(dns, signature.key_name());
    if (!key) co_return end(is_temporary(key.error()) ? Outcome::temperror : Outcome::permerror, key.error().detail());
    answer.bits = key->bits();
    answer.testing = key->testing();
    if (key->algorithm() != signature.algorithm) co_return end(Outcome::permerror, "key of another type");
    if (kind == Signature::Kind::dkim && key->no_subdomains() &&
        signature.identity.substr(signature.identity.rfind('@') + 1) != signature.domain)
        co_return end(Outcome::permerror, "key not for subdomains");
    const auto text = signed_text(header, signature.fields, signature.header_form, field.raw);
    if (!key->verify(text, signature.signature)) co_return end(Outcome::fail, "signature does not fit");
    answer.outcome = Outcome::pass;
    co_return answer;
}

}  // namespace poplar::screening
