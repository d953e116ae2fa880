// Evaluates SPF records.
#include "screening/spf.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "dns/record.h"
#include "mail/address.h"
#include "screening/signature.h"

namespace poplar::screening {

namespace {

constexpr int kMostQuestions = 10;      // that ask the DNS (RFC 7208 s4.6.4)
constexpr int kMostVoid = 2;            // questions without an answer
constexpr std::size_t kMostHosts = 10;  // of an mx; of a ptr

/// Ends the evaluation with an error.
struct Stop {
    Outcome outcome;
    std::string reason;
};
template <class T>
using Step = std::expected<T, Stop>;

bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > dns::kNameLimit || name.find('.') == name.npos) return false;
    while (!name.empty()) {
        const auto end = std::min(name.find('.'), name.size());
        if (end == 0 || end > 63) return false;
        name.remove_prefix(std::min(end + 1, name.size()));
    }
    return true;
}

class Evaluation {
public:
    Evaluation(dns::Lookup& dns, SpfAsked asked) : dns_(dns), address_(asked.address) {
        macros_.local = asked.local.empty() ? "postmaster" : std::move(asked.local);
        macros_.sender_domain = std::move(asked.domain);
        macros_.helo = std::move(asked.helo);
        macros_.address = address_;
    }

    Task<SpfAnswer> run() {
        auto outcome = co_await check(macros_.sender_domain);
        if (!outcome) co_return SpfAnswer{outcome.error().outcome, std::move(outcome.error().reason)};
        co_return SpfAnswer{*outcome, {}};
    }

private:
    static std::unexpected<Stop> permanent(std::string reason) {
        return std::unexpected(Stop{Outcome::permerror, std::move(reason)});
    }

    /// Answers of no use count as void where `counted`.
    Task<Step<dns::Answer>> ask(std::string name, dns::Type type, bool counted) {
        auto answer = co_await dns_.ask(name, type);
        if (!answer && answer.error().code() != Errc::invalid)
            co_return std::unexpected(Stop{Outcome::temperror, fmt::format("no answer for {}", name)});
        dns::Answer found;
        if (answer) found = std::move(*answer);
        if (found.records.empty() && counted && ++void_ > kMostVoid)
            co_return permanent("too many names without an answer");
        co_return found;
    }

    Task<Step<Outcome>> check(std::string domain) {
        if (!is_host_name(domain)) co_return Outcome::none;
        auto answer = co_await ask(domain, dns::Type::txt, false);
        if (!answer) co_return std::unexpected(std::move(answer.error()));
        std::optional<std::string> text;
        for (const auto& record : answer->records) {
            auto one = dns::parse_txt(record);
            if (!one || !SpfRecord::is_one(*one)) continue;
            if (text) co_return permanent(fmt::format("{} has several SPF records", domain));
            text = std::move(one);
        }
        if (!text) co_return Outcome::none;
        auto record = SpfRecord::parse(*text);
        if (!record) co_return permanent(record.error().detail());
        for (const auto& mechanism : record->mechanisms) {
            auto matched = co_await match(mechanism, domain);
            if (!matched) co_return std::unexpected(std::move(matched.error()));
            if (*matched) co_return mechanism.qualifier;
        }
        if (!record->redirect) co_return Outcome::neutral;
        if (auto counted = count(); !counted) co_return std::unexpected(std::move(counted.error()));
        auto target = co_await target_of(*record->redirect, domain);
        if (!target) co_return std::unexpected(std::move(target.error()));
        auto outcome = co_await check(*target);
        if (outcome && *outcome == Outcome::none) co_return permanent(fmt::format("{} has no SPF record", *target));
        co_return outcome;
    }

    Step<int> count() {
        if (++terms_ > kMostQuestions) return permanent("too many terms that ask the DNS");
        return 0;
    }

    Task<Step<std::string>> target_of(std::string spec, std::string domain) {
        if (spec.empty()) co_return domain;
        macros_.domain = domain;
        if (needs_validated_name(spec)) {
            auto names = co_await validated_names(domain);
            macros_.validated = names.empty() ? "unknown" : names.front();
        }
        auto target = expand_macros(spec, macros_);
        if (!target) co_return permanent(target.error().detail());
        co_return ascii::to_lower(*target);
    }

    Task<Step<bool>> match(SpfMechanism mechanism, std::string domain) {
        using Kind = SpfMechanism::Kind;
        if (mechanism.kind == Kind::all) co_return true;
        if (mechanism.kind == Kind::ip4) co_return address_.is_in(mechanism.network, mechanism.prefix4);
        if (mechanism.kind == Kind::ip6) co_return address_.is_in(mechanism.network, mechanism.prefix6);
        if (auto counted = count(); !counted) co_return std::unexpected(std::move(counted.error()));
        auto target = co_await target_of(mechanism.domain, domain);
        if (!target) co_return std::unexpected(std::move(target.error()));
        switch (mechanism.kind) {
            case Kind::include: co_return co_await match_include(std::move(*target));
            case Kind::a: co_return co_await has_address(std::move(*target), mechanism);
            case Kind::mx: co_return co_await match_mx(std::move(*target), mechanism);
            case Kind::ptr: co_return co_await match_ptr(std::move(*target));
            default: co_return co_await match_exists(std::move(*target));
        }
    }

    // RFC 7208 s5.2.
    Task<Step<bool>> match_include(std::string target) {
        auto outcome = co_await check(target);
        if (!outcome) co_return std::unexpected(std::move(outcome.error()));
        if (*outcome == Outcome::none) co_return permanent(fmt::format("{} has no SPF record", target));
        co_return *outcome == Outcome::pass;
    }

    Task<Step<bool>> has_address(std::string name, SpfMechanism mechanism, bool counted = true) {
        auto answer = co_await ask(name, address_.v6 ? dns::Type::aaaa : dns::Type::a, counted);
        if (!answer) co_return std::unexpected(std::move(answer.error()));
        const auto prefix = address_.v6 ? mechanism.prefix6 : mechanism.prefix4;
        for (const auto& record : answer->records) {
            const auto text = dns::parse_address(record);
            const auto address = text ? IpAddress::parse(*text) : std::nullopt;
            if (address && address_.is_in(*address, prefix)) co_return true;
        }
        co_return false;
    }

    Task<Step<bool>> match_mx(std::string target, SpfMechanism mechanism) {
        auto answer = co_await ask(target, dns::Type::mx, true);
        if (!answer) co_return std::unexpected(std::move(answer.error()));
        if (answer->records.size() > kMostHosts) co_return permanent(fmt::format("{} has too many MX hosts", target));
        for (const auto& record : answer->records) {
            const auto mx = dns::parse_mx(record);
            if (!mx || mx->host.empty()) continue;
            auto matched = co_await has_address(mx->host, mechanism, false);
            if (!matched || *matched) co_return matched;
        }
        co_return false;
    }

    /// Names of the client that lead to its address; those of `domain` come first (RFC 7208 s5.5, s7.3). A failure of
    /// the DNS is no error here, but no name.
    Task<std::vector<std::string>> validated_names(std::string domain) {
        std::vector<std::string> names;
        auto answer = co_await dns_.ask(address_.reverse_name(), dns::Type::ptr);
        if (!answer) co_return names;
        std::size_t tried = 0;
        for (const auto& record : answer->records) {
            if (++tried > kMostHosts) break;
            const auto name = dns::parse_name(record);
            if (!name || name->empty()) continue;
            auto matched = co_await has_address(*name, SpfMechanism(), false);
            if (matched && *matched) names.push_back(*name);
        }
        const auto first = std::ranges::find_if(names, [&](const auto& name) { return is_below(name, domain); });
        if (first != names.end()) std::rotate(names.begin(), first, first + 1);
        co_return names;
    }

    Task<Step<bool>> match_ptr(std::string target) {
        const auto names = co_await validated_names(target);
        co_return std::ranges::any_of(names, [&](const auto& name) { return is_below(name, target); });
    }

    // RFC 7208 s5.7: an A record, whatever the client's family is.
    Task<Step<bool>> match_exists(std::string target) {
        auto answer = co_await ask(std::move(target), dns::Type::a, true);
        if (!answer) co_return std::unexpected(std::move(answer.error()));
        co_return !answer->records.empty();
    }

    dns::Lookup& dns_;
    IpAddress address_;
    SpfMacros macros_;
    int terms_ = 0, void_ = 0;
};

}  // namespace

Task<SpfAnswer> check_spf(dns::Lookup& dns, SpfAsked asked) {
    Evaluation evaluation(dns, std::move(asked));
    co_return co_await evaluation.run();
}

}  // namespace poplar::screening
