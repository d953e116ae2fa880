#include "inspection/settings.h"

#include "config/keys.h"
#include "http/url.h"
#include "inspection/options.h"

namespace poplar::inspection {

void add_settings(config::Keys& keys, Options& options) {
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    auto check_url = [](std::string& text) {
        auto url = http::parse_url(text);
        return text.empty() || url ? std::string() : url.error().detail();
    };
    keys.text("filter.rspamd.url", options.rspamd.url,
              "rspamd's normal worker, such as `http://127.0.0.1:11333`. Empty: it is not asked.",
              config::Empty::allowed, check_url);
    keys.duration("filter.rspamd.timeout", options.rspamd.timeout, milliseconds(100), minutes(5),
                  "For rspamd to answer, with the message sent to it.");
    keys.choice<OnError>("filter.rspamd.on_error", options.rspamd.on_error,
                         config::Words<OnError>{{"accept", OnError::accept}, {"tempfail", OnError::tempfail}},
                         "Where rspamd does not answer, or answers nonsense: `accept` takes the message as it is, "
                         "`tempfail` tells the sender to come again (451).");
}

}  // namespace poplar::inspection
