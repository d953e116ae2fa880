// Counts an account anew from its messages and compares with all that is derived from them: counters, the index of
// unique-ids, UIDs out of order, names of mailboxes, counts of copied bodies, the change log.
#include "mailstore/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "mailstore/change_row.h"
#include "mailstore/document.h"
#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "mailstore/thread_row.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kPage = 1000;  // entries a scan

std::unexpected<Error> differs(std::string_view what, std::uint64_t recorded, std::uint64_t counted) {
    return fail(Errc::corrupt, fmt::format("{}: {} recorded, {} counted", what, recorded, counted));
}

/// One walk over a snapshot of an account.
class Check {
public:
    Check(engine::Engine& engine, AccountId account)
        : engine_(engine), account_(account), snapshot_(engine.snapshot(account)) {}

    Task<Result<>> run() {
        auto value = co_await engine_.get(account_, keys::account(), snapshot_);
        if (value) {
            auto record = decode_account(*value);
            if (!record) co_return pass_on(record);
            record_ = std::move(*record);
        } else if (value.error().code() != Errc::not_found) {
            co_return pass_on(value);
        }
        mailboxes_[kInbox].record = record_.inbox;
        auto number = co_await engine_.change_number(account_, snapshot_);
        if (!number) co_return pass_on(number);
        number_ = *number;
        using Step = Task<Result<>> (Check::*)();
        for (Step step : {&Check::read_mailboxes, &Check::read_views, &Check::read_messages, &Check::read_retained,
                          &Check::read_index, &Check::read_uids, &Check::read_names, &Check::read_copies,
                          &Check::read_log, &Check::read_documents, &Check::read_facts, &Check::read_kept}) {
            auto done = co_await (this->*step)();
            if (!done) co_return done;
        }
        co_return compare();
    }

private:
    struct Counted {
        MailboxRecord record;
        MailboxTotals totals;
        std::uint64_t last = 0;  // order or UID
    };

    struct CountedView {
        MailboxView of;
        ViewRecord record;
        MailboxTotals counted;
    };

    /// `see(entry)` for each entry of a range: a Task of Result<>.
    template <class See>
    Task<Result<>> walk(engine::KeyRange range, See see) {
        for (;;) {
            auto page = co_await engine_.scan(account_, range, kPage, snapshot_);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                auto seen = co_await see(entry);
                if (!seen) co_return seen;
            }
            if (page->size() < kPage) co_return Result<>{};
            range.begin_behind(page->back().key);
        }
    }

    Task<Result<>> read_mailboxes() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto record = decode_mailbox(entry.value);
            if (!record) co_return pass_on(record);
            mailboxes_[keys::mailbox_of(entry.key)].record = std::move(*record);
            co_return Result<>{};
        };
        return walk(keys::mailboxes(), see);
    }

    Task<Result<>> read_views() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto record = decode_view(entry.value);
            if (!record) co_return pass_on(record);
            const auto of = keys::view_of(entry.key);
            const auto mailbox = mailboxes_.find(of.mailbox);
            if (mailbox == mailboxes_.end() || mailbox->second.record.removed)
                co_return fail(Errc::corrupt, "a view is of a mailbox that is not there");
            const auto& ranges = record->hidden.ranges();
            if (!ranges.empty() && ranges.back().last >= mailbox->second.record.next_order)
                co_return fail(Errc::corrupt, "a view hides messages to come");
            views_.push_back({of, std::move(*record), {}});
            co_return Result<>{};
        };
        if (auto done = co_await walk(keys::views(), see); !done) co_return done;
        if (views_.size() != record_.views) co_return differs("views", record_.views, views_.size());
        for (const auto& view : views_) {
            auto is_classic = [&](const CountedView& one) {
                return one.of == MailboxView(kClassicView, view.of.mailbox);
            };
            if (std::ranges::none_of(views_, is_classic))
                co_return fail(Errc::corrupt, "a mailbox with views has no classic one");
        }
        co_return Result<>{};
    }

    Task<Result<>> read_messages() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto message = decode_message(entry);
            if (!message) co_return pass_on(message);
            auto found = mailboxes_.find(message->mailbox);
            if (found == mailboxes_.end())
                co_return fail(Errc::corrupt, fmt::format("message {} is in no mailbox", message->unique_id));
            auto& counted = found->second;
            count_in(counted.totals, *message);
            for (auto& view : views_)
                if (view.of.mailbox == message->mailbox && view.record.hidden.range_with(message->order))
                    count_in(view.counted, static_cast<const Message&>(*message));
            counted.last = std::max({counted.last, message->order.value, message->uid().value});
            if (message->own_uid.value != 0) ++expected_uids_;
            if (message->copied) ++copies_[message->body];
            remember(message->body);
            co_return co_await expect_index(*message, live_place(*message));
        };
        return walk(keys::messages(), see);
    }

    Task<Result<>> read_retained() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto retained = decode_retained(entry);
            if (!retained) co_return pass_on(retained);
            if (retained_messages_ == 0) first_expiry_ = retained->expires;
            ++retained_messages_;
            const auto& message = retained->message;
            retained_octets_ += message.octets;
            if (auto found = mailboxes_.find(message.mailbox); found != mailboxes_.end())
                found->second.last = std::max(found->second.last, message.order.value);
            if (message.copied) ++copies_[message.body];
            remember(message.body);
            co_return co_await expect_index(message, place_of(*retained));
        };
        return walk(keys::retained(), see);
    }

    Task<Result<>> expect_index(const StoredMessage& message, Place expected) {
        const auto unique_id = message.unique_id;
        const bool may_lack = expected.area == Place::Area::live && is_found_by_place(message);
        auto value = co_await engine_.get(account_, keys::unique_id(unique_id), snapshot_);
        if (!value && value.error().code() == Errc::not_found) {
            if (may_lack) co_return Result<>{};
            co_return fail(Errc::corrupt, fmt::format("message {} is not in the unique-id index", unique_id));
        }
        if (!value) co_return pass_on(value);
        ++expected_entries_;
        auto place = decode_place(*value);
        if (!place) co_return pass_on(place);
        if (*place != expected)
            co_return fail(Errc::corrupt, fmt::format("the unique-id index has message {} elsewhere", unique_id));
        co_return Result<>{};
    }

    Task<Result<>> read_index() {
        std::uint64_t entries = 0;
        auto see = [&entries](engine::EntryView) -> Task<Result<>> {
            ++entries;
            co_return Result<>{};
        };
        auto done = co_await walk(keys::unique_ids(), see);
        if (!done) co_return done;
        entries_ = entries;
        co_return Result<>{};
    }

    // Each UID that is not its message's order has a row that tells the order.
    Task<Result<>> read_uids() {
        std::uint64_t rows = 0;
        auto see = [this, &rows](engine::EntryView entry) -> Task<Result<>> {
            const auto mailbox = keys::mailbox_of(entry.key);
            const auto uid = keys::uid_of(entry.key);
            auto order = decode_number(entry.value);
            if (!order) co_return pass_on(order);
            ++rows;
            auto value = co_await engine_.get(account_, keys::message(mailbox, OrderKey(*order)), snapshot_);
            Result<StoredMessage> message;
            if (value) message = decode_message({keys::message(mailbox, OrderKey(*order)), *value});
            if (!value || !message || message->own_uid != uid)
                co_return fail(Errc::corrupt,
                               fmt::format("UID {} of mailbox {} leads to no message", uid.value, mailbox.value));
            co_return Result<>{};
        };
        auto done = co_await walk(keys::uids(), see);
        if (!done) co_return done;
        if (rows != expected_uids_) co_return differs("UIDs out of order", rows, expected_uids_);
        co_return Result<>{};
    }

    Task<Result<>> read_names() {
        std::uint64_t names = 0;
        auto see = [this, &names](engine::EntryView entry) -> Task<Result<>> {
            const auto name = keys::name_of(entry.key);
            auto id = decode_number(entry.value);
            if (!id) co_return pass_on(id);
            ++names;
            auto found = mailboxes_.find(MailboxId(static_cast<std::uint32_t>(*id)));
            if (found == mailboxes_.end() || found->second.record.removed || found->second.record.name != name)
                co_return fail(Errc::corrupt, fmt::format("the name {} leads to no mailbox of this name", name));
            co_return Result<>{};
        };
        auto done = co_await walk(keys::names(), see);
        if (!done) co_return done;
        names_ = names;
        co_return Result<>{};
    }

    Task<Result<>> read_copies() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto count = decode_number(entry.value);
            if (!count) co_return pass_on(count);
            const auto body = keys::body_of(entry.key);
            auto found = copies_.find(body);
            const auto counted = found == copies_.end() ? 0 : found->second;
            if (*count != counted) co_return differs("messages of a copied body", *count, counted);
            copies_.erase(body);
            co_return Result<>{};
        };
        auto done = co_await walk(keys::copies(), see);
        if (!done) co_return done;
        if (!copies_.empty()) co_return fail(Errc::corrupt, "nothing counts the messages of a copied body");
        co_return Result<>{};
    }

    Task<Result<>> read_log() {
        std::uint64_t rows = 0;
        auto see = [this, &rows](engine::EntryView entry) -> Task<Result<>> {
            if (auto changes = decode_changes(entry); !changes) co_return pass_on(changes);
            ++rows;
            if (keys::change_of(entry.key) > number_)
                co_return fail(Errc::corrupt, "the change log has a row of a change to come");
            co_return Result<>{};
        };
        auto done = co_await walk(keys::changes(), see);
        if (!done) co_return done;
        const auto recorded = record_.log ? record_.log->rows : 0;
        if (recorded != rows) co_return differs("rows of the change log", recorded, rows);
        co_return Result<>{};
    }

    Task<Result<>> read_documents() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto info = decode_document_info(entry);
            if (!info) co_return pass_on(info);
            auto content = co_await engine_.get(account_, keys::document_content(info->name), snapshot_);
            if (!content && content.error().code() != Errc::not_found) co_return pass_on(content);
            if (!content || content->size() != info->octets)
                co_return fail(Errc::corrupt, fmt::format("the document {} is not as it was put", info->name));
            co_return Result<>{};
        };
        return walk(keys::documents(), see);
    }

    // Each fact has a row that tells when it expires, and no row is of another.
    Task<Result<>> read_facts() {
        std::uint64_t facts = 0, rows = 0;
        auto see = [this, &facts](engine::EntryView entry) -> Task<Result<>> {
            auto fact = decode_fact(entry.value);
            if (!fact) co_return pass_on(fact);
            ++facts;
            auto row =
                co_await engine_.get(account_, keys::fact_expiry(fact->expires, keys::name_of(entry.key)), snapshot_);
            if (row || row.error().code() != Errc::not_found) co_return row ? Result<>() : pass_on(row);
            co_return fail(Errc::corrupt, "nothing tells when a fact expires");
        };
        if (auto done = co_await walk(keys::facts(), see); !done) co_return done;
        auto count = [&rows](engine::EntryView) -> Task<Result<>> {
            ++rows;
            co_return Result<>{};
        };
        if (auto done = co_await walk(keys::fact_expiries(), count); !done) co_return done;
        if (rows != facts) co_return differs("facts that expire", rows, facts);
        co_return Result<>{};
    }

    void remember(engine::BodyId body) {
        if (record_.kept != KeptRows()) bodies_.push_back(body);
    }

    // Rows that are kept of a message go with its body; the marks of threads with the message that left them.
    Task<Result<>> read_kept() {
        std::ranges::sort(bodies_);
        std::uint64_t structures = 0, threads = 0, marks = 0, expected_marks = 0;
        auto expect_body = [this](engine::EntryView entry, std::string_view what) -> Result<> {
            if (std::ranges::binary_search(bodies_, keys::body_of(entry.key))) return {};
            return fail(Errc::corrupt, fmt::format("{} is kept of a message that is gone", what));
        };
        auto see_structure = [&](engine::EntryView entry) -> Task<Result<>> {
            ++structures;
            co_return expect_body(entry, "a structure");
        };
        if (auto done = co_await walk(keys::structures(), see_structure); !done) co_return done;
        auto see_thread = [&](engine::EntryView entry) -> Task<Result<>> {
            ++threads;
            auto row = decode_thread(entry.value);
            if (!row) co_return pass_on(row);
            expected_marks += row->left.size();
            co_return expect_body(entry, "a thread");
        };
        if (auto done = co_await walk(keys::threads(), see_thread); !done) co_return done;
        auto see_mark = [&](engine::EntryView entry) -> Task<Result<>> {
            ++marks;
            if (auto thread = decode_thread_id(entry.value); !thread) co_return pass_on(thread);
            co_return Result<>{};
        };
        if (auto done = co_await walk(keys::thread_marks(), see_mark); !done) co_return done;
        const auto& kept = record_.kept;
        if (kept.structures != structures) co_return differs("structures", kept.structures, structures);
        if (kept.threads != threads) co_return differs("messages with a thread", kept.threads, threads);
        if (marks != expected_marks) co_return differs("marks of threads", marks, expected_marks);
        co_return Result<>{};
    }

    static Result<> compare(const Counted& mailbox) {
        const auto& had = mailbox.record.totals;
        const auto& counted = mailbox.totals;
        if (had.messages != counted.messages) return differs("messages", had.messages, counted.messages);
        if (had.octets != counted.octets) return differs("octets", had.octets, counted.octets);
        if (had.utf8_messages != counted.utf8_messages)
            return differs("messages with UTF-8 headers", had.utf8_messages, counted.utf8_messages);
        if (had.ascii_growth != counted.ascii_growth)
            return differs("octets without UTF-8", had.ascii_octets(), counted.ascii_octets());
        if (had.seen != counted.seen) return differs("messages that were seen", had.seen, counted.seen);
        if (had.deleted != counted.deleted) return differs("messages marked deleted", had.deleted, counted.deleted);
        if (mailbox.last >= mailbox.record.next_order.value)
            return differs("next place in the order", mailbox.record.next_order.value, mailbox.last);
        return {};
    }

    Result<> compare() const {
        OtherMailboxes others;
        for (const auto& [id, mailbox] : mailboxes_) {
            if (auto same = compare(mailbox); !same) return same;
            if (id == kInbox) continue;
            ++(mailbox.record.removed ? others.removed : others.mailboxes);
            others.messages += mailbox.totals.messages;
            others.octets += mailbox.totals.octets;
            others.next = std::max(others.next, MailboxId(id.value + 1));
            others.last_uid_validity = std::max(others.last_uid_validity, mailbox.record.uid_validity);
        }
        for (const auto& view : views_)
            if (view.record.hidden_totals != view.counted)
                return differs("messages that a view hides", view.record.hidden_totals.messages, view.counted.messages);
        if (record_.retained_messages != retained_messages_)
            return differs("retained messages", record_.retained_messages, retained_messages_);
        if (record_.retained_octets != retained_octets_)
            return differs("retained octets", record_.retained_octets, retained_octets_);
        if (entries_ != expected_entries_) return differs("unique-ids", entries_, expected_entries_);
        const bool expires = retained_messages_ > 0;
        if (expires != (record_.earliest_expiry != Timestamp{}) || (expires && record_.earliest_expiry > first_expiry_))
            return fail(Errc::corrupt, "a retained message expires before the recorded time");
        const auto had = record_.others.value_or(OtherMailboxes());
        if (names_ != others.mailboxes) return differs("names of mailboxes", names_, others.mailboxes);
        if (had.mailboxes != others.mailboxes) return differs("mailboxes", had.mailboxes, others.mailboxes);
        if (had.removed != others.removed) return differs("removed mailboxes", had.removed, others.removed);
        if (had.messages != others.messages) return differs("messages beside INBOX", had.messages, others.messages);
        if (had.octets != others.octets) return differs("octets beside INBOX", had.octets, others.octets);
        if (had.next < others.next || had.last_uid_validity < others.last_uid_validity)
            return fail(Errc::corrupt, "a mailbox has a number that was not given out");
        return {};
    }

    engine::Engine& engine_;
    AccountId account_;
    std::shared_ptr<const engine::Snapshot> snapshot_;
    engine::ChangeNumber number_;
    AccountRecord record_;
    std::vector<CountedView> views_;
    std::vector<engine::BodyId> bodies_;  // of all messages, if anything is kept of any
    std::map<MailboxId, Counted> mailboxes_;
    std::map<engine::BodyId, std::uint64_t> copies_;  // of bodies that several messages have
    std::uint64_t retained_messages_ = 0, retained_octets_ = 0;
    std::uint64_t expected_entries_ = 0, entries_ = 0;  // of the unique-id index
    std::uint64_t expected_uids_ = 0, names_ = 0;
    Timestamp first_expiry_{};
};

}  // namespace

Task<Result<>> check_account(engine::Engine& engine, AccountId account) {
    Check check(engine, account);
    co_return co_await check.run();
}

}  // namespace poplar::mailstore
