#include "directory/common_script_records.h"

#include "base/encoding.h"
#include "directory/removed.h"

namespace poplar::directory {

namespace {

constexpr std::string_view kPrefix = "sieve/";
constexpr std::uint8_t kVersion = 1;

std::string key_of(std::string_view place, std::string_view name) {
    return std::string(kPrefix).append(place).append("/").append(name);
}

std::unexpected<Error> damaged() { return fail(Errc::corrupt, "a record of a common script can't be read"); }

Result<CommonScriptRecord> decode(std::string_view key, std::string_view octets) {
    CommonScriptRecord record;
    const auto named = key.substr(kPrefix.size());
    const auto slash = named.find('/');
    Decoder value(octets);
    const auto version = value.u8();
    record.modified = timestamp(value.u64());
    record.text = value.string();
    if (slash == named.npos || !value.ok() || version != kVersion) return damaged();
    record.place = named.substr(0, slash);
    record.name = named.substr(slash + 1);
    return record;
}

}  // namespace

Task<Result<std::vector<CommonScriptRecord>>> CommonScriptRecords::list() {
    constexpr std::size_t kAtOnce = 50;  // each may have as many octets as a script
    std::vector<CommonScriptRecord> found;
    auto range = engine::KeyRange::prefix(std::string(kPrefix));
    for (;;) {
        auto entries = co_await engine_.scan(kServerPartition, range, kAtOnce);
        if (!entries) co_return pass_on(entries);
        std::size_t count = 0;
        for (const auto entry : *entries) {
            ++count;
            auto record = decode(entry.key, entry.value);
            if (!record) co_return pass_on(record);
            range.begin = std::string(entry.key) + '\0';
            found.push_back(std::move(*record));
        }
        if (count < kAtOnce) co_return found;
    }
}

Task<Result<CommonScriptRecord>> CommonScriptRecords::get(std::string place, std::string name) {
    const auto key = key_of(place, name);
    auto value = co_await engine_.get(kServerPartition, key);
    if (!value) co_return pass_on(value);
    co_return decode(key, *value);
}

Task<Result<>> CommonScriptRecords::put(CommonScriptRecord record) {
    Encoder value;
    value.u8(kVersion).u64(millis(record.modified)).string(record.text);
    engine::Batch batch;
    batch.put(key_of(record.place, record.name), std::move(value).bytes());
    auto done = co_await engine_.commit(kServerPartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return Result<>();
}

Task<Result<>> CommonScriptRecords::remove(std::string place, std::string name) {
    engine::Batch batch;
    batch.erase(key_of(place, name));
    auto done = co_await engine_.commit(kServerPartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return Result<>();
}

}  // namespace poplar::directory
