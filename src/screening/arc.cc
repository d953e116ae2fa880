#include "screening/arc.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "mail/address.h"
#include "screening/signature.h"
#include "screening/tag_list.h"

namespace poplar::screening {

namespace {

constexpr std::uint32_t kMostInstances = 50;  // RFC 8617 s4.2.1
constexpr std::size_t kMostFields = 100;      // of one name that a link signs

/// The fields of one instance.
struct Set {
    const Header::Field *results = nullptr, *message = nullptr, *seal = nullptr;
    bool complete() const { return results && message && seal; }
};

struct Seal {
    std::string verdict, domain, selector, signature;
    Algorithm algorithm = Algorithm::rsa_sha256;
};

std::optional<std::uint32_t> instance_in(const TagList& tags) {
    const auto number = parse_count(tags.value("i"));
    if (!number || *number == 0 || *number > kMostInstances) return std::nullopt;
    return static_cast<std::uint32_t>(*number);
}

/// "i=1; host; spf=pass ..." as 1 and what follows.
std::optional<std::pair<std::uint32_t, std::string_view>> split_results(std::string_view value) {
    const auto end = value.find(';');
    if (end == value.npos) return std::nullopt;
    const auto tags = TagList::parse(value.substr(0, end));
    const auto instance = tags ? instance_in(*tags) : std::nullopt;
    if (!instance) return std::nullopt;
    return std::pair(*instance, value.substr(end + 1));
}

/// Nothing: some field can't be read, stands twice, or there are too many.
std::optional<std::vector<Set>> collect(const Header& header) {
    std::vector<Set> sets;
    const auto put = [&](std::optional<std::uint32_t> instance, const Header::Field* Set::* which,
                         const Header::Field& field) {
        if (!instance) return false;
        if (sets.size() < *instance) sets.resize(*instance);
        auto& place = sets[*instance - 1].*which;
        if (place) return false;
        place = &field;
        return true;
    };
    for (const auto at : header.named("arc-authentication-results")) {
        const auto& field = header.fields()[at];
        const auto parts = split_results(field.value());
        if (!put(parts ? std::optional(parts->first) : std::nullopt, &Set::results, field)) return std::nullopt;
    }
    for (const auto& [name, which] :
         {std::pair{"arc-message-signature", &Set::message}, std::pair{"arc-seal", &Set::seal}})
        for (const auto at : header.named(name)) {
            const auto& field = header.fields()[at];
            const auto tags = TagList::parse(field.value());
            if (!put(tags ? instance_in(*tags) : std::nullopt, which, field)) return std::nullopt;
        }
    return sets;
}

std::optional<Seal> parse_seal(std::string_view value) {
    const auto tags = TagList::parse(value);
    if (!tags || tags->find("h")) return std::nullopt;  // RFC 8617 s4.1.3
    Seal seal;
    const auto signature = decode_base64(tags->value("b"));
    const auto domain = mail::canonical_domain(tags->value("d"));
    const auto algorithm = tags->value("a");
    if (!signature || signature->empty() || !domain || !is_selector(tags->value("s"))) return std::nullopt;
    if (algorithm == name_of(Algorithm::ed25519_sha256))
        seal.algorithm = Algorithm::ed25519_sha256;
    else if (algorithm != name_of(Algorithm::rsa_sha256))
        return std::nullopt;
    seal.signature = *signature;
    seal.domain = *domain;
    seal.selector = tags->value("s");
    seal.verdict = tags->value("cv");
    return seal;
}

/// The text that a seal signs: all sets up to its own (RFC 8617 s5.1.1).
std::string sealed_text(const std::vector<Set>& sets, std::size_t first, std::size_t last) {
    std::string text;
    for (auto i = first; i <= last; ++i) {
        text += canonical_field(sets[i].results->raw, Canonical::relaxed);
        text += canonical_field(sets[i].message->raw, Canonical::relaxed);
        if (i < last) text += canonical_field(sets[i].seal->raw, Canonical::relaxed);
    }
    auto own = canonical_field(without_signature(sets[last].seal->raw), Canonical::relaxed);
    own.resize(own.size() - 2);
    return text + own;
}

}  // namespace

Task<ArcAnswer> verify_arc(dns::Lookup& dns, const Header& header, const HashedBodies& bodies, Timestamp now) {
    ArcAnswer answer;
    const auto end = [&](Outcome outcome, std::string reason) {
        answer.outcome = outcome;
        answer.reason = std::move(reason);
        return answer;
    };
    const auto sets = collect(header);
    if (sets && sets->empty()) co_return answer;
    if (!sets) {
        answer.instances = kMostInstances;
        answer.sealed_as_failed = true;
        co_return end(Outcome::fail, "chain can't be read");
    }
    const auto count = sets->size();
    answer.instances = static_cast<std::uint32_t>(count);
    std::vector<Seal> seals;
    for (std::size_t i = 0; i < count; ++i) {
        if (!(*sets)[i].complete()) co_return end(Outcome::fail, fmt::format("set {} is not complete", i + 1));
        auto seal = parse_seal((*sets)[i].seal->value());
        if (!seal) co_return end(Outcome::fail, fmt::format("seal {} can't be read", i + 1));
        seals.push_back(std::move(*seal));
    }
    answer.sealer = seals.back().domain;
    if (const auto parts = split_results(sets->back().results->value())) answer.results = parts->second;
    if (seals.back().verdict == "fail") {
        answer.sealed_as_failed = true;
        co_return end(Outcome::fail, "sealed as broken");
    }
    for (std::size_t i = 0; i < count; ++i)
        if (seals[i].verdict != (i == 0 ? "none" : "pass"))
            co_return end(Outcome::fail, fmt::format("seal {} does not say that the chain was whole", i + 1));
    const auto newest =
        co_await verify_signature(dns, header, *sets->back().message, Signature::Kind::arc, bodies, now);
    if (newest.outcome == Outcome::temperror) co_return end(Outcome::temperror, newest.reason);
    if (newest.outcome != Outcome::pass) co_return end(Outcome::fail, "message: " + newest.reason);
    for (auto i = count; i-- > 0;) {
        const auto& seal = seals[i];
        const auto key = co_await fetch_key(dns, seal.selector + "._domainkey." + seal.domain);
        if (!key && key.error().code() != Errc::invalid && key.error().code() != Errc::not_found)
            co_return end(Outcome::temperror, key.error().detail());
        if (!key) co_return end(Outcome::fail, fmt::format("seal {}: {}", i + 1, key.error().detail()));
        if (key->algorithm() != seal.algorithm || !key->verify(sealed_text(*sets, 0, i), seal.signature))
            co_return end(Outcome::fail, fmt::format("seal {} does not fit", i + 1));
    }
    answer.outcome = Outcome::pass;
    co_return answer;
}

std::string seal_arc(const Header& header, const ArcAnswer& chain, const Signer& signer, std::string_view results,
                     const std::string& body, Timestamp now) {
    // A failure of the DNS is no verdict; without one no link can be added.
    if (chain.sealed_as_failed || chain.instances >= kMostInstances || chain.outcome == Outcome::temperror ||
        signer.keys.empty())
        return {};
    const bool failed = chain.outcome == Outcome::fail;
    auto before = collect(header);
    if (!before) return {};
    // RFC 8617 s4.1.2: the fields of the chain are the seal's; Authentication-Results may be taken out on the way.
    constexpr std::array kNames = {
        "from",          "reply-to",   "to",           "cc",           "subject",
        "date",          "message-id", "sender",       "list-id",      "list-unsubscribe",
        "in-reply-to",   "references", "mime-version", "content-type", "content-transfer-encoding",
        "dkim-signature"};
    std::string names;
    for (const auto* name : kNames)
        for (std::size_t i = 0; i < std::min(header.named(name).size(), kMostFields); ++i)
            names.append(names.empty() ? "" : ":").append(name);
    const auto& key = *signer.keys.front();  // RSA: verifiers of ARC know no other
    const auto instance = std::to_string(chain.instances + 1);
    const auto time = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
    const std::string algorithm(name_of(key.key.algorithm()));
    const auto results_field = fmt::format("ARC-Authentication-Results: i={}; {}\r\n", instance, results);
    std::vector<std::pair<std::string, std::string>> tags = {{"i", instance},
                                                             {"a", algorithm},
                                                             {"c", "relaxed/relaxed"},
                                                             {"d", signer.domain},
                                                             {"s", key.selector},
                                                             {"t", time},
                                                             {"h", names},
                                                             {"bh", encode_base64(body)},
                                                             {"b", ""}};
    auto message = format_tags("ARC-Message-Signature", tags);
    tags.back().second =
        encode_base64(key.key.sign(signed_text(header, split(names, ':'), Canonical::relaxed, message)));
    message = format_tags("ARC-Message-Signature", tags);
    const auto* verdict = failed ? "fail" : chain.instances == 0 ? "none" : "pass";
    tags = {{"i", instance},     {"a", algorithm}, {"cv", verdict}, {"d", signer.domain},
            {"s", key.selector}, {"t", time},      {"b", ""}};
    auto seal = format_tags("ARC-Seal", tags);
    const Header own(results_field + message + seal);
    Set set{&own.fields()[0], &own.fields()[1], &own.fields()[2]};
    before->push_back(set);
    // RFC 8617 s5.1.2: of a broken chain the seal covers its own set alone.
    const auto last = before->size() - 1;
    tags.back().second = encode_base64(key.key.sign(sealed_text(*before, failed ? last : 0, last)));
    return format_tags("ARC-Seal", tags) + message + results_field;
}

}  // namespace poplar::screening
