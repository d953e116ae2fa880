// A unique-id is looked for in the index first, which has all those that were brought along and those of retained
// messages. One that was made for a live message is not there: the place in it says where the message must be.
// The unique-id in the message's own record decides; the place may be another's if the id was never made here, or was
// made in an earlier generation.
#include "mailstore/lookup.h"

#include <algorithm>

#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kFewGets = 16;  // more messages are found faster by a scan, if they are not far apart
constexpr std::size_t kSparse = 8;    // places passed over for each that is wanted
constexpr std::size_t kPage = 1000;   // entries a scan

}  // namespace

Result<Found> decode_found(Place::Area area, engine::EntryView entry) {
    if (area == Place::Area::live) {
        auto message = decode_message(entry);
        if (!message) return pass_on(message);
        return Found{std::move(*message), std::nullopt};
    }
    auto retained = decode_retained(entry);
    if (!retained) return pass_on(retained);
    Deletion deletion{retained->deleted, retained->expires, std::move(retained->reason), std::move(retained->mailbox)};
    return Found{std::move(retained->message), std::move(deletion)};
}

Task<Result<Found>> look_up(engine::Engine& engine, AccountId account, std::string unique_id,
                            std::shared_ptr<const engine::Snapshot> snapshot) {
    auto indexed = co_await engine.get(account, keys::unique_id(unique_id), snapshot);
    if (!indexed && indexed.error().code() != Errc::not_found) co_return pass_on(indexed);
    Place place;
    if (indexed) {
        auto decoded = decode_place(*indexed);
        if (!decoded) co_return pass_on(decoded);
        place = *decoded;
    } else {
        auto told = place_in(unique_id);
        if (!told) co_return pass_on(indexed);
        place = *told;
    }
    const bool live = place.area == Place::Area::live;
    auto key =
        live ? keys::message(place.mailbox, place.order) : keys::retained(place.expires, place.mailbox, place.order);
    auto value = co_await engine.get(account, key, snapshot);
    if (!value && value.error().code() == Errc::not_found && indexed)
        co_return fail(Errc::corrupt, "the unique-id index names a message that is not there");
    if (!value) co_return pass_on(value);
    auto found = decode_found(place.area, {key, *value});
    if (!found || found->message.unique_id == unique_id) co_return found;
    if (indexed) co_return fail(Errc::corrupt, "the unique-id index names another message");
    co_return fail(Errc::not_found, "no message has this unique-id");
}

Task<Result<std::vector<StoredMessage>>> look_up(engine::Engine& engine, AccountId account, MailboxId mailbox,
                                                 std::vector<Uid> uids,
                                                 std::shared_ptr<const engine::Snapshot> snapshot) {
    std::vector<StoredMessage> found;
    if (uids.empty()) co_return found;
    const Uid first = uids.front(), last = uids.back();
    auto take = [&](engine::EntryView entry) -> Result<> {
        auto message = decode_message(entry);
        if (!message) return pass_on(message);
        if (message->own_uid.value == 0) found.push_back(std::move(*message));
        return {};
    };
    if (uids.size() <= kFewGets || last.value - first.value > kSparse * uids.size()) {
        for (auto uid : uids) {
            const auto key = keys::message(mailbox, OrderKey(uid.value));
            auto value = co_await engine.get(account, key, snapshot);
            if (!value && value.error().code() == Errc::not_found) continue;
            if (!value) co_return pass_on(value);
            if (auto taken = take({key, *value}); !taken) co_return pass_on(taken);
        }
    } else {
        auto range = keys::messages(mailbox, OrderKey(first.value));
        range.end = keys::message(mailbox, OrderKey(last.value + 1));
        auto next = uids.begin();
        for (bool more = true; more;) {
            auto page = co_await engine.scan(account, range, kPage, snapshot);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                const auto uid = keys::uid_of(entry.key);  // of a message that has its order for its UID
                next = std::lower_bound(next, uids.end(), uid);
                if (next == uids.end() || *next != uid) continue;
                if (auto taken = take(entry); !taken) co_return pass_on(taken);
            }
            more = page->size() == kPage;
            if (more) range.begin_behind(page->back().key);
        }
    }
    if (found.size() == uids.size()) co_return found;
    // A message that came back to its place has another UID, which leads there.
    auto range = keys::uids(mailbox);
    range = {keys::uid(mailbox, first), std::min(range.end, keys::uid(mailbox, Uid(last.value + 1)))};
    for (bool more = true; more;) {
        auto page = co_await engine.scan(account, range, kPage, snapshot);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            if (!std::ranges::binary_search(uids, keys::uid_of(entry.key))) continue;
            auto order = decode_number(entry.value);
            if (!order) co_return pass_on(order);
            const auto key = keys::message(mailbox, OrderKey(*order));
            auto value = co_await engine.get(account, key, snapshot);
            if (!value && value.error().code() == Errc::not_found)
                co_return fail(Errc::corrupt, "a UID leads to a message that is not there");
            if (!value) co_return pass_on(value);
            auto message = decode_message({key, *value});
            if (!message) co_return pass_on(message);
            found.push_back(std::move(*message));
        }
        more = page->size() == kPage;
        if (more) range.begin_behind(page->back().key);
    }
    std::ranges::sort(found, {}, &StoredMessage::uid);
    co_return found;
}

}  // namespace poplar::mailstore
