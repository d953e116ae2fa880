#include "quota/settings.h"

#include "config/keys.h"
#include "quota/quotas.h"

namespace poplar::quota {

void add_settings(config::Keys& keys, Options& options) {
    const config::Words<FullReply> words = {{"defer", FullReply::defer}, {"reject", FullReply::reject}};
    keys.choice<FullReply>("quota.full_reply", options.full_reply, words,
                           "To a recipient whose mailbox is full: `defer` (`452 4.2.2`: the sender's server tries "
                           "again, for days as a rule) "
                           "or `reject` (`552 5.2.2`: the sender is told at once). While it is only messages under way "
                           "that fill it: always "
                           "`452 4.2.2`. See [quota.md](quota.md).");
}

}  // namespace poplar::quota
