// Reads of the list as of login: from a kept list, from a snapshot, or from a later one if nothing but deliveries came.
#include "mailstore/mailbox_maildrop.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/turn.h"
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

std::string lease_of(MailboxView view) {
    auto name = view.mailbox == kInbox ? std::string("pop3:inbox") : fmt::format("pop3:mailbox-{}", view.mailbox.value);
    return view.view == kClassicView ? name : fmt::format("{}:{}", name, view.view.value);
}

ListVersion version_of(std::string generation, const MailboxRecord& mailbox, ViewId id, const ViewRecord* view) {
    ListVersion version{std::move(generation), mailbox.next_order, mailbox.totals.messages, mailbox.totals.octets,
                        mailbox.list_changes};
    if (!view) return version;
    version.generation += fmt::format(":{}", id.value);
    subtract(version.messages, view->hidden_totals.messages);
    subtract(version.octets, view->hidden_totals.octets);
    version.list_changes += view->changes;
    return version;
}

MailboxMaildrop::MailboxMaildrop(engine::Engine& engine, MessageLists& lists, ViewOf of,
                                 std::unique_ptr<engine::Lease> lease, std::string generation,
                                 const MailboxRecord& mailbox, std::unique_ptr<const ViewRecord> view,
                                 std::shared_ptr<const engine::Snapshot> snapshot, Decoders decoders, Remove remove)
    : engine_(engine),
      lists_(lists),
      of_(of),
      account_(of.account),
      lease_(std::move(lease)),
      view_(std::move(view)),
      snapshot_(std::move(snapshot)),
      decoders_(std::move(decoders)),
      remove_(std::move(remove)) {
    totals_ = mailbox.totals;
    version_ = version_of(std::move(generation), mailbox, of.view, view_.get());
    hides_ = view_ != nullptr;
    if (view_) take_out(totals_, view_->hidden_totals);
    complete_ = totals_.messages == 0;
    if (complete_) snapshot_.reset();
}

OrderKey MailboxMaildrop::shown_from(OrderKey order) const {
    if (!view_) return order;
    const auto hidden = view_->hidden.range_with(order);
    return hidden ? OrderKey(hidden->last.value + 1) : order;
}

Task<Result<const std::vector<Message>*>> MailboxMaildrop::messages() {
    if (!complete_) {
        auto loaded = co_await load();
        if (!loaded) co_return pass_on(loaded);
    }
    co_return messages_ ? messages_.get() : &kNone;
}

Task<Result<MessageLists::List>> MailboxMaildrop::read(OrderKey first, std::uint64_t expected) {
    if (auto looked = co_await look_again(); !looked) co_return pass_on(looked);
    std::vector<Message> messages;
    messages.reserve(std::min(expected, kReserve));
    auto range = keys::messages(of_.mailbox, shown_from(first));
    if (later_) range.end = keys::message(of_.mailbox, version_->next_order);
    const auto limit = std::clamp<std::uint64_t>(expected + 1, 16, kPage);  // no more than there should be
    for (;;) {
        auto page = co_await engine_.scan(account_, range, limit, snapshot_);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            if (view_ && view_->hidden.range_with(keys::order_of(entry.key))) continue;
            auto decoded = decode_message(entry, messages.emplace_back());
            if (!decoded) co_return pass_on(decoded);
        }
        if (turn::over()) co_await turn::let_others();
        if (page->size() < limit) co_return std::make_shared<const std::vector<Message>>(std::move(messages));
        range.begin = keys::message(of_.mailbox, shown_from(OrderKey(keys::order_of(page->back().key).value + 1)));
    }
}

Task<Result<>> MailboxMaildrop::load() {
    const auto kept = version_ ? lists_.find(of_, *version_) : nullptr;
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
    if (version_ && !kept) lists_.keep(of_, *version_, messages_);
    first_ = 1;
    complete_ = true;
    snapshot_.reset();
    co_return Result<>{};
}

Task<Result<std::span<const Message>>> MailboxMaildrop::messages_since(ListVersion older) {
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
Task<Result<const Message*>> MailboxMaildrop::message(std::uint32_t number, std::string unique_id) {
    if (const auto* message = known(number)) co_return message;
    if (complete_) co_return fail(Errc::not_found, "no such message");
    if (auto looked = co_await look_again(); !looked) co_return pass_on(looked);
    auto found = co_await look_up(engine_, account_, std::move(unique_id), snapshot_);
    if (!found) co_return pass_on(found);
    const auto& there = found->message;
    if (found->retained || there.mailbox != of_.mailbox || (view_ && view_->hidden.range_with(there.order)))
        co_return fail(Errc::not_found, "no such message");
    co_return &single_.emplace(number, std::move(found->message)).first->second;
}

const Message* MailboxMaildrop::known(std::uint32_t number) const {
    if (messages_ && number >= first_ && number - first_ < messages_->size()) return &(*messages_)[number - first_];
    auto found = single_.find(number);
    return found == single_.end() ? nullptr : &found->second;
}

engine::BodySeries& MailboxMaildrop::bodies() {
    if (!bodies_) bodies_ = engine_.read_bodies(account_);
    return *bodies_;
}

Task<Result<std::unique_ptr<engine::BodyReader>>> MailboxMaildrop::open(const Message& message) {
    if (message.key || decoders_.mail_key) return open_decoded(message);
    return bodies().open(message.body);
}

// While an account's mail is being sealed, or opened for good, a message may have got another body since it was listed.
Task<Result<std::unique_ptr<engine::BodyReader>>> MailboxMaildrop::open_decoded(Message message) {
    auto stored = co_await bodies().open(message.body);
    if (!stored && stored.error().code() == Errc::not_found) {
        auto now = co_await look_up(engine_, account_, message.unique_id, engine_.snapshot(account_));
        if (!now || now->message.body == message.body) co_return stored;
        message = std::move(now->message);
        stored = co_await bodies().open(message.body);
    }
    if (!stored || !message.key) co_return stored;
    co_return decoded(std::move(*stored), decoders_, message.key, message.wire_octets);
}

std::unique_ptr<engine::BodyReader> MailboxMaildrop::try_open_whole(const Message& message) {
    return message.key ? nullptr : bodies().try_open_whole(message.body);
}

void MailboxMaildrop::become_idle() {
    if (bodies_) bodies_->release_files();
    // A client asks for the list soon or not at all: so the snapshot is kept a little, and a second one is rarely
    // needed.
    if (snapshot_ && SteadyClock::now() - taken_ >= kSnapshotLife) snapshot_.reset();
}

// A row that is not there any more was changed as well: the account was purged, say, or the views dropped.
Task<Result<>> MailboxMaildrop::look_again() {
    if (snapshot_) co_return Result<>{};
    auto snapshot = engine_.snapshot(account_);
    auto now = co_await version_in(snapshot);
    const bool gone = !now && now.error().code() == Errc::not_found;
    if (!now && !gone) co_return pass_on(now);
    if (gone || !version_ || !now->continues(*version_))
        co_return fail(Errc::conflict, "messages were removed since the login, before they were listed");
    snapshot_ = std::move(snapshot);
    taken_ = SteadyClock::now();
    later_ = true;
    co_return Result<>{};
}

Task<Result<ListVersion>> MailboxMaildrop::version_in(std::shared_ptr<const engine::Snapshot> snapshot) {
    auto value = co_await engine_.get(account_, keys::account(), snapshot);
    if (!value) co_return pass_on(value);
    auto record = decode_account(*value);
    if (!record) co_return pass_on(record);
    auto mailbox = std::move(record->inbox);
    if (of_.mailbox != kInbox) {
        auto row = co_await engine_.get(account_, keys::mailbox(of_.mailbox), snapshot);
        if (!row) co_return pass_on(row);
        auto other = decode_mailbox(*row);
        if (!other) co_return pass_on(other);
        mailbox = std::move(*other);
    }
    if (!view_) co_return version_of(std::move(record->generation), mailbox, of_.view, nullptr);
    auto row = co_await engine_.get(account_, keys::view({of_.view, of_.mailbox}), snapshot);
    if (!row) co_return pass_on(row);
    auto view = decode_view(*row);
    if (!view) co_return pass_on(view);
    co_return version_of(std::move(record->generation), mailbox, of_.view, &*view);
}

Task<Result<>> MailboxMaildrop::remove(std::vector<std::uint32_t> numbers) {
    auto is_unknown = [this](std::uint32_t number) { return known(number) == nullptr; };
    if (!complete_ && std::ranges::any_of(numbers, is_unknown))
        if (auto loaded = co_await load(); !loaded) co_return pass_on(loaded);
    auto deletions = no_deletions();
    deletions.victims.reserve(numbers.size());
    std::uint32_t last = 0;
    for (auto number : numbers) {
        const auto* message = known(number);
        if (!message || number <= last) co_return fail(Errc::invalid, "not an ascending message number");
        last = number;
        deletions.victims.push_back({message->order, message->body, message->unique_id});
    }
    if (deletions.victims.empty()) co_return Result<>{};
    std::vector<Deletions> all;
    all.push_back(std::move(deletions));
    co_return co_await remove_(std::move(all));
}

Deletions MailboxMaildrop::no_deletions() const {
    const MailboxView view(of_.view, of_.mailbox);
    return {view, {}, {lease_of(view), lease_->token()}};
}

}  // namespace poplar::mailstore
