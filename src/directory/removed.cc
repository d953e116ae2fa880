#include "directory/removed.h"

#include "base/encoding.h"

namespace poplar::directory {

namespace {

constexpr std::string_view kPrefix = "removed/";
constexpr std::uint8_t kVersion = 1;

std::string key_of(AccountId id) { return Encoder().raw(kPrefix).u64_key(id.value).bytes(); }

std::string encode(const RemovedAccount& removed) {
    Encoder out;
    out.u8(kVersion).string(removed.address).u64(millis(removed.removed)).u64(millis(removed.expires));
    return std::move(out).bytes();
}

}  // namespace

Task<Result<RemovedAccount>> RemovedAccounts::add(AccountId id, std::string address,
                                                  std::optional<std::chrono::seconds> keep) {
    const auto now = clock_.now();
    RemovedAccount removed{id, std::move(address), now, now + keep.value_or(retention_)};
    engine::Batch batch;
    batch.put(key_of(id), encode(removed));
    auto done = co_await engine_.commit(kServerPartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return removed;
}

Task<Result<>> RemovedAccounts::forget(RemovedAccount seen) {
    for (;;) {
        auto number = co_await engine_.change_number(kServerPartition);
        if (!number) co_return pass_on(number);
        auto value = co_await engine_.get(kServerPartition, key_of(seen.id));
        if (!value && value.error().code() == Errc::not_found) co_return Result<>();
        if (!value) co_return pass_on(value);
        if (*value != encode(seen)) co_return Result<>();
        engine::Batch batch;
        batch.erase(key_of(seen.id));
        auto done = co_await engine_.commit(kServerPartition, std::move(batch), *number);
        if (done) co_return Result<>();
        if (done.error().code() != Errc::conflict) co_return pass_on(done);
    }
}

Task<Result<std::vector<RemovedAccount>>> RemovedAccounts::list(AccountId after, std::size_t limit) {
    auto range = engine::KeyRange::prefix(std::string(kPrefix));
    range.begin = key_of(AccountId(after.value + 1));
    auto entries = co_await engine_.scan(kServerPartition, std::move(range), limit);
    if (!entries) co_return pass_on(entries);
    std::vector<RemovedAccount> found;
    for (const auto entry : *entries) {
        RemovedAccount removed;
        Decoder key(entry.key.substr(kPrefix.size()));
        removed.id = AccountId(key.u64_key());
        Decoder value(entry.value);
        auto version = value.u8();
        removed.address = value.string();
        removed.removed = timestamp(value.u64());
        removed.expires = timestamp(value.u64());
        if (!key.ok() || !value.ok() || version != kVersion)
            co_return fail(Errc::corrupt, "a record of a removed account can't be read");
        found.push_back(std::move(removed));
    }
    co_return found;
}

}  // namespace poplar::directory
