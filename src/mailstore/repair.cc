// After damage cost the log some commits, an account's parts may no longer fit each other: a counter speaks of a
// message that is lost, the index of a place where nothing is. The message records are the truth; the rest is made to
// fit.
#include "mailstore/repair.h"

#include <algorithm>
#include <unordered_set>

#include "base/random.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kPage = 1000;  // entries a scan

class Repair {
public:
    Repair(engine::Engine& engine, AccountId account) : engine_(engine), account_(account) {}

    Task<Result<bool>> run() {
        auto number = co_await engine_.change_number(account_);
        if (!number) co_return pass_on(number);
        if (number->value == 0) co_return false;
        auto value = co_await engine_.get(account_, keys::mailbox());
        if (!value && value.error().code() != Errc::not_found) co_return pass_on(value);
        auto before = value ? decode_mailbox(*value) : Result<MailboxRecord>(MailboxRecord{});

        for (auto area : {Place::Area::live, Place::Area::retained})
            if (auto walked = co_await walk(area); !walked) co_return pass_on(walked);
        if (auto swept = co_await sweep_index(); !swept) co_return pass_on(swept);
        if (before) {
            record_.next_order = std::max(record_.next_order, before->next_order);
            record_.closed = before->closed;
        }
        bool fits =
            batch_.empty() && before && before->totals == record_.totals && before->next_order == record_.next_order;
        // The lost commits may have given out unique-ids that clients remember: those to come are of a new generation.
        record_.generation = random_text(kGenerationLength);
        batch_.put(keys::mailbox(), encode(record_));
        auto done = co_await engine_.commit(account_, std::move(batch_), *number);
        if (!done) co_return pass_on(done);
        co_return !fits;
    }

private:
    Task<Result<>> walk(Place::Area area) {
        auto range = area == Place::Area::live ? keys::messages() : keys::retained();
        for (;;) {
            auto page = co_await engine_.scan(account_, range, kPage);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                auto message = count(area, entry);
                if (!message) continue;  // unreadable: reported by check(), its bytes are kept
                if (auto indexed = co_await index(message->first, message->second); !indexed) co_return indexed;
            }
            if (page->size() < kPage) co_return Result<>{};
            range.begin_behind(page->back().key);
        }
    }

    // The message and its place, counted; nothing for a record that can't be read or a second one of a message.
    std::optional<std::pair<Message, Place>> count(Place::Area area, engine::EntryView entry) {
        Message message;
        Place place{area, {}, {}};
        if (area == Place::Area::live) {
            auto live = decode_message(entry);
            if (!live) return std::nullopt;
            message = std::move(*live);
        } else {
            auto retained = decode_retained(entry);
            if (!retained) return std::nullopt;
            place.expires = retained->expires;
            message = std::move(retained->message);
        }
        place.order = message.order;
        record_.next_order = std::max(record_.next_order, OrderKey(message.order.value + 1));
        if (!seen_.insert(message.unique_id).second) {
            batch_.erase(std::string(entry.key));
            return std::nullopt;
        }
        auto& totals = record_.totals;
        bool live = area == Place::Area::live;
        if (live) {
            count_in(totals, message);
        } else {
            ++totals.retained_messages;
            totals.retained_octets += message.octets;
        }
        if (!live && record_.earliest_expiry == Timestamp{}) record_.earliest_expiry = place.expires;
        return std::pair(std::move(message), place);
    }

    Task<Result<>> index(Message message, Place place) {
        auto key = keys::unique_id(message.unique_id);
        auto wanted = encode(place);
        auto value = co_await engine_.get(account_, key);
        if (!value && value.error().code() != Errc::not_found) co_return pass_on(value);
        const bool may_lack = place.area == Place::Area::live && is_found_by_order(message);
        if (value ? *value != wanted : !may_lack) batch_.put(std::move(key), std::move(wanted));
        co_return Result<>{};
    }

    // Entries of the index that name no message.
    Task<Result<>> sweep_index() {
        auto range = keys::unique_ids();
        const auto prefix = range.begin.size();
        for (;;) {
            auto page = co_await engine_.scan(account_, range, kPage);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page)
                if (!seen_.contains(std::string(entry.key.substr(prefix)))) batch_.erase(std::string(entry.key));
            if (page->size() < kPage) co_return Result<>{};
            range.begin_behind(page->back().key);
        }
    }

    engine::Engine& engine_;
    AccountId account_;
    MailboxRecord record_;
    std::unordered_set<std::string> seen_;  // unique-ids
    engine::Batch batch_;
};

}  // namespace

Task<Result<bool>> repair_account(engine::Engine& engine, AccountId account) {
    Repair repair(engine, account);
    co_return co_await repair.run();
}

}  // namespace poplar::mailstore
