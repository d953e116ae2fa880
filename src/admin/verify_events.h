#pragma once
// What a verification says, as the API says it: to the admin socket's client, or to the command line with the server
// stopped.
#include "api/server.h"
#include "upkeep/verify.h"

namespace poplar::admin {

api::VerifyEvent damage_event(const upkeep::NamedDamage& named);
api::VerifyEvent progress_event(const engine::VerifyTotals& totals);
api::VerifyEvent done_event(const upkeep::VerifyOutcome& outcome);

}  // namespace poplar::admin
