#include "mailstore/settings.h"

#include "config/keys.h"
#include "mailstore/mail_store.h"
#include "mailstore/mailbox_name.h"

namespace poplar::mailstore {

namespace {

std::string check_mailbox(const std::string& text) {
    auto parsed = parse_default_mailbox(text);
    return parsed ? std::string() : parsed.error().detail();
}

}  // namespace

void add_settings(config::Keys& keys, Options& options) {
    using config::kMillion;
    using std::chrono::days;
    using std::chrono::seconds;
    keys.duration("storage.retention", options.retention, seconds(0), days(36'500),
                  "How long deleted mail is kept (`poplar mail deleted`), and the mail of removed accounts. `\"0s\"`: "
                  "goes at the next round.");
    keys.size("storage.retained_limit", options.retained_limit, 0, config::Keys::kMostOctets,
              "Octets of deleted mail that an account keeps; beside its quota. Over it, in each round "
              "(`storage.expire_every`), what was deleted on the day that would end first goes, and so on; what was "
              "deleted on the latest day never does. `0`: no limit.");
    keys.size(
        "storage.list_cache", options.list_cache, 0, config::Keys::kMostOctets,
        "Memory for the lists of messages of unchanged maildrops, kept for their next session; about 96 octets a "
        "message, 128 where unique-ids have over 15 characters. A list takes half of it at most. `0`: none are kept.");
    keys.size(
        "storage.uid_list_cache", options.uid_list_cache, 0, config::Keys::kMostOctets,
        "Memory for the lists of UIDs and flags of mailboxes that more than POP reads, kept for the next time; 16 "
        "octets a message. A list takes half of it at most. `0`: none are kept.");
    keys.number("storage.change_log_rows", options.change_log_rows, 100, 10 * kMillion,
                "How many changes of an account are remembered for programs that read it now and then: one that comes "
                "later than that reads all of it anew. 100 to 10000000.");
    keys.duration("storage.change_log_age", options.change_log_age, days(1), days(36'500),
                  "And for how long. 1 to 36500 days.");
    keys.duration(
        "storage.view_unused", options.view_unused, days(1), days(36'500),
        "A device that has a view of its own and did not come for so long holds back no mail any more that all "
        "others have deleted. 1 to 36500 days.");
    keys.texts("mailboxes.default", options.default_mailboxes, "mailboxes like [\"Sent:sent\", \"Lists\"]",
               check_mailbox,
               "The mailboxes that an account gets when anybody first looks at more of it than INBOX: a name, and "
               "perhaps `:` and what it is for, `drafts`, `sent`, `junk`, `trash` or `archive`. `/` divides a name's "
               "parts. An account that only POP reads has none.");
    keys.number("mailboxes.limit", options.mailboxes, 10, kMillion, "Mailboxes an account may have. 10 to 1000000.");
    keys.number(
        "mailboxes.copied_messages", options.copied_messages, 100, kMillion / 10,
        "Messages that one `COPY` of IMAP takes, which is all or nothing; more: `NO [LIMIT]` before anything is "
        "copied. A `MOVE` of more is made in several steps. 100 to 100000.");
    keys.number("mailboxes.documents", options.documents, 10, kMillion,
                "Documents of up to 1 MB (filter scripts and the like) an account may have. 10 to 1000000.");
}

}  // namespace poplar::mailstore
