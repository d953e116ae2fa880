#include "activity/settings.h"

#include "activity/ledger.h"
#include "config/keys.h"

namespace poplar::activity {

void add_settings(config::Keys& keys, Options& options) {
    using std::chrono::days;
    using std::chrono::hours;
    keys.duration("activity.keep", options.keep, hours(0), days(3'650),
                  "How long an account's ledger (`poplar activity`) knows what happened. `\"0s\"`: nothing is noted.");
    keys.number(
        "activity.entries", options.entries, 1, 1'000,
        "Entries a day of each account and kind (logins, refused logins, deletions, ...). When there are more, "
        "hours of one place are joined; what comes from more places than that is summed up in one further entry. So "
        "guesses never push out an entry of anything.");
}

}  // namespace poplar::activity
