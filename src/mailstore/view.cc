#include "mailstore/view.h"

#include <algorithm>

#include "base/encoding.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

namespace {

// The second says in a mask what few views have; the first is still written for all others, so that an older program
// can read them.
constexpr std::uint8_t kVersion = 1, kWithMask = 2;
enum ViewField : std::uint8_t { kCounts = 1, kHasReturned = 2, kHasMoved = 4, kViewFields = 7 };

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

OrderRanges OrderRanges::operator-(const OrderRanges& other) const {
    OrderRanges left;
    auto out = other.ranges_.begin();
    for (auto range : ranges_) {
        while (out != other.ranges_.end() && out->last < range.first) ++out;
        for (auto hole = out; hole != other.ranges_.end() && hole->first <= range.last; ++hole) {
            if (range.first < hole->first) left.ranges_.push_back({range.first, OrderKey(hole->first.value - 1)});
            if (hole->last >= range.last) {
                range.first = next(range.last);
                break;
            }
            range.first = next(hole->last);
        }
        if (range.first <= range.last) left.ranges_.push_back(range);
    }
    return left;
}

OrderRanges OrderRanges::operator|(const OrderRanges& other) const {
    OrderRanges any;
    for (auto a = ranges_.begin(), b = other.ranges_.begin(); a != ranges_.end() || b != other.ranges_.end();) {
        const bool first = b == other.ranges_.end() || (a != ranges_.end() && a->first < b->first);
        const auto& range = first ? *a++ : *b++;
        auto& ranges = any.ranges_;
        if (!ranges.empty() && (ranges.back().last >= range.first || next(ranges.back().last) == range.first))
            ranges.back().last = std::max(ranges.back().last, range.last);
        else
            ranges.push_back(range);
    }
    return any;
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

void ViewRecord::hide(const Message& message, DeletedIn in) {
    if (!hidden.add(message.order)) return;
    if (in == DeletedIn::elsewhere) moved.add(message.order);
    count_in(hidden_totals, message);
    ++changes;
}

OrderRanges ViewRecord::deleted() const {
    if (begins <= OrderKey(1)) return hidden;
    return hidden - (OrderRanges({{OrderKey(1), OrderKey(begins.value - 1)}}) - returned);
}

bool ViewRecord::has_deleted(OrderKey order) const {
    return hidden.range_with(order) && (order >= begins || returned.range_with(order));
}

bool ViewRecord::forget(const Message& message) {
    const bool back = returned.remove(message.order), away = moved.remove(message.order);
    if (hidden.range_with(message.order))
        count_out(hidden_totals, message);
    else if (hidden.touches(message.order))
        hidden.add(message.order);
    else
        return back || away;
    return true;
}

bool ViewRecord::show_again(OrderKey order) {
    const bool noted = order < begins && returned.add(order);
    if (!hidden.remove(order)) return noted;
    ++changes;
    return true;
}

namespace {

void encode(Encoder& out, const OrderRanges& ranges) {
    OrderKey before{0};
    for (const auto& range : ranges.ranges()) {
        out.varint(range.first.value - before.value).varint(range.last.value - range.first.value);
        before = range.last;
    }
}

/// Reads ranges while `more` says so. False: they are not as encode() writes them.
template <class More>
bool decode(Decoder& in, OrderRanges& into, More more) {
    std::vector<OrderRange> ranges;
    for (std::uint64_t before = 0; in.ok() && more();) {
        const auto gap = in.varint(), length = in.varint();
        const auto first = before + gap, last = first + length;
        if (first < before || last < first || gap <= (ranges.empty() ? 0u : 1u)) return false;
        ranges.push_back({OrderKey(first), OrderKey(last)});
        before = last;
    }
    into = OrderRanges(std::move(ranges));
    return true;
}

/// Ranges behind their count.
void encode_counted(Encoder& out, const OrderRanges& ranges) {
    out.varint(ranges.ranges().size());
    encode(out, ranges);
}
bool decode_counted(Decoder& in, OrderRanges& into) {
    auto left = in.varint();
    auto more = [&left] { return left-- != 0; };
    return decode(in, into, more) && !into.ranges().empty();
}

}  // namespace

std::string encode(const ViewRecord& record) {
    const auto& totals = record.hidden_totals;
    const bool returned = !record.returned.ranges().empty(), moved = !record.moved.ranges().empty();
    const int fields = (record.counts ? kCounts : 0) | (returned ? kHasReturned : 0) | (moved ? kHasMoved : 0);
    Encoder out(40 + 4 * record.hidden.ranges().size());
    out.u8(returned || moved ? kWithMask : kVersion)
        .u8(static_cast<std::uint8_t>(fields))
        .varint(millis(record.used))
        .varint(record.begins.value)
        .varint(record.changes)
        .varint(totals.messages)
        .varint(totals.octets);
    out.varint(totals.utf8_messages).varint(zigzag(totals.ascii_growth));
    if (returned) encode_counted(out, record.returned);
    if (moved) encode_counted(out, record.moved);
    encode(out, record.hidden);
    return std::move(out).bytes();
}

Result<ViewRecord> decode_view(std::string_view value) {
    Decoder in(value);
    ViewRecord record;
    const auto version = in.u8(), fields = in.u8();
    bool sound = (version == kVersion && fields <= kCounts) ||
                 (version == kWithMask && fields > kCounts && (fields & ~kViewFields) == 0);
    record.counts = (fields & kCounts) != 0;
    record.used = timestamp(in.varint());
    record.begins = OrderKey(in.varint());
    record.changes = in.varint();
    auto& totals = record.hidden_totals;
    totals.messages = in.varint();
    totals.octets = in.varint();
    totals.utf8_messages = in.varint();
    totals.ascii_growth = unzigzag(in.varint());
    if (sound && (fields & kHasReturned)) sound = decode_counted(in, record.returned);
    if (sound && (fields & kHasMoved)) sound = decode_counted(in, record.moved);
    auto more = [&in] { return !in.at_end(); };
    sound = sound && decode(in, record.hidden, more);
    if (!sound || !in.ok()) return fail(Errc::corrupt, "a view can't be decoded");
    return record;
}

}  // namespace poplar::mailstore
