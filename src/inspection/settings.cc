#include "inspection/settings.h"

#include "config/keys.h"
#include "http/url.h"
#include "inspection/milter.h"
#include "inspection/options.h"

namespace poplar::inspection {

namespace {

const config::Words<OnError> kOnError = {{"accept", OnError::accept}, {"tempfail", OnError::tempfail}};

void add_milter(config::Keys& keys, MilterOptions& milter) {
    auto check = [](std::string& text) {
        auto place = parse_milter_place(text);
        return place ? std::string() : place.error().detail();
    };
    keys.text("socket", milter.socket, "", config::Empty::refused, check);
    keys.duration("timeout", milter.timeout, std::chrono::milliseconds(100), std::chrono::minutes(10), "");
    keys.choice<OnError>("on_error", milter.on_error, kOnError, "");
}

}  // namespace

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
    keys.choice<OnError>("filter.rspamd.on_error", options.rspamd.on_error, kOnError,
                         "Where rspamd does not answer, or answers nonsense: `accept` takes the message as it is, "
                         "`tempfail` tells the sender to come again (451).");
    keys.text("filter.rspamd.controller", options.rspamd.controller,
              "rspamd's controller, such as `http://127.0.0.1:11334`, for `poplar mail learn`. Empty: nobody learns.",
              config::Empty::allowed, check_url);
    keys.path("filter.rspamd.password_file", options.rspamd.password_file,
              "A file whose first line is the controller's password. Empty: it wants none.", config::Empty::allowed);
    keys.tables<MilterOptions>("filter.milter", options.milters, add_milter,
                               "Milters, one section each, asked in their order and before rspamd. See "
                               "[filters.md](filters.md#milters).");
}

}  // namespace poplar::inspection
