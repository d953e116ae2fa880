#include "activity/record.h"

#include "base/encoding.h"

namespace poplar::activity {

namespace {

constexpr std::uint8_t kVersion = 1;

}  // namespace

std::string prefix_of(std::uint32_t day) { return Encoder().u32_key(day).bytes(); }
std::string prefix_of(std::uint32_t day, AccountId account) {
    return Encoder().u32_key(day).u64_key(account.value).bytes();
}
std::string prefix_of(std::uint32_t day, AccountId account, Kind kind) {
    return Encoder().u32_key(day).u64_key(account.value).u8(static_cast<std::uint8_t>(kind)).bytes();
}
std::string key_of(std::uint32_t day, AccountId account, Kind kind, RowNumber number) {
    return Encoder().raw(prefix_of(day, account, kind)).u32_key(number).bytes();
}

RowNumber row_number(std::string_view key) {
    Decoder in(key);
    in.u32_key();
    in.u64_key();
    in.u8();
    return in.u32_key();
}

std::string encode(const Entry& entry) {
    Encoder out(96);
    out.u8(kVersion).varint(millis(entry.first)).varint(millis(entry.last)).varint(entry.times).varint(entry.messages);
    out.varint(entry.origin.device ? std::uint64_t(*entry.origin.device) + 1 : 0).string(entry.origin.device_name);
    out.string(entry.origin.peer).string(entry.origin.protocol).string(entry.detail);
    return std::move(out).bytes();
}

Result<Row> decode(std::string_view key, std::string_view value) {
    Row row;
    auto& entry = row.entry;
    Decoder name(key);
    name.u32_key();
    name.u64_key();
    entry.kind = static_cast<Kind>(name.u8());
    row.number = name.u32_key();
    entry.is_sum = row.number == kSum;
    Decoder in(value);
    const auto version = in.u8();
    entry.first = timestamp(in.varint());
    entry.last = timestamp(in.varint());
    entry.times = in.varint();
    entry.messages = in.varint();
    if (const auto device = in.varint(); device != 0) entry.origin.device = static_cast<std::uint32_t>(device - 1);
    entry.origin.device_name = in.string();
    entry.origin.peer = in.string();
    entry.origin.protocol = in.string();
    entry.detail = in.string();
    if (!name.ok() || !name.at_end() || to_string(entry.kind).empty() || !in.ok() || version != kVersion)
        return fail(Errc::corrupt, "an entry of the ledger can't be read");
    return row;
}

}  // namespace poplar::activity
