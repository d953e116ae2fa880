// Removing: a message is only moved to the retained area.
#include <algorithm>
#include <map>

#include "mailstore/changes.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"

namespace poplar::mailstore {

namespace {
constexpr std::size_t kFewGets = 16;  // more messages are found faster by a scan
constexpr std::size_t kPage = 1000;   // entries a scan
}  // namespace

Task<Result<>> Changes::remove(AccountId account, Hot& hot, std::vector<Victim> victims, std::string reason) {
    auto attempt = [&] { return try_remove(account, hot, victims, reason); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_remove(AccountId account, Hot& hot, const std::vector<Victim>& victims,
                                   std::string_view reason) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    auto found = co_await still_there(account, kInbox, victims);
    if (!found) co_return pass_on(found);
    if (found->empty()) co_return Result<>{};
    const Deleter by{std::string(reason)};
    for (auto& message : *found) retain(*draft, draft->record().inbox, std::move(message), by);
    co_return co_await commit(account, hot, std::move(*draft));
}

Task<Result<std::vector<StoredMessage>>> Changes::still_there(AccountId account, MailboxId mailbox,
                                                              const std::vector<Victim>& victims) {
    std::vector<StoredMessage> found;
    if (victims.empty()) co_return found;
    if (victims.size() <= kFewGets) {
        for (const auto& victim : victims) {
            auto key = keys::message(mailbox, victim.order);
            auto value = co_await engine_.get(account, key);
            if (!value && value.error().code() == Errc::not_found) continue;
            if (!value) co_return pass_on(value);
            auto message = decode_message({std::move(key), std::move(*value)});
            if (!message) co_return pass_on(message);
            if (victim.is(*message)) found.push_back(std::move(*message));
        }
        co_return found;
    }
    auto range = keys::messages(mailbox, victims.front().order);
    range.end = keys::message(mailbox, OrderKey(victims.back().order.value + 1));
    auto next = victims.begin();
    for (;;) {
        auto page = co_await engine_.scan(account, range, kPage);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            while (next != victims.end() && keys::message(mailbox, next->order) < entry.key) ++next;
            if (next == victims.end() || keys::message(mailbox, next->order) != entry.key) continue;
            auto message = decode_message(entry);
            if (!message) co_return pass_on(message);
            if (next->is(*message)) found.push_back(std::move(*message));
        }
        if (page->size() < kPage) co_return found;
        range.begin_behind(page->back().key);
    }
}

void Changes::retain(Draft& draft, MailboxRecord& from, StoredMessage message, const Deleter& by) {
    take_out(draft, from, message);
    if (!from.removed) draft.row.add(Change::Kind::removed, message.mailbox, message.uid());
    RetainedMessage retained;
    retained.deleted = clock_.now();
    retained.expires = expiry_of(draft.record(), retained);
    retained.reason = by.reason;
    retained.devices = by.devices;
    retained.mailbox = from.name;
    retained.message = std::move(message);
    auto& record = draft.record();
    ++record.retained_messages;
    record.retained_octets += retained.message.octets;
    auto& earliest = record.earliest_expiry;
    if (earliest == Timestamp{} || retained.expires < earliest) earliest = retained.expires;
    draft.batch.put(keys::retained(retained.expires, retained.message.mailbox, retained.message.order),
                    encode(retained));
    draft.batch.put(keys::unique_id(retained.message.unique_id), encode(place_of(retained)));
}

Task<Result<>> Changes::remove_by_id(AccountId account, Hot& hot, std::vector<std::string> unique_ids,
                                     std::string reason) {
    std::ranges::sort(unique_ids);
    unique_ids.erase(std::ranges::unique(unique_ids).begin(), unique_ids.end());
    auto attempt = [&] { return try_remove_by_id(account, hot, unique_ids, reason); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_remove_by_id(AccountId account, Hot& hot, const std::vector<std::string>& unique_ids,
                                         std::string_view reason) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    std::vector<StoredMessage> found;
    auto snapshot = engine_.snapshot(account);
    for (const auto& unique_id : unique_ids) {
        auto one = co_await look_up(engine_, account, unique_id, snapshot);
        if (!one && one.error().code() == Errc::not_found) continue;
        if (!one) co_return pass_on(one);
        if (!one->retained) found.push_back(std::move(one->message));
    }
    if (found.empty()) co_return Result<>{};
    std::ranges::sort(found, {}, [](const auto& message) { return std::pair(message.mailbox, message.uid()); });
    const Deleter by{std::string(reason)};
    for (auto& message : found) {
        auto from = co_await mailbox(account, *draft, message.mailbox);
        if (!from) co_return pass_on(from);
        retain(*draft, **from, std::move(message), by);
    }
    co_return co_await commit(account, hot, std::move(*draft));
}

}  // namespace poplar::mailstore
