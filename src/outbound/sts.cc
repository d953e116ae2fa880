#include "outbound/sts.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "dns/record.h"
#include "outbound/hosts.h"

namespace poplar::outbound {

namespace {

using namespace std::chrono_literals;

constexpr auto kAskEvery = 1min;
constexpr auto kFetchAgain = 5min;                // RFC 8461 s3.3
constexpr std::size_t kShelfOctets = 256u << 10;  // of the disk; there are 64 shelves
constexpr std::size_t kMostAsked = 10'000;        // domains in memory that were asked for lately

Task<Result<std::vector<std::string>>> resolve(dns::Lookup& dns, std::string host) {
    auto found = co_await addresses_of(dns, std::move(host));
    if (!found) co_return fail(Errc::io, found.error().text);
    co_return std::move(found->all);
}

std::string record_name(std::size_t shelf) { return fmt::format("mta-sts/{:02}", shelf); }

std::size_t shelf_number(const std::string& domain, std::size_t shelves) { return crc32c(domain) % shelves; }

}  // namespace

bool StsPolicies::asked_lately(const std::string& domain) {
    const auto found = asked_.find(domain);
    return found != asked_.end() && found->second > SteadyClock::now();
}

void StsPolicies::note_asked(const std::string& domain, SteadyClock::duration quiet) {
    const auto now = SteadyClock::now();
    if (asked_.size() >= kMostAsked) std::erase_if(asked_, [&](const auto& one) { return one.second <= now; });
    if (asked_.size() >= kMostAsked) asked_.clear();
    asked_[domain] = now + quiet;
}

/// Null: it can't be read.
Task<KeptPolicies*> StsPolicies::shelf_of(std::string domain) {
    const auto number = shelf_number(domain, shelves_.size());
    auto& shelf = shelves_[number];
    if (shelf) co_return &*shelf;
    auto value = co_await records_.get(record_name(number));
    auto policies = value ? decode_policies(*value) : Result<KeptPolicies>(pass_on(value));
    if (shelf) co_return &*shelf;  // somebody else was quicker
    if (!policies) {
        log::error("outbound.trouble", {{"what", "reading MTA-STS policies"},
                                        {"error", to_string(policies.error().code())},
                                        {"reason", policies.error().detail()}});
        // A damaged policy is fetched anew; one that can't be read now is read later.
        if (policies.error().code() != Errc::corrupt) co_return nullptr;
        policies = KeptPolicies();
    }
    shelf = std::move(*policies);
    co_return &*shelf;
}

StsPolicy StsPolicies::kept_of(const KeptPolicies* shelf, const std::string& domain) const {
    if (!shelf) return {};
    const auto found = shelf->find(domain);
    if (found == shelf->end() || !found->second.holds_at(clock_.now())) return {};
    return found->second.policy;
}

Task<StsPolicy> StsPolicies::policy_of(std::string domain) {
    auto* shelf = co_await shelf_of(domain);
    if (asked_lately(domain)) co_return kept_of(shelf, domain);
    auto answer = co_await dns_.ask("_mta-sts." + domain, dns::Type::txt);
    note_asked(domain, kAskEvery);
    // RFC 8461 s3.1, s5.1: without a record a policy that is kept holds until its time is over.
    if (!answer) co_return kept_of(shelf, domain);
    std::vector<std::string> texts;
    for (const auto& record : answer->records)
        if (auto text = dns::parse_txt(record)) texts.push_back(std::move(*text));
    const auto id = sts_id(texts);
    if (id.empty()) co_return kept_of(shelf, domain);
    if (shelf) {
        const auto found = shelf->find(domain);
        const auto half_way = [&] { return found->second.fetched + found->second.policy.max_age / 2; };
        // Fetched anew long before it ends (s3.3): a fetch that fails must not leave the domain without.
        if (found != shelf->end() && found->second.id == id && clock_.now() < half_way())
            co_return found->second.policy;
    }
    auto fetched = co_await fetch(domain);
    if (!fetched) {
        note_asked(domain, kFetchAgain);
        log::warning("outbound.sts_unfetched", {{"domain", domain}, {"reason", fetched.error().detail()}});
        co_return kept_of(shelf, domain);
    }
    log::info("outbound.sts_policy", {{"domain", domain}, {"mode", to_string(fetched->mode)}, {"policy", id}});
    co_await keep(domain, {*fetched, id, clock_.now()});
    co_return std::move(*fetched);
}

// RFC 8461 s3.3: HTTPS, no redirects, text/plain, at most 64 KB; the certificate has to be that of the policy's host.
Task<Result<StsPolicy>> StsPolicies::fetch(std::string domain) {
    auto url = http::parse_url(fmt::format("https://mta-sts.{}/.well-known/mta-sts.txt", domain));
    if (!url) co_return pass_on(url);
    auto origin = http::Origin::at_url(*url, options_.ca_file);
    if (!origin) co_return pass_on(origin);
    http::ClientOptions terms{.timeout = options_.policy_timeout, .answer_octets = kStsPolicyOctets};
    terms.resolve = [this](std::string host) { return resolve(dns_, std::move(host)); };
    http::Client client(executor_, std::move(*origin), std::move(terms));
    http::ClientRequest request;
    request.target = url->target;
    if (stopped_) co_return fail(Errc::cancelled, "the server is stopping");
    fetching_.insert(&client);
    auto reply = co_await client.ask(std::move(request));
    fetching_.erase(&client);
    if (!reply) co_return pass_on(reply);
    if (reply->status != 200) co_return fail(Errc::invalid, fmt::format("{} answers {}", url->host, reply->status));
    const auto type = std::string_view(reply->content_type);
    if (!ascii::same(ascii::trim(type.substr(0, type.find(';'))), "text/plain"))
        co_return fail(Errc::invalid, fmt::format("what {} gives is no text/plain", url->host));
    co_return parse_sts_policy(reply->body);
}

void StsPolicies::stop() {
    stopped_ = true;
    for (auto* one : fetching_) one->cut();
}

Task<> StsPolicies::keep(std::string domain, KeptPolicy policy) {
    auto* shelf = co_await shelf_of(domain);
    if (!shelf) co_return;
    (*shelf)[domain] = std::move(policy);
    const auto number = shelf_number(domain, shelves_.size());
    auto value = encode(*shelf, clock_.now(), kShelfOctets);
    *shelf = decode_policies(value).value_or(KeptPolicies());  // memory holds what the disk does
    auto kept = co_await records_.put(record_name(number), std::move(value));
    if (!kept)
        log::error("outbound.trouble", {{"what", "keeping an MTA-STS policy"},
                                        {"error", to_string(kept.error().code())},
                                        {"reason", kept.error().detail()}});
}

}  // namespace poplar::outbound
