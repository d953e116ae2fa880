#include "delivery/signing.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "mail/address.h"

namespace poplar::delivery {

namespace {

constexpr std::string_view kSecond = "-ed25519";  // the end of the selector of a pair's second key
constexpr std::size_t kLongestSelector = 50;      // so that the second one is a label of the DNS (RFC 1035 s2.3.4)

Result<std::string> domain_of(const std::string& text) {
    auto domain = mail::canonical_domain(text);
    if (!domain) return fail(Errc::invalid, fmt::format("\"{}\" is no domain", text));
    return domain;
}

bool is_label(std::string_view text) {
    return !text.empty() && text.size() <= kLongestSelector && text.front() != '-' && text.back() != '-' &&
           std::ranges::all_of(text, [](char c) { return ascii::is_alnum(c) || c == '-'; });
}

std::string today(Timestamp now) {
    return fmt::format("p{:%Y%m%d}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
}

Result<SigningKeyInfo> info_of(const directory::SigningKeyRecord& record) {
    auto key = screening::PrivateKey::load(record.private_key);
    if (!key) return pass_on(key);
    return SigningKeyInfo{record.domain, record.selector, std::string(name_of(key->algorithm())),
                          key->record(), record.created,  record.from};
}

}  // namespace

void SigningStore::use(const std::string& domain, const std::vector<directory::SigningKeyRecord>& all) {
    std::vector<screening::SigningKey> keys;
    for (const auto& record : all)
        if (record.domain == domain)
            if (auto key = screening::PrivateKey::load(record.private_key))
                keys.push_back({record.selector, record.from, std::move(*key)});
    ring_.set(domain, std::move(keys));
}

Task<Result<std::size_t>> SigningStore::load() {
    auto all = co_await records_.list();
    if (!all) co_return pass_on(all);
    std::size_t unreadable = 0;
    std::vector<directory::SigningKeyRecord> some;  // of one domain: they stand together
    for (auto& record : *all) {
        if (!screening::PrivateKey::load(record.private_key)) {
            ++unreadable;
            continue;
        }
        if (!some.empty() && some.front().domain != record.domain) {
            use(some.front().domain, some);
            some.clear();
        }
        some.push_back(std::move(record));
    }
    if (!some.empty()) use(some.front().domain, some);
    co_return unreadable;
}

Task<Result<std::vector<SigningKeyInfo>>> SigningStore::add(std::string name, std::optional<std::string> selector,
                                                            std::chrono::seconds from_in) {
    auto domain = domain_of(name);
    if (!domain) co_return pass_on(domain);
    const auto now = std::chrono::floor<std::chrono::seconds>(clock_.now());
    auto all = co_await records_.list();
    if (!all) co_return pass_on(all);
    const auto taken = [&](const std::string& wanted) {
        return std::ranges::any_of(*all, [&](const auto& one) {
            return one.domain == *domain && (one.selector == wanted || one.selector == wanted + std::string(kSecond));
        });
    };
    auto wanted = ascii::to_lower(selector.value_or(today(now)));
    if (!is_label(wanted))
        co_return fail(Errc::invalid, fmt::format("\"{}\" is no selector: letters, digits and hyphens, at most {}",
                                                  wanted, kLongestSelector));
    for (int i = 2; !selector && taken(wanted) && i < 100; ++i) wanted = fmt::format("{}-{}", today(now), i);
    if (taken(wanted)) co_return fail(Errc::exists, fmt::format("{} has a key {} already", *domain, wanted));
    std::vector<directory::SigningKeyRecord> made;
    for (const auto algorithm : {screening::Algorithm::rsa_sha256, screening::Algorithm::ed25519_sha256}) {
        const bool second = algorithm == screening::Algorithm::ed25519_sha256;
        made.push_back({*domain, wanted + std::string(second ? kSecond : ""), now, now + from_in,
                        screening::PrivateKey::make(algorithm).der()});
    }
    if (auto stored = co_await records_.put(made); !stored) co_return pass_on(stored);
    std::vector<SigningKeyInfo> infos;
    for (const auto& one : made) infos.push_back(*info_of(one));
    std::ranges::move(made, std::back_inserter(*all));
    use(*domain, *all);
    co_return infos;
}

Task<Result<std::vector<SigningKeyInfo>>> SigningStore::list(std::string name) {
    Result<std::string> domain = std::string();
    if (!name.empty()) domain = domain_of(name);
    if (!domain) co_return pass_on(domain);
    auto all = co_await records_.list();
    if (!all) co_return pass_on(all);
    std::vector<SigningKeyInfo> infos;
    for (const auto& record : *all) {
        if (!domain->empty() && record.domain != *domain) continue;
        auto info = info_of(record);
        if (!info) co_return pass_on(info);
        infos.push_back(std::move(*info));
    }
    co_return infos;
}

Task<Result<std::size_t>> SigningStore::remove(std::string name, std::optional<std::string> selector) {
    auto domain = domain_of(name);
    if (!domain) co_return pass_on(domain);
    auto all = co_await records_.list();
    if (!all) co_return pass_on(all);
    std::vector<std::string> selectors;
    const auto wanted = ascii::to_lower(selector.value_or(""));
    for (const auto& one : *all)
        if (one.domain == *domain &&
            (!selector || one.selector == wanted || one.selector == wanted + std::string(kSecond)))
            selectors.push_back(one.selector);
    if (selectors.empty()) co_return fail(Errc::not_found, fmt::format("{} has no such key", *domain));
    if (auto removed = co_await records_.remove(*domain, selectors); !removed) co_return pass_on(removed);
    std::erase_if(*all, [&](const auto& one) {
        return one.domain == *domain && std::ranges::find(selectors, one.selector) != selectors.end();
    });
    use(*domain, *all);
    co_return selectors.size();
}

}  // namespace poplar::delivery
