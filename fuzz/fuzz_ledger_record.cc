// Rows of the ledger, of any octets: what is read has a kind, and comes back when it is written again.
#include "activity/record.h"
#include "fuzz/check.h"

namespace poplar::activity {
namespace {

void check(std::string_view key, std::string_view value) {
    const auto row = decode(key, value);
    if (!row) {
        CHECK(row.error().code() == Errc::corrupt);
        return;
    }
    const auto& entry = row->entry;
    CHECK(!to_string(entry.kind).empty());
    CHECK(entry.is_sum == (row->number == kSum));
    const auto again = decode(key, encode(entry));
    CHECK(again && again->entry.is_same(entry) && again->number == row->number);
    CHECK(again->entry.first == entry.first && again->entry.last == entry.last);
    CHECK(again->entry.times == entry.times && again->entry.messages == entry.messages);
}

}  // namespace
}  // namespace poplar::activity

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar;
    fuzz::Input input(data, size);
    const auto kind = static_cast<activity::Kind>(input.number());
    const activity::RowNumber number = input.number() % 2 == 0 ? 0 : activity::kSum;
    activity::check(activity::key_of(20'454, activity::AccountId(1024), kind, number), input.rest());
    const auto cut = std::min<std::size_t>(input.number(), input.rest().size());
    activity::check(input.rest().substr(0, cut), input.rest().substr(cut));
    return 0;
}
