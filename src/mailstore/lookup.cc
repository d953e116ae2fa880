// A unique-id is looked for in the index first, which has all those that were brought along and those of retained
// messages. One that was made for a live message is not there: the place in it says where the message must be.
// The unique-id in the message's own record decides; the place may be another's if the id was never made here, or was
// made in an earlier generation.
#include "mailstore/lookup.h"

#include "mailstore/keys.h"

namespace poplar::mailstore {

Result<Found> decode_found(Place::Area area, engine::EntryView entry) {
    if (area == Place::Area::live) {
        auto message = decode_message(entry);
        if (!message) return pass_on(message);
        return Found{std::move(*message), std::nullopt};
    }
    auto retained = decode_retained(entry);
    if (!retained) return pass_on(retained);
    Retention retention{retained->deleted, retained->expires, std::move(retained->reason),
                        std::move(retained->mailbox)};
    return Found{std::move(retained->message), std::move(retention)};
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

}  // namespace poplar::mailstore
