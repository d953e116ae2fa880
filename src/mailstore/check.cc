#include "mailstore/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "mailstore/record.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kPage = 1000;  // entries a scan

/// One walk over a snapshot of an account.
class Check {
public:
    Check(engine::Engine& engine, AccountId account)
        : engine_(engine), account_(account), snapshot_(engine.snapshot(account)) {}

    Task<Result<>> run() {
        auto value = co_await engine_.get(account_, keys::mailbox(), snapshot_);
        if (value) {
            auto record = decode_mailbox(*value);
            if (!record) co_return pass_on(record);
            record_ = std::move(*record);
        } else if (value.error().code() != Errc::not_found) {
            co_return pass_on(value);
        }
        auto live = co_await walk(Place::Area::live);
        if (!live) co_return live;
        auto retained = co_await walk(Place::Area::retained);
        if (!retained) co_return retained;
        auto index = co_await count_index();
        if (!index) co_return pass_on(index);
        co_return compare(*index);
    }

private:
    Task<Result<>> walk(Place::Area area) {
        auto range = area == Place::Area::live ? keys::messages() : keys::retained();
        for (;;) {
            auto page = co_await engine_.scan(account_, range, kPage, snapshot_);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                auto seen = area == Place::Area::live ? see_live(entry) : see_retained(entry);
                if (!seen) co_return pass_on(seen);
                auto indexed = co_await expect_index(std::move(seen->first), seen->second);
                if (!indexed) co_return indexed;
            }
            if (page->size() < kPage) co_return Result<>{};
            range.begin_behind(page->back().key);
        }
    }

    using Seen = Result<std::pair<Message, Place>>;  // a message and where the index should have it

    Seen see_live(engine::EntryView entry) {
        auto message = decode_message(entry);
        if (!message) return pass_on(message);
        count_in(counted_, *message);
        last_order_ = std::max(last_order_, message->order);
        const Place place{Place::Area::live, message->order, {}};
        return std::pair{std::move(*message), place};
    }

    Seen see_retained(engine::EntryView entry) {
        auto retained = decode_retained(entry);
        if (!retained) return pass_on(retained);
        if (counted_.retained_messages == 0) first_expiry_ = retained->expires;
        ++counted_.retained_messages;
        counted_.retained_octets += retained->message.octets;
        last_order_ = std::max(last_order_, retained->message.order);
        const Place place{Place::Area::retained, retained->message.order, retained->expires};
        return std::pair{std::move(retained->message), place};
    }

    Task<Result<>> expect_index(Message message, Place expected) {
        const auto& unique_id = message.unique_id;
        auto value = co_await engine_.get(account_, keys::unique_id(unique_id), snapshot_);
        if (!value && value.error().code() == Errc::not_found) {
            if (expected.area == Place::Area::live && is_found_by_order(message)) co_return Result<>{};
            co_return fail(Errc::corrupt, fmt::format("message {} is not in the unique-id index", unique_id));
        }
        if (!value) co_return pass_on(value);
        ++expected_entries_;
        auto place = decode_place(*value);
        if (!place) co_return pass_on(place);
        if (place->area != expected.area || place->order != expected.order || place->expires != expected.expires)
            co_return fail(Errc::corrupt, fmt::format("the unique-id index has message {} elsewhere", unique_id));
        co_return Result<>{};
    }

    Task<Result<std::uint64_t>> count_index() {
        auto range = keys::unique_ids();
        std::uint64_t count = 0;
        for (;;) {
            auto page = co_await engine_.scan(account_, range, kPage, snapshot_);
            if (!page) co_return pass_on(page);
            count += page->size();
            if (page->size() < kPage) co_return count;
            range.begin_behind(page->back().key);
        }
    }

    Result<> compare(std::uint64_t indexed) const {
        const auto& had = record_.totals;
        auto differs = [](std::string_view what, std::uint64_t recorded, std::uint64_t counted) {
            return fail(Errc::corrupt, fmt::format("{}: {} recorded, {} counted", what, recorded, counted));
        };
        if (had.messages != counted_.messages) return differs("messages", had.messages, counted_.messages);
        if (had.octets != counted_.octets) return differs("octets", had.octets, counted_.octets);
        if (had.retained_messages != counted_.retained_messages)
            return differs("retained messages", had.retained_messages, counted_.retained_messages);
        if (had.retained_octets != counted_.retained_octets)
            return differs("retained octets", had.retained_octets, counted_.retained_octets);
        if (had.utf8_messages != counted_.utf8_messages)
            return differs("messages with UTF-8 headers", had.utf8_messages, counted_.utf8_messages);
        if (had.ascii_growth != counted_.ascii_growth)
            return differs("octets without UTF-8", had.ascii_octets(), counted_.ascii_octets());
        if (indexed != expected_entries_) return differs("unique-ids", indexed, expected_entries_);
        if (last_order_ >= record_.next_order)
            return differs("next place in the order", record_.next_order.value, last_order_.value);
        bool expires = counted_.retained_messages > 0;
        if (expires != (record_.earliest_expiry != Timestamp{}) || (expires && record_.earliest_expiry > first_expiry_))
            return fail(Errc::corrupt, "a retained message expires before the recorded time");
        return {};
    }

    engine::Engine& engine_;
    AccountId account_;
    std::shared_ptr<const engine::Snapshot> snapshot_;
    MailboxRecord record_;
    MailboxTotals counted_;
    std::uint64_t expected_entries_ = 0;  // of the unique-id index
    OrderKey last_order_;
    Timestamp first_expiry_{};
};

}  // namespace

Task<Result<>> check_account(engine::Engine& engine, AccountId account) {
    Check check(engine, account);
    co_return co_await check.run();
}

}  // namespace poplar::mailstore
