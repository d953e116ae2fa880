// After damage cost the log some commits, an account's parts may no longer fit each other: a counter speaks of a
// message that is lost, the index of a place where nothing is. The message records are the truth; everything else is
// made to fit.
#include "mailstore/repair.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "base/random.h"
#include "mailstore/document.h"
#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "mailstore/thread_row.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kPage = 1000;  // entries a scan

class Repair {
public:
    Repair(engine::Engine& engine, AccountId account, Timestamp now) : engine_(engine), account_(account), now_(now) {}

    Task<Result<bool>> run() {
        auto number = co_await engine_.change_number(account_);
        if (!number) co_return pass_on(number);
        if (number->value == 0) co_return false;
        number_ = *number;
        auto value = co_await engine_.get(account_, keys::account());
        if (!value && value.error().code() != Errc::not_found) co_return pass_on(value);
        auto before = value ? decode_account(*value) : Result<AccountRecord>(AccountRecord{});
        if (before) before_ = std::move(*before);
        start_from(before_);

        using Step = Task<Result<>> (Repair::*)();
        for (Step step : {&Repair::read_mailboxes, &Repair::read_views, &Repair::count_live, &Repair::count_retained,
                          &Repair::sweep_index, &Repair::sweep_uids, &Repair::sweep_names, &Repair::sweep_copies,
                          &Repair::drop_log, &Repair::sweep_facts, &Repair::sweep_kept})
            if (auto done = co_await (this->*step)(); !done) co_return pass_on(done);
        put_mailboxes();
        put_views();
        const bool fits = !changed_ && before && same_counts(before_, record_);
        // The lost commits may have given out unique-ids and UIDs that clients remember: those to come are of a new
        // generation.
        record_.generation = random_text(kGenerationLength);
        batch_.put(keys::account(), encode(record_));
        auto done = co_await engine_.commit(account_, std::move(batch_), *number);
        if (!done) co_return pass_on(done);
        co_return !fits;
    }

private:
    struct Seen {
        MailboxRecord record;
        std::string had;  // its row; "" if there was none that could be read
    };

    // Takes over what messages can't tell.
    void start_from(const AccountRecord& before) {
        record_.closed = before.closed;
        record_.retention = before.retention;
        record_.encryption = before.encryption;
        record_.inbox = before.inbox;
        record_.inbox.totals = {};
        record_.inbox.uid_validity = uid_validity_at(now_, before.inbox.uid_validity);
        record_.inbox.changed = engine::ChangeNumber(number_.value + 1);
        if (!before.others) return;
        record_.others = before.others;
        auto& others = *record_.others;
        others.mailboxes = others.removed = others.messages = others.octets = 0;
    }

    static bool same_counts(const AccountRecord& a, const AccountRecord& b) {
        const auto others = [](const AccountRecord& r) { return r.others.value_or(OtherMailboxes()); };
        return a.inbox.totals == b.inbox.totals && a.inbox.next_order == b.inbox.next_order &&
               a.totals() == b.totals() && a.views == b.views && others(a).mailboxes == others(b).mailboxes &&
               others(a).removed == others(b).removed && others(a).next == others(b).next;
    }

    template <class See>
    Task<Result<>> walk(engine::KeyRange range, See see) {
        for (;;) {
            auto page = co_await engine_.scan(account_, range, kPage);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page)
                if (auto seen = co_await see(entry); !seen) co_return seen;
            if (page->size() < kPage) co_return Result<>{};
            range.begin_behind(page->back().key);
        }
    }

    void put(std::string key, std::string value) {
        changed_ = true;
        batch_.put(std::move(key), std::move(value));
    }
    void erase(std::string_view key) {
        changed_ = true;
        batch_.erase(std::string(key));
    }

    Task<Result<>> read_mailboxes() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto record = decode_mailbox(entry.value);
            if (!record) co_return Result<>{};  // made anew, if it has messages
            auto& mailbox = mailboxes_[keys::mailbox_of(entry.key)];
            mailbox.had = entry.value;
            mailbox.record = std::move(*record);
            mailbox.record.totals = {};
            co_return Result<>{};
        };
        return walk(keys::mailboxes(), see);
    }

    // One that can't be read shows all messages from now on. One of a mailbox whose record is lost goes with that.
    Task<Result<>> read_views() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            const auto of = keys::view_of(entry.key);
            const auto home = mailboxes_.find(of.mailbox);
            if (of.mailbox != kInbox && (home == mailboxes_.end() || home->second.record.removed)) {
                erase(entry.key);
                co_return Result<>{};
            }
            auto record = decode_view(entry.value);
            auto& view = views_[of];
            view.had = entry.value;
            view.record.used = now_;
            if (record) view.record = std::move(*record);
            view.record.hidden_totals = {};
            ++view.record.changes;
            co_return Result<>{};
        };
        if (auto done = co_await walk(keys::views(), see); !done) co_return done;
        std::set<MailboxId> with_views;
        for (const auto& [of, view] : views_) {
            with_views.insert(of.mailbox);
            auto& next = mailbox(of.mailbox).next_order;
            if (const auto& ranges = view.record.hidden.ranges(); !ranges.empty())
                next = std::max(next, OrderKey(ranges.back().last.value + 1));
        }
        for (auto id : with_views) {
            const MailboxView classic(kClassicView, id);
            if (!views_.contains(classic)) views_[classic].record.used = now_;
        }
        record_.views = views_.size();
        co_return Result<>{};
    }

    void put_views() {
        for (auto& [id, view] : views_) {
            auto as_it_was = view.record;
            --as_it_was.changes;
            if (encode(as_it_was) != view.had) changed_ = true;
            batch_.put(keys::view(id), encode(view.record));
        }
    }

    MailboxRecord& mailbox(MailboxId id) {
        if (id == kInbox) return record_.inbox;
        auto& record = mailboxes_[id].record;
        if (record.name.empty()) record.name = fmt::format("Recovered/{}", id.value);
        return record;
    }

    // False: the message was counted already, and this second entry goes.
    bool count(const StoredMessage& message, engine::EntryView entry) {
        auto& next = mailbox(message.mailbox).next_order;
        next = std::max(next, OrderKey(std::max(message.order.value, message.own_uid.value) + 1));
        if (!seen_.insert(message.unique_id).second) {
            erase(entry.key);
            return false;
        }
        if (message.copied) ++copies_[message.body];
        bodies_.insert(message.body);
        return true;
    }

    Task<Result<>> count_live() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto message = decode_message(entry);  // unreadable: reported by check(), its bytes are kept
            if (!message || !count(*message, entry)) co_return Result<>{};
            count_in(mailbox(message->mailbox).totals, *message);
            for (auto& [of, view] : views_)
                if (of.mailbox == message->mailbox && view.record.hidden.range_with(message->order))
                    count_in(view.record.hidden_totals, static_cast<const Message&>(*message));
            if (message->own_uid.value != 0)
                uids_[keys::uid(message->mailbox, message->own_uid)] = encode_number(message->order.value);
            co_return co_await index(*message, live_place(*message));
        };
        return walk(keys::messages(), see);
    }

    Task<Result<>> count_retained() {
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            auto retained = decode_retained(entry);
            if (!retained || !count_retained_one(*retained, entry)) co_return Result<>{};
            co_return co_await index(retained->message, place_of(*retained));
        };
        return walk(keys::retained(), see);
    }

    bool count_retained_one(const RetainedMessage& retained, engine::EntryView entry) {
        const auto& message = retained.message;
        // A mailbox that is gone is not made anew for messages that were deleted from it.
        const bool home = message.mailbox == kInbox || mailboxes_.contains(message.mailbox);
        if (home ? !count(message, entry) : !seen_.insert(message.unique_id).second) return false;
        if (!home && message.copied) ++copies_[message.body];
        if (!home) bodies_.insert(message.body);
        if (!home) last_lost_ = std::max(last_lost_, message.mailbox);
        ++record_.retained_messages;
        record_.retained_octets += message.octets;
        if (record_.earliest_expiry == Timestamp{}) record_.earliest_expiry = retained.expires;
        return true;
    }

    Task<Result<>> index(const StoredMessage& message, Place place) {
        auto key = keys::unique_id(message.unique_id);
        auto wanted = encode(place);
        const bool may_lack = place.area == Place::Area::live && is_found_by_place(message);
        auto value = co_await engine_.get(account_, key);
        if (!value && value.error().code() != Errc::not_found) co_return pass_on(value);
        if (value ? *value != wanted : !may_lack) put(std::move(key), std::move(wanted));
        co_return Result<>{};
    }

    // Entries of the index that name no message.
    Task<Result<>> sweep_index() {
        const auto prefix = keys::unique_id("").size();
        auto see = [this, prefix](engine::EntryView entry) -> Task<Result<>> {
            if (!seen_.contains(std::string(entry.key.substr(prefix)))) erase(entry.key);
            co_return Result<>{};
        };
        return walk(keys::unique_ids(), see);
    }

    Task<Result<>> sweep_uids() { return fit(keys::uids(), uids_); }

    Task<Result<>> sweep_copies() {
        std::map<std::string, std::string> wanted;
        for (auto [body, count] : copies_) wanted[keys::copies(body)] = encode_number(count);
        return fit(keys::copies(), std::move(wanted));
    }

    Task<Result<>> sweep_names() {
        std::map<std::string, std::string> wanted;
        for (auto& [id, mailbox] : mailboxes_) {
            if (mailbox.record.removed) continue;
            // Two of one name: the later one gets another.
            const auto named = [&] { return keys::name(mailbox.record.name); };
            while (!wanted.emplace(named(), encode_number(id.value)).second)
                mailbox.record.name = fmt::format("{} {}", mailbox.record.name, id.value);
        }
        return fit(keys::names(), std::move(wanted));
    }

    /// Makes the rows of a range those of `wanted`.
    Task<Result<>> fit(engine::KeyRange range, std::map<std::string, std::string> wanted) {
        auto see = [this, &wanted](engine::EntryView entry) -> Task<Result<>> {
            auto found = wanted.find(std::string(entry.key));
            if (found == wanted.end()) {
                erase(entry.key);
                co_return Result<>{};
            }
            if (found->second == entry.value) wanted.erase(found);
            co_return Result<>{};
        };
        auto done = co_await walk(std::move(range), see);
        if (!done) co_return done;
        for (auto& [key, value] : wanted) put(key, std::move(value));
        co_return Result<>{};
    }

    // Readers of the log begin anew.
    Task<Result<>> drop_log() {
        record_.log.emplace().forgotten = engine::ChangeNumber(number_.value + 1);
        auto see = [this](engine::EntryView entry) -> Task<Result<>> {
            batch_.erase(std::string(entry.key));
            co_return Result<>{};
        };
        return walk(keys::changes(), see);
    }

    Task<Result<>> sweep_facts() {
        std::map<std::string, std::string> wanted;
        auto see = [&wanted](engine::EntryView entry) -> Task<Result<>> {
            auto fact = decode_fact(entry.value);
            if (fact) wanted.emplace(keys::fact_expiry(fact->expires, keys::name_of(entry.key)), "");
            co_return Result<>{};
        };
        if (auto done = co_await walk(keys::facts(), see); !done) co_return done;
        co_return co_await fit(keys::fact_expiries(), std::move(wanted));
    }

    // Structures are made anew; a thread is its messages' for ever.
    Task<Result<>> sweep_kept() {
        auto drop = [this](engine::EntryView entry) -> Task<Result<>> {
            batch_.erase(std::string(entry.key));
            co_return Result<>{};
        };
        if (auto done = co_await walk(keys::structures(), drop); !done) co_return done;
        std::map<std::string, std::string> marks;
        auto see = [this, &marks](engine::EntryView entry) -> Task<Result<>> {
            auto row = decode_thread(entry.value);
            if (!row || !bodies_.contains(keys::body_of(entry.key))) {
                erase(entry.key);
                co_return Result<>{};
            }
            ++record_.kept.threads;
            for (const auto& mark : row->left)
                marks.emplace(keys::thread_mark({mark.data(), mark.size()}), encode(row->thread));
            co_return Result<>{};
        };
        if (auto done = co_await walk(keys::threads(), see); !done) co_return done;
        co_return co_await fit(keys::thread_marks(), std::move(marks));
    }

    void put_mailboxes() {
        if (mailboxes_.empty() && last_lost_ == MailboxId()) return;
        if (!record_.others) record_.others.emplace();
        auto& others = *record_.others;
        // A mailbox that is made now must not be taken for the one that a retained message came from.
        others.next = std::max(others.next, MailboxId(last_lost_.value + 1));
        for (auto& [id, mailbox] : mailboxes_) {
            auto& record = mailbox.record;
            others.next = std::max(others.next, MailboxId(id.value + 1));
            ++(record.removed ? others.removed : others.mailboxes);
            others.messages += record.totals.messages;
            others.octets += record.totals.octets;
            if (encode(record) != mailbox.had) changed_ = true;
            record.changed = engine::ChangeNumber(number_.value + 1);
            record.uid_validity = uid_validity_at(now_, std::max(others.last_uid_validity, record.uid_validity));
            others.last_uid_validity = record.uid_validity;
            batch_.put(keys::mailbox(id), encode(record));
        }
    }

    engine::Engine& engine_;
    AccountId account_;
    Timestamp now_;
    engine::ChangeNumber number_;
    AccountRecord before_, record_;
    MailboxId last_lost_{};                 // of those that only retained messages speak of
    std::map<MailboxId, Seen> mailboxes_;   // beside INBOX
    std::unordered_set<std::string> seen_;  // unique-ids
    std::map<std::string, std::string> uids_;
    std::map<engine::BodyId, std::uint64_t> copies_;
    struct SeenView {
        ViewRecord record;
        std::string had;
    };
    std::map<MailboxView, SeenView> views_;
    std::set<engine::BodyId> bodies_;  // that messages have
    engine::Batch batch_;
    bool changed_ = false;  // what was there did not fit
};

}  // namespace

Task<Result<bool>> repair_account(engine::Engine& engine, AccountId account, Timestamp now) {
    Repair repair(engine, account, now);
    co_return co_await repair.run();
}

}  // namespace poplar::mailstore
