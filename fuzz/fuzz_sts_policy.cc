// MTA-STS: TXT records, policies and their records on the disk, of any octets.
#include "fuzz/check.h"
#include "outbound/sts_policy.h"
#include "outbound/sts_record.h"

namespace poplar::outbound {
namespace {

void check_policy(std::string_view text) {
    CHECK(sts_id({std::string(text)}).size() <= 32);
    if (auto kept = decode_policies(text)) {
        const auto value = encode(*kept, Timestamp(), text.size() + 1);
        auto again = decode_policies(value);
        CHECK(again);
        for (const auto& [domain, one] : *again) CHECK(kept->at(domain) == one);
    }
    auto policy = parse_sts_policy(text);
    if (!policy) return;
    CHECK(policy->hosts.size() <= kStsHosts && policy->max_age <= kStsOldest);
    CHECK(policy->mode == StsMode::none || !policy->hosts.empty());
    for (const auto& host : policy->hosts) CHECK(policy->names(host.starts_with("*.") ? "a" + host.substr(1) : host));
    KeptPolicies kept;
    kept["x.test"] = {*policy, "1", Timestamp()};
    const auto value = encode(kept, Timestamp() - std::chrono::hours(1), kStsPolicyOctets * 4);
    CHECK(*decode_policies(value) == kept);
}

}  // namespace
}  // namespace poplar::outbound

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::outbound::check_policy(poplar::fuzz::Input(data, size).rest());
    return 0;
}
