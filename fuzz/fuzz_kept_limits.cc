// The stored limits of logins, of any octets: what is read comes back when it is written again.
#include "auth/kept_limits.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::auth;
    const auto limits = decode_limits(poplar::fuzz::Input(data, size).rest());
    if (!limits) {
        CHECK(limits.error().code() == poplar::Errc::corrupt);
        return 0;
    }
    const auto again = decode_limits(encode(*limits));
    CHECK(again && again->kept == limits->kept && again->limits.size() == limits->limits.size());
    for (std::size_t i = 0; i < limits->limits.size(); ++i) {
        const auto &one = limits->limits[i], &other = again->limits[i];
        CHECK(one.limit == other.limit && one.entry.key == other.entry.key &&
              one.entry.failures == other.entry.failures);
        CHECK(one.entry.age == other.entry.age && one.entry.age.count() >= 0);
        CHECK(one.entry.subject.account == other.entry.subject.account);
    }
    return 0;
}
