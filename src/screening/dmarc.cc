#include "screening/dmarc.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "dns/record.h"
#include "screening/signature.h"
#include "screening/tag_list.h"

namespace poplar::screening {

namespace {

constexpr std::size_t kMostLabels = 8;  // a longer name is cut to seven labels behind its first question

std::optional<DmarcPolicy> policy_of(const std::string* text) {
    if (!text) return std::nullopt;
    for (const auto policy : {DmarcPolicy::none, DmarcPolicy::quarantine, DmarcPolicy::reject})
        if (ascii::same(*text, name_of(policy))) return policy;
    return std::nullopt;
}

std::string parent_of(std::string_view domain) {
    const auto labels = static_cast<std::size_t>(std::ranges::count(domain, '.')) + 1;
    const auto cut = labels >= kMostLabels ? labels - (kMostLabels - 1) : 1;
    for (std::size_t i = 0; i < cut; ++i) {
        const auto dot = domain.find('.');
        if (dot == domain.npos) return {};
        domain.remove_prefix(dot + 1);
    }
    return std::string(domain);
}

using Found = std::optional<DmarcRecord>;
using PublicSuffix = DmarcRecord::PublicSuffix;

class Check {
public:
    Check(dns::Lookup& dns, DmarcAsked asked) : dns_(dns), asked_(std::move(asked)) {}

    Task<DmarcAnswer> run() {
        auto answer = co_await judge();
        if (answer) co_return *answer;
        DmarcAnswer failed;
        failed.outcome = Outcome::temperror;
        failed.reason = answer.error().detail();
        co_return failed;
    }

private:
    struct Step {
        std::string domain;
        DmarcRecord record;
    };

    Task<Result<DmarcAnswer>> judge() {
        DmarcAnswer answer;
        auto walked = co_await walk(asked_.author);
        if (!walked) co_return pass_on(walked);
        if (walked->empty()) co_return answer;
        const auto organization = organization_of(asked_.author, *walked);
        const auto at = [&](std::string_view domain) { return std::ranges::find(*walked, domain, &Step::domain); };
        auto place = at(asked_.author);
        if (place == walked->end()) place = at(organization);
        if (place == walked->end())  // that of the public suffix above
            place = std::ranges::find(*walked, PublicSuffix::yes,
                                      [](const Step& step) { return step.record.public_suffix; });
        if (place == walked->end()) co_return answer;
        const auto& record = place->record;
        answer.policy = record.policy;
        if (place->domain != asked_.author) {
            answer.policy = record.subdomains;
            if (record.nonexistent != record.subdomains) {
                auto there = co_await exists(asked_.author);
                if (!there) co_return pass_on(there);
                if (!*there) answer.policy = record.nonexistent;
            }
        }
        bool aligned = false;
        if (!asked_.spf_domain.empty()) {
            auto fits = co_await is_aligned(asked_.spf_domain, organization, record.strict_spf);
            if (!fits) co_return pass_on(fits);
            aligned = *fits;
        }
        for (std::size_t i = 0; i < asked_.dkim_domains.size() && !aligned; ++i) {
            auto fits = co_await is_aligned(asked_.dkim_domains[i], organization, record.strict_dkim);
            if (!fits) co_return pass_on(fits);
            aligned = *fits;
        }
        const auto may_fit = [&](const std::string& domain, bool strict) {
            return domain == asked_.author || (!strict && is_below(domain, organization));
        };
        bool undecided = may_fit(asked_.undecided_spf, record.strict_spf);
        for (const auto& domain : asked_.undecided_dkim) undecided |= may_fit(domain, record.strict_dkim);
        if (!aligned && undecided) {
            answer.outcome = Outcome::temperror;
            answer.reason = "not all could be checked";
            co_return answer;
        }
        answer.outcome = aligned ? Outcome::pass : Outcome::fail;
        if (!aligned) answer.wanted = answer.policy;
        if (!aligned && record.testing && answer.wanted != DmarcPolicy::none)
            answer.wanted = answer.wanted == DmarcPolicy::reject ? DmarcPolicy::quarantine : DmarcPolicy::none;
        co_return answer;
    }

    Task<Result<bool>> is_aligned(std::string domain, std::string organization, bool strict) {
        if (domain == asked_.author) co_return true;
        // Nobody else's domain is asked for: its owner could have the DNS fail, and nothing would be decided.
        if (strict || !is_below(domain, organization)) co_return false;
        auto walked = co_await walk(domain);
        if (!walked) co_return pass_on(walked);
        co_return organization_of(domain, *walked) == organization;
    }

    /// The records at a domain and above it, the nearest first.
    Task<Result<std::vector<Step>>> walk(std::string domain) {
        std::vector<Step> found;
        for (auto name = std::move(domain); !name.empty(); name = parent_of(name)) {
            auto record = co_await record_at(name);
            if (!record) co_return pass_on(record);
            if (!*record) continue;
            found.push_back({name, **record});
            if ((*record)->public_suffix != PublicSuffix::unknown) break;
        }
        co_return found;
    }

    static std::string organization_of(const std::string& domain, const std::vector<Step>& walked) {
        if (walked.empty()) return domain;
        const auto& last = walked.back();
        if (last.record.public_suffix != PublicSuffix::yes || last.domain == domain) return last.domain;
        auto below = std::string_view(domain).substr(0, domain.size() - last.domain.size() - 1);
        return domain.substr(below.rfind('.') == below.npos ? 0 : below.rfind('.') + 1);
    }

    Task<Result<Found>> record_at(std::string domain) {
        if (const auto known = known_.find(domain); known != known_.end()) co_return known->second;
        auto answer = co_await dns_.ask("_dmarc." + domain, dns::Type::txt);
        if (!answer && answer.error().code() != Errc::invalid)
            co_return fail(answer.error().code(), fmt::format("no answer for _dmarc.{}", domain));
        Found found;
        std::size_t records = 0;
        if (answer)
            for (const auto& data : answer->records) {
                const auto text = dns::parse_txt(data);
                if (!text || !ascii::starts_with(*text, "v=DMARC1")) continue;
                if (++records == 1) found = DmarcRecord::parse(*text);
            }
        if (records > 1) found.reset();  // RFC 7489 s6.6.3: several are as none
        known_.emplace(std::move(domain), found);
        co_return found;
    }

    Task<Result<bool>> exists(std::string domain) {
        for (const auto type : {dns::Type::a, dns::Type::aaaa, dns::Type::mx}) {
            auto answer = co_await dns_.ask(domain, type);
            if (!answer && answer.error().code() != Errc::invalid) co_return pass_on(answer);
            if (answer && !answer->records.empty()) co_return true;
            if (!answer || !answer->exists) co_return false;
        }
        co_return false;
    }

    dns::Lookup& dns_;
    DmarcAsked asked_;
    std::map<std::string, Found> known_;
};

}  // namespace

std::string_view name_of(DmarcPolicy policy) {
    switch (policy) {
        case DmarcPolicy::none: return "none";
        case DmarcPolicy::quarantine: return "quarantine";
        case DmarcPolicy::reject: return "reject";
    }
    return "none";
}

// RFC 7489 s6.3, s6.6.3: a record with a policy that can't be read, but with an address for reports, only watches.
std::optional<DmarcRecord> DmarcRecord::parse(std::string_view text) {
    const auto tags = TagList::parse(text);
    if (!tags || tags->first() != "v" || tags->value("v") != "DMARC1") return std::nullopt;
    DmarcRecord record;
    const auto policy = policy_of(tags->find("p"));
    const auto subdomains = policy_of(tags->find("sp")), nonexistent = policy_of(tags->find("np"));
    const bool wrong = !policy || (tags->find("sp") && !subdomains) || (tags->find("np") && !nonexistent);
    if (wrong && !ascii::starts_with(tags->value("rua"), "mailto:")) return std::nullopt;
    if (!wrong) {
        record.policy = *policy;
        record.subdomains = subdomains.value_or(*policy);
        record.nonexistent = nonexistent.value_or(record.subdomains);
    }
    record.strict_dkim = ascii::same(tags->value("adkim"), "s");
    record.strict_spf = ascii::same(tags->value("aspf"), "s");
    record.testing = ascii::same(tags->value("t"), "y");
    if (ascii::same(tags->value("psd"), "y")) record.public_suffix = PublicSuffix::yes;
    if (ascii::same(tags->value("psd"), "n")) record.public_suffix = PublicSuffix::no;
    return record;
}

Task<DmarcAnswer> check_dmarc(dns::Lookup& dns, DmarcAsked asked) {
    Check check(dns, std::move(asked));
    co_return co_await check.run();
}

}  // namespace poplar::screening
