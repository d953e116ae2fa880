// Reads of the list as of login: from a kept list, from a snapshot, or from a later one if nothing but deliveries came.
#include "mailstore/inbox_maildrop.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "mailstore/content.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

namespace {
const std::vector<Message> kNone;    // of an empty maildrop
constexpr std::size_t kPage = 1000;  // entries a scan
constexpr auto kSnapshotLife = std::chrono::seconds(5);
constexpr std::uint64_t kReserve = 1'000'000;  // messages to make room for at once, whatever the counter says
}  // namespace

std::string lease_of(ViewId view) {
    return view == kClassicView ? std::string("pop3:inbox") : fmt::format("pop3:inbox:{}", view.value);
}

ListVersion version_of(const AccountRecord& record, ViewId id, const ViewRecord* view) {
    const auto& inbox = record.inbox;
    ListVersion version{record.generation, inbox.next_order, inbox.totals.messages, inbox.totals.octets,
                        inbox.list_changes};
    if (!view) return version;
    version.generation += fmt::format(":{}", id.value);
    subtract(version.messages, view->hidden_totals.messages);
    subtract(version.octets, view->hidden_totals.octets);
    version.list_changes += view->changes;
    return version;
}

InboxMaildrop::InboxMaildrop(engine::Engine& engine, MessageLists& lists, AccountId account,
                             std::unique_ptr<engine::Lease> lease, const AccountRecord& record, ViewId view_id,
                             std::unique_ptr<const ViewRecord> view, std::shared_ptr<const engine::Snapshot> snapshot,
                             const Codec* codec, Remove remove)
    : engine_(engine),
      lists_(lists),
      account_(account),
      lease_(std::move(lease)),
      view_id_(view_id),
      view_(std::move(view)),
      totals_(record.inbox.totals),
      version_(version_of(record, view_id_, view_.get())),
      snapshot_(std::move(snapshot)),
      codec_(codec),
      remove_(std::move(remove)) {
    if (view_) take_out(totals_, view_->hidden_totals);
    complete_ = totals_.messages == 0;
    if (complete_) snapshot_.reset();
}

OrderKey InboxMaildrop::shown_from(OrderKey order) const {
    if (!view_) return order;
    const auto hidden = view_->hidden.range_with(order);
    return hidden ? OrderKey(hidden->last.value + 1) : order;
}

Task<Result<const std::vector<Message>*>> InboxMaildrop::messages() {
    if (!complete_) {
        auto loaded = co_await load();
        if (!loaded) co_return pass_on(loaded);
    }
    co_return messages_ ? messages_.get() : &kNone;
}

Task<Result<MessageLists::List>> InboxMaildrop::read(OrderKey first, std::uint64_t expected) {
    if (auto looked = co_await look_again(); !looked) co_return pass_on(looked);
    std::vector<Message> messages;
    messages.reserve(std::min(expected, kReserve));
    auto range = keys::messages(kInbox, shown_from(first));
    if (later_) range.end = keys::message(kInbox, version_->next_order);
    const auto limit = std::clamp<std::uint64_t>(expected + 1, 16, kPage);  // no more than there should be
    for (;;) {
        auto page = co_await engine_.scan(account_, range, limit, snapshot_);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            if (view_ && view_->hidden.range_with(keys::order_of(entry.key))) continue;
            auto decoded = decode_message(entry, messages.emplace_back());
            if (!decoded) co_return pass_on(decoded);
        }
        if (page->size() < limit) co_return std::make_shared<const std::vector<Message>>(std::move(messages));
        range.begin = keys::message(kInbox, shown_from(OrderKey(keys::order_of(page->back().key).value + 1)));
    }
}

Task<Result<>> InboxMaildrop::load() {
    const auto kept = version_ ? lists_.find({account_, view_id_}, *version_) : nullptr;
    auto messages = kept;
    if (!kept) {
        auto all = co_await read(OrderKey(0), totals_.messages);
        if (!all) co_return pass_on(all);
        messages = std::move(*all);
    }
    MailboxTotals found;
    for (const auto& message : *messages) count_in(found, message);
    if (found.messages != totals_.messages || found.octets != totals_.octets ||
        found.ascii_octets() != totals_.ascii_octets()) {
        // Wrong counters must not keep anybody from their mail.
        log::error("mailstore.wrong_counters", {{"account", account_.value},
                                                {"messages", found.messages},
                                                {"counted", totals_.messages},
                                                {"octets", found.octets},
                                                {"octets_counted", totals_.octets},
                                                {"ascii_octets", found.ascii_octets()},
                                                {"ascii_octets_counted", totals_.ascii_octets()}});
        version_.reset();
    }
    totals_ = found;
    messages_ = std::move(messages);
    if (version_ && !kept) lists_.keep({account_, view_id_}, *version_, messages_);
    first_ = 1;
    complete_ = true;
    snapshot_.reset();
    co_return Result<>{};
}

Task<Result<std::span<const Message>>> InboxMaildrop::messages_since(ListVersion older) {
    if (!version_ || !version_->continues(older)) co_return fail(Errc::invalid, "not an earlier version of the list");
    const auto first = older.messages + 1;
    if (!complete_ && (!messages_ || first < first_)) {
        const auto expected = version_->messages - older.messages;
        auto since = co_await read(older.next_order, expected);
        if (!since) co_return pass_on(since);
        auto octets = older.octets;
        for (const auto& message : **since) octets += message.octets;
        if ((*since)->size() != expected || octets != version_->octets)
            co_return fail(Errc::corrupt, "what came since is not what the counters say");
        messages_ = std::move(*since);
        first_ = first;
    }
    if (!messages_) co_return std::span<const Message>();
    co_return std::span<const Message>(*messages_).subspan(first - first_);
}

// As of the snapshot the message is live, whatever became of it since.
Task<Result<const Message*>> InboxMaildrop::message(std::uint32_t number, std::string unique_id) {
    if (const auto* message = known(number)) co_return message;
    if (complete_) co_return fail(Errc::not_found, "no such message");
    if (auto looked = co_await look_again(); !looked) co_return pass_on(looked);
    auto found = co_await look_up(engine_, account_, std::move(unique_id), snapshot_);
    if (!found) co_return pass_on(found);
    const auto& there = found->message;
    if (found->retained || there.mailbox != kInbox || (view_ && view_->hidden.range_with(there.order)))
        co_return fail(Errc::not_found, "no such message");
    co_return &single_.emplace(number, std::move(found->message)).first->second;
}

const Message* InboxMaildrop::known(std::uint32_t number) const {
    if (messages_ && number >= first_ && number - first_ < messages_->size()) return &(*messages_)[number - first_];
    auto found = single_.find(number);
    return found == single_.end() ? nullptr : &found->second;
}

engine::BodySeries& InboxMaildrop::bodies() {
    if (!bodies_) bodies_ = engine_.read_bodies(account_);
    return *bodies_;
}

Task<Result<std::unique_ptr<engine::BodyReader>>> InboxMaildrop::open(const Message& message) {
    if (message.key) return open_encoded(message.body, message.key, message.wire_octets);
    return bodies().open(message.body);
}

Task<Result<std::unique_ptr<engine::BodyReader>>> InboxMaildrop::open_encoded(engine::BodyId body,
                                                                              std::shared_ptr<const std::string> key,
                                                                              std::uint64_t octets) {
    auto stored = co_await bodies().open(body);
    if (!stored) co_return pass_on(stored);
    co_return decoded(std::move(*stored), codec_, std::move(key), octets);
}

std::unique_ptr<engine::BodyReader> InboxMaildrop::try_open_whole(const Message& message) {
    return message.key ? nullptr : bodies().try_open_whole(message.body);
}

void InboxMaildrop::become_idle() {
    if (bodies_) bodies_->release_files();
    // A client asks for the list soon or not at all: so the snapshot is kept a little, and a second one is rarely
    // needed.
    if (snapshot_ && SteadyClock::now() - taken_ >= kSnapshotLife) snapshot_.reset();
}

Task<Result<>> InboxMaildrop::look_again() {
    if (snapshot_) co_return Result<>{};
    auto snapshot = engine_.snapshot(account_);
    auto value = co_await engine_.get(account_, keys::account(), snapshot);
    if (!value) co_return pass_on(value);
    auto record = decode_account(*value);
    if (!record) co_return pass_on(record);
    std::unique_ptr<const ViewRecord> view;
    if (view_) {
        auto row = co_await engine_.get(account_, keys::view(view_id_), snapshot);
        if (!row) co_return pass_on(row);
        auto read = decode_view(*row);
        if (!read) co_return pass_on(read);
        view = std::make_unique<const ViewRecord>(std::move(*read));
    }
    if (!version_ || !version_of(*record, view_id_, view.get()).continues(*version_))
        co_return fail(Errc::conflict, "messages were removed since the login, before they were listed");
    snapshot_ = std::move(snapshot);
    taken_ = SteadyClock::now();
    later_ = true;
    co_return Result<>{};
}

Task<Result<>> InboxMaildrop::remove(std::vector<std::uint32_t> numbers) {
    auto is_unknown = [this](std::uint32_t number) { return known(number) == nullptr; };
    if (!complete_ && std::ranges::any_of(numbers, is_unknown))
        if (auto loaded = co_await load(); !loaded) co_return pass_on(loaded);
    std::vector<Victim> victims;
    victims.reserve(numbers.size());
    std::uint32_t last = 0;
    for (auto number : numbers) {
        const auto* message = known(number);
        if (!message || number <= last) co_return fail(Errc::invalid, "not an ascending message number");
        last = number;
        victims.push_back({message->order, message->body});
    }
    if (victims.empty()) co_return Result<>{};
    co_return co_await remove_(std::move(victims), {lease_of(view_id_), lease_->token()});
}

}  // namespace poplar::mailstore
