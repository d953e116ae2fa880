#include "admin/verify_events.h"

namespace poplar::admin {

api::VerifyEvent damage_event(const upkeep::NamedDamage& named) {
    const auto& damage = named.damage;
    api::VerifyEvent event;
    event.type = "damage";
    event.what = damage.what;
    if (!damage.file.empty()) event.file = damage.file, event.offset = damage.offset;
    if (damage.partition) event.partition = damage.partition->value;
    if (damage.body) event.body = damage.body->value;
    if (!named.account.empty()) event.account = named.account;
    if (!named.unique_id.empty()) event.message = named.unique_id;
    return event;
}

api::VerifyEvent progress_event(const engine::VerifyTotals& totals) {
    api::VerifyEvent event;
    event.type = "progress";
    event.segments = totals.segments;
    event.records = totals.records;
    event.bodies = totals.bodies;
    event.octets = totals.octets;
    event.damaged = totals.damaged;
    return event;
}

api::VerifyEvent done_event(const upkeep::VerifyOutcome& outcome) {
    auto event = progress_event(outcome.totals);
    event.type = "done";
    event.accounts = outcome.accounts;
    return event;
}

}  // namespace poplar::admin
