#include "queue/settings.h"

#include "config/keys.h"
#include "queue/queue.h"
#include "queue/sending_limits.h"

namespace poplar::queue {

void add_settings(config::Keys& keys, Options& options) {
    keys.duration("queue.keep_finished", options.keep_finished, std::chrono::seconds(0), std::chrono::days(365),
                  "How long `poplar queue show` knows what became of a message that was delivered, or given up.");
}

void add_settings(config::Keys& keys, SendingQuota& quota) {
    using config::kMillion;
    auto number = [&](const char* name, std::uint32_t& value, std::string words) {
        keys.number(std::string("submission.") + name, value, 0, kMillion, std::move(words));
    };
    number("messages_per_hour", quota.messages_per_hour,
           "Messages of an account in an hour (by the clock, UTC); more: `450 4.7.1`. 0: any number.");
    number("messages_per_day", quota.messages_per_day, "And on a day.");
    number("recipients_per_hour", quota.recipients_per_hour,
           "Recipients of an account's messages in an hour; more: `450 4.7.1`. 0: any number.");
    number("recipients_per_day", quota.recipients_per_day, "And on a day.");
    number(
        "new_recipients_per_hour", quota.new_recipients_per_hour,
        "Recipients elsewhere that the account never wrote to before, in an hour; more: `450 4.7.1`. 0: any number.");
    number("new_recipients_per_day", quota.new_recipients_per_day,
           "And on a day. A stolen password is mostly used to write to strangers.");
}

}  // namespace poplar::queue
