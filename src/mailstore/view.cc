#include "mailstore/view.h"

#include <algorithm>

#include "base/encoding.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

namespace {

constexpr std::uint8_t kVersion = 1;

std::uint64_t millis(Timestamp time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
Timestamp timestamp(std::uint64_t value) {
    return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(value)));
}

OrderKey next(OrderKey order) { return OrderKey(order.value + 1); }

/// The first range that ends at `order` or behind it.
auto first_behind(auto& ranges, OrderKey order) {
    return std::ranges::lower_bound(ranges, order, {}, &OrderRange::last);
}

}  // namespace

const OrderRange* OrderRanges::range_with(OrderKey order) const {
    const auto found = first_behind(ranges_, order);
    return found != ranges_.end() && found->first <= order ? &*found : nullptr;
}

bool OrderRanges::add(OrderKey order) {
    auto behind = first_behind(ranges_, order);
    if (behind != ranges_.end() && behind->first <= order) return false;
    const bool joins_behind = behind != ranges_.end() && next(order) == behind->first;
    const bool joins_before = behind != ranges_.begin() && next(std::prev(behind)->last) == order;
    if (joins_before && joins_behind) {
        std::prev(behind)->last = behind->last;
        ranges_.erase(behind);
    } else if (joins_before) {
        std::prev(behind)->last = order;
    } else if (joins_behind) {
        behind->first = order;
    } else {
        ranges_.insert(behind, {order, order});
    }
    return true;
}

std::vector<OrderKey> OrderRanges::add(const std::vector<OrderKey>& orders) {
    std::vector<OrderKey> added;
    std::vector<OrderRange> merged;
    merged.reserve(ranges_.size() + orders.size());
    auto take = [&merged](OrderRange range) {
        if (!merged.empty() && next(merged.back().last) >= range.first)
            merged.back().last = std::max(merged.back().last, range.last);
        else
            merged.push_back(range);
    };
    auto range = ranges_.begin();
    for (auto order : orders) {
        for (; range != ranges_.end() && range->first <= order; ++range) take(*range);
        if (!merged.empty() && merged.back().last >= order) continue;
        take({order, order});
        added.push_back(order);
    }
    for (; range != ranges_.end(); ++range) take(*range);
    ranges_ = std::move(merged);
    return added;
}

bool OrderRanges::touches(OrderKey order) const {
    const auto behind = first_behind(ranges_, order);
    return (behind != ranges_.end() && behind->first == next(order)) ||
           (behind != ranges_.begin() && next(std::prev(behind)->last) == order);
}

void OrderRanges::fill(OrderRange gap) {
    const auto behind = first_behind(ranges_, gap.last);
    behind->first = gap.first;
    if (behind == ranges_.begin() || next(std::prev(behind)->last) != gap.first) return;
    behind->first = std::prev(behind)->first;
    ranges_.erase(std::prev(behind));
}

bool OrderRanges::remove(OrderKey order) {
    auto found = first_behind(ranges_, order);
    if (found == ranges_.end() || found->first > order) return false;
    const auto range = *found;
    if (range.first == order && range.last == order) {
        ranges_.erase(found);
    } else if (range.first == order) {
        found->first = next(order);
    } else if (range.last == order) {
        found->last = OrderKey(order.value - 1);
    } else {
        found->last = OrderKey(order.value - 1);
        ranges_.insert(std::next(found), {next(order), range.last});
    }
    return true;
}

OrderRanges OrderRanges::operator&(const OrderRanges& other) const {
    OrderRanges both;
    for (auto a = ranges_.begin(), b = other.ranges_.begin(); a != ranges_.end() && b != other.ranges_.end();) {
        const auto first = std::max(a->first, b->first), last = std::min(a->last, b->last);
        if (first <= last) both.ranges_.push_back({first, last});
        a->last < b->last ? ++a : ++b;
    }
    return both;
}

bool ViewRecord::hide(const std::vector<StoredMessage>& messages) {
    std::vector<OrderKey> orders;
    for (const auto& message : messages) orders.push_back(message.order);
    const auto added = hidden.add(orders);
    auto message = messages.begin();
    for (auto order : added) {
        while (message->order != order) ++message;
        count_in(hidden_totals, static_cast<const Message&>(*message));
    }
    changes += added.size();
    return !added.empty();
}

void ViewRecord::hide(const Message& message) {
    if (!hidden.add(message.order)) return;
    count_in(hidden_totals, message);
    ++changes;
}

void ViewRecord::forget(const Message& message) {
    if (hidden.range_with(message.order))
        count_out(hidden_totals, message);
    else if (hidden.touches(message.order))
        hidden.add(message.order);
}

void ViewRecord::show_again(OrderKey order) {
    if (hidden.remove(order)) ++changes;
}

std::string encode(const ViewRecord& record) {
    const auto& totals = record.hidden_totals;
    const auto& ranges = record.hidden.ranges();
    Encoder out(40 + 4 * ranges.size());
    out.u8(kVersion)
        .u8(record.counts ? 1 : 0)
        .varint(millis(record.used))
        .varint(record.begins.value)
        .varint(record.changes)
        .varint(totals.messages)
        .varint(totals.octets);
    out.varint(totals.utf8_messages).varint(zigzag(totals.ascii_growth));
    OrderKey before{0};
    for (const auto& range : ranges) {
        out.varint(range.first.value - before.value).varint(range.last.value - range.first.value);
        before = range.last;
    }
    return std::move(out).bytes();
}

Result<ViewRecord> decode_view(std::string_view value) {
    Decoder in(value);
    ViewRecord record;
    bool sound = in.u8() == kVersion;
    const auto counts = in.u8();
    record.counts = counts != 0;
    record.used = timestamp(in.varint());
    record.begins = OrderKey(in.varint());
    record.changes = in.varint();
    auto& totals = record.hidden_totals;
    totals.messages = in.varint();
    totals.octets = in.varint();
    totals.utf8_messages = in.varint();
    totals.ascii_growth = unzigzag(in.varint());
    std::vector<OrderRange> ranges;
    for (std::uint64_t before = 0; sound && in.ok() && !in.at_end();) {
        const auto gap = in.varint(), more = in.varint();
        const auto first = before + gap, last = first + more;
        sound = first >= before && last >= first && gap > (ranges.empty() ? 0 : 1);
        ranges.push_back({OrderKey(first), OrderKey(last)});
        before = last;
    }
    if (!sound || !in.ok()) return fail(Errc::corrupt, "a view can't be decoded");
    record.hidden = OrderRanges(std::move(ranges));
    return record;
}

}  // namespace poplar::mailstore
