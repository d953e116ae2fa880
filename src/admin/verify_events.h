#pragma once
// Turns the findings of a verification into api::VerifyEvents, for the admin socket's client or, with the server
// stopped, for the command line.
#include "api/server.h"
#include "upkeep/verify.h"

namespace poplar::admin {

api::VerifyEvent damage_event(const upkeep::NamedDamage& named);
api::VerifyEvent progress_event(const engine::VerifyTotals& totals);
api::VerifyEvent done_event(const upkeep::VerifyOutcome& outcome);

}  // namespace poplar::admin
