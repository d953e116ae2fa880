#include "directory/signing_keys.h"

#include "base/encoding.h"
#include "directory/removed.h"

namespace poplar::directory {

namespace {

constexpr std::string_view kPrefix = "dkim/";
constexpr std::uint8_t kVersion = 1;

std::string key_of(std::string_view domain, std::string_view selector) {
    return std::string(kPrefix).append(domain).append("/").append(selector);
}

}  // namespace

Task<Result<std::vector<SigningKeyRecord>>> SigningKeys::list() {
    constexpr std::size_t kAtOnce = 1000;
    std::vector<SigningKeyRecord> found;
    auto range = engine::KeyRange::prefix(std::string(kPrefix));
    for (;;) {
        auto entries = co_await engine_.scan(kServerPartition, range, kAtOnce);
        if (!entries) co_return pass_on(entries);
        std::size_t count = 0;
        for (const auto entry : *entries) {
            ++count;
            SigningKeyRecord record;
            const auto name = entry.key.substr(kPrefix.size());
            const auto slash = name.find('/');
            Decoder value(entry.value);
            const auto version = value.u8();
            record.created = timestamp(value.u64());
            record.from = timestamp(value.u64());
            record.private_key = value.string();
            if (slash == name.npos || !value.ok() || version != kVersion)
                co_return fail(Errc::corrupt, "a record of a signing key can't be read");
            record.domain = name.substr(0, slash);
            record.selector = name.substr(slash + 1);
            range.begin = std::string(entry.key) + '\0';
            found.push_back(std::move(record));
        }
        if (count < kAtOnce) co_return found;
    }
}

Task<Result<>> SigningKeys::put(std::vector<SigningKeyRecord> keys) {
    engine::Batch batch;
    for (const auto& key : keys) {
        Encoder value;
        value.u8(kVersion).u64(millis(key.created)).u64(millis(key.from)).string(key.private_key);
        batch.put(key_of(key.domain, key.selector), std::move(value).bytes());
    }
    auto done = co_await engine_.commit(kServerPartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return Result<>();
}

Task<Result<>> SigningKeys::remove(std::string domain, std::vector<std::string> selectors) {
    engine::Batch batch;
    for (const auto& selector : selectors) batch.erase(key_of(domain, selector));
    auto done = co_await engine_.commit(kServerPartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return Result<>();
}

}  // namespace poplar::directory
