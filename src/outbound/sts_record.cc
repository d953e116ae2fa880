#include "outbound/sts_record.h"

#include <algorithm>
#include <vector>

#include "base/encoding.h"

namespace poplar::outbound {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kLatest = std::uint64_t(1) << 50;  // milliseconds since 1970; sums with it do not overflow

/// Nobody may fill a shelf with a few large policies: a domain has some hosts, and a star stands for many.
constexpr std::size_t kMostOfOne = 4u << 10;

std::string encode_one(const std::string& domain, const KeptPolicy& kept) {
    Encoder out;
    out.string(domain).string(kept.id);
    out.u64(static_cast<std::uint64_t>(kept.fetched.time_since_epoch().count()));
    out.u8(static_cast<std::uint8_t>(kept.policy.mode));
    out.varint(static_cast<std::uint64_t>(kept.policy.max_age.count()));
    out.varint(kept.policy.hosts.size());
    for (const auto& host : kept.policy.hosts) out.string(host);
    return std::move(out).bytes();
}

}  // namespace

std::string encode(const KeptPolicies& policies, Timestamp now, std::size_t limit) {
    std::vector<KeptPolicies::const_iterator> order;
    for (auto at = policies.begin(); at != policies.end(); ++at)
        if (at->second.holds_at(now)) order.push_back(at);
    std::ranges::sort(order, [](auto a, auto b) { return a->second.fetched > b->second.fetched; });
    Encoder out;
    out.u8(kVersion);
    std::size_t octets = 1;
    for (auto at : order) {
        const auto one = encode_one(at->first, at->second);
        if (one.size() > kMostOfOne || octets + one.size() > limit) continue;
        octets += one.size();
        out.raw(one);
    }
    return std::move(out).bytes();
}

Result<KeptPolicies> decode_policies(std::string_view value) {
    KeptPolicies policies;
    if (value.empty()) return policies;
    Decoder in(value);
    if (in.u8() != kVersion) return fail(Errc::corrupt, "MTA-STS policies of an unknown version");
    while (in.ok() && !in.at_end()) {
        std::string domain(in.string());
        KeptPolicy kept;
        kept.id = in.string();
        const auto fetched = in.u64();
        const auto mode = in.u8();
        const auto age = in.varint(), hosts = in.varint();
        const bool possible = fetched <= kLatest && mode <= static_cast<std::uint8_t>(StsMode::enforce) &&
                              hosts <= kStsHosts && age <= static_cast<std::uint64_t>(kStsOldest.count());
        if (!in.ok() || !possible) return fail(Errc::corrupt, "an MTA-STS policy can't be decoded");
        kept.fetched = Timestamp(std::chrono::milliseconds(fetched));
        kept.policy.mode = static_cast<StsMode>(mode);
        kept.policy.max_age = std::chrono::seconds(age);
        for (std::uint64_t i = 0; i < hosts; ++i) kept.policy.hosts.emplace_back(in.string());
        policies[std::move(domain)] = std::move(kept);
    }
    if (!in.ok()) return fail(Errc::corrupt, "an MTA-STS policy can't be decoded");
    return policies;
}

}  // namespace poplar::outbound
