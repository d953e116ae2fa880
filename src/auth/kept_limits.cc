#include "auth/kept_limits.h"

#include <algorithm>

#include "base/encoding.h"

namespace poplar::auth {

namespace {

constexpr std::uint8_t kVersion = 1;
using std::chrono::milliseconds;

}  // namespace

std::string encode(const KeptLimits& limits) {
    Encoder out;
    out.u8(kVersion).varint(static_cast<std::uint64_t>(limits.kept.time_since_epoch().count()));
    for (const auto& [limit, entry] : limits.limits) {
        const auto age = std::max(std::chrono::duration_cast<milliseconds>(entry.age), milliseconds(0));
        out.string(limit).u64(entry.key).varint(entry.failures).varint(static_cast<std::uint64_t>(age.count()));
        out.string(entry.subject.account).string(entry.subject.peer);
    }
    return std::move(out).bytes();
}

Result<KeptLimits> decode_limits(std::string_view octets) {
    // So that they can be counted with, in nanoseconds, too.
    constexpr std::uint64_t kLatest = 1'000ULL * 366 * 24 * 3600 * 1000, kLongest = kLatest / 10;
    KeptLimits limits;
    Decoder in(octets);
    const auto version = in.u8();
    limits.kept = Timestamp(milliseconds(std::min(in.varint(), kLatest)));
    while (in.ok() && !in.at_end()) {
        KeptLimits::One one;
        one.limit = in.string();
        one.entry.key = in.u64();
        one.entry.failures = static_cast<std::uint32_t>(std::min<std::uint64_t>(in.varint(), 0xffff'ffff));
        one.entry.age = milliseconds(std::min(in.varint(), kLongest));
        one.entry.subject.account = in.string();
        one.entry.subject.peer = in.string();
        if (in.ok()) limits.limits.push_back(std::move(one));
    }
    if (!in.ok() || version != kVersion) return fail(Errc::corrupt, "the limits of logins can't be read");
    return limits;
}

}  // namespace poplar::auth
