#pragma once
// A view of a mailbox (docs/architecture.md): a client that fetches by POP3 and deletes what it has must not take the
// mail from another client. So each may have a view of its own, in which it deletes; the message itself leaves the
// mailbox when nobody wants it any more.
//
// A view keeps the orders that it does not show as ranges. They hold places that have no message any more, too, so that
// a client that deletes all it fetches has a single range, however long it does so. Of the live messages in them it
// keeps the counts: those of the view are those of the mailbox less these, whatever that holds.
#include <string>
#include <vector>

#include "base/error.h"
#include "mailstore/message.h"

namespace poplar::mailstore {

/// Names a client's views in its account: it has one of each mailbox that it opens.
using ViewId = Strong<struct ViewIdTag, std::uint32_t>;
/// That of whoever logs in with the account's own credentials (RFC 1939). A mailbox that has no other needs no row for
/// it: what is deleted there leaves the mailbox.
inline constexpr ViewId kClassicView{0};

/// How exact ViewRecord::used is.
inline constexpr auto kUsedWithin = std::chrono::days(1);

/// That of a device that has its own. Devices are numbered from 0 within an account.
constexpr ViewId view_of_device(std::uint32_t device) { return ViewId(device + 1); }

/// One view.
struct MailboxView {
    MailboxView(ViewId view_id = kClassicView, MailboxId mailbox_id = kInbox) : view(view_id), mailbox(mailbox_id) {}
    ViewId view;
    MailboxId mailbox;
    auto operator<=>(const MailboxView&) const = default;
};

/// In place of a mailbox: several, as one maildrop.
inline constexpr MailboxId kSeveral{0};

/// A view and its account: for those who keep something of many.
struct ViewOf {
    AccountId account;
    ViewId view;
    MailboxId mailbox = kInbox;
    bool operator==(const ViewOf&) const = default;
};

/// The fate of a message that all views that count have deleted: it leaves its mailbox, or stays there, where POP does
/// not see it any more.
enum class WhenAllDeleted { remove, keep };

/// From when on a view shows mail, beside any other time.
inline constexpr Timestamp kFromTheFirst = Timestamp::min(), kFromNowOn = Timestamp::max();

/// Orders from first to last.
struct OrderRange {
    OrderKey first, last;
    bool operator==(const OrderRange&) const = default;
};

/// Ascending ranges that neither overlap nor touch.
class OrderRanges {
public:
    OrderRanges() = default;
    explicit OrderRanges(std::vector<OrderRange> ranges) : ranges_(std::move(ranges)) {}

    /// The range that has it. Null: none has.
    const OrderRange* range_with(OrderKey order) const;
    /// False: it is there already.
    bool add(OrderKey order);
    /// Those of `orders` (ascending, each once) that were not there yet.
    std::vector<OrderKey> add(const std::vector<OrderKey>& orders);
    /// Whether a range ends before it, or begins behind it.
    bool touches(OrderKey order) const;
    /// All of a gap between two ranges, or before the first.
    void fill(OrderRange gap);
    /// False: it is not there.
    bool remove(OrderKey order);
    const std::vector<OrderRange>& ranges() const { return ranges_; }
    /// The orders that are in both; those that are not in the other; those that are in any.
    OrderRanges operator&(const OrderRanges& other) const;
    OrderRanges operator-(const OrderRanges& other) const;
    OrderRanges operator|(const OrderRanges& other) const;
    bool operator==(const OrderRanges&) const = default;

private:
    std::vector<OrderRange> ranges_;
};

/// Where a view deleted a message that it hides.
enum class DeletedIn {
    here,
    elsewhere,  ///< in another mailbox, from which somebody has moved it
};

struct ViewRecord {
    OrderRanges hidden;
    MailboxTotals hidden_totals;  ///< of the live messages that are hidden; flags are not counted
    Timestamp used{};             ///< when it was last opened, to a day
    OrderKey begins{1};           ///< it never showed what came before, so hiding that is no wish of its user's
    OrderRanges returned;         ///< ... but for these, which came back to their places: it has shown them
    OrderRanges moved;          ///< deleted elsewhere: it hides these for its client, and nobody has deleted them here
    bool counts = true;         ///< false: it can delete nothing, and so holds nothing back
    std::uint64_t changes = 0;  ///< messages that were hidden or shown again; never goes back
    bool operator==(const ViewRecord&) const = default;

    /// The view's own deletion of live messages, ascending. False: all are hidden already.
    bool hide(const std::vector<StoredMessage>& messages);
    /// The same, of a message that comes to the mailbox from another place, where it was deleted.
    void hide(const Message& message, DeletedIn in);
    /// The orders that its user has deleted, wherever. Those that it never showed are not among them.
    OrderRanges deleted() const;
    bool has_deleted(OrderKey order) const;
    /// A message leaves the mailbox, whoever took it. False: that changes nothing in the view.
    bool forget(const Message& message);
    /// A message comes back to its old place. False: that changes nothing in the view.
    bool show_again(OrderKey order);
};

/// A view that has more ranges takes no deletion that makes still more.
inline constexpr std::size_t kMostRanges = 100'000;

std::string encode(const ViewRecord& record);
Result<ViewRecord> decode_view(std::string_view value);

}  // namespace poplar::mailstore

template <>
struct std::hash<poplar::mailstore::ViewOf> {
    std::size_t operator()(const poplar::mailstore::ViewOf& of) const noexcept {
        return std::hash<std::uint64_t>()((of.account.value * 0x9e37'79b9'7f4a'7c15 + of.view.value) * 31 +
                                          of.mailbox.value);
    }
};
