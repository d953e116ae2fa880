// Declares the operations that work on mail that is there already.
#include "api/mail_work.h"

#include "api/types.h"

namespace poplar::api {

namespace {

constexpr std::string_view kAccount = "The account, for example jane@example.org";
constexpr std::string_view kMailbox = "The mailbox; INBOX if none is named";

}  // namespace

const Shape& MailWorkEvent::shape() {
    static const Shape shape{
        "MailWorkEvent",
        "One message that something was done with; or how far the work is.",
        {field<&MailWorkEvent::type>(
             "type",
             "`message`; `progress`, every hundred messages or so; `done` at the end: without it the work broke "
             "off"),
         field<&MailWorkEvent::message>("message", "Its unique-id"),
         field<&MailWorkEvent::done>("done", "What was done with it, or would be"),
         field<&MailWorkEvent::skipped>("skipped", "What the script asks for and is not done"),
         field<&MailWorkEvent::error>("error", "Why the script failed on it"),
         field<&MailWorkEvent::messages>("messages", "Of progress and done: that there were at the beginning"),
         field<&MailWorkEvent::looked_at>("looked_at", "Messages"), field<&MailWorkEvent::moved>("moved", "Messages"),
         field<&MailWorkEvent::copied>("copied", "Copies"), field<&MailWorkEvent::flagged>("flagged", "Messages"),
         field<&MailWorkEvent::discarded>("discarded", "Messages that went to the retained area"),
         field<&MailWorkEvent::left_out>("left_out", "Messages with something that was skipped"),
         field<&MailWorkEvent::failed>("failed", "Messages that the script failed on"),
         field<&MailWorkEvent::mailboxes>("mailboxes", "To which messages were moved")}};
    return shape;
}

const Operation& RunScript::operation() {
    static const Operation operation{
        .request = {"RunScript",
                    "Run a filter script of the account's over the mail that is in a mailbox already",
                    {field<&RunScript::address>("address", kAccount),
                     field<&RunScript::script>("script", "The script").called("NAME"),
                     field<&RunScript::mailbox>("mailbox", kMailbox).called("NAME"),
                     field<&RunScript::dry_run>("dry_run", "Tell what would be done, and do nothing")}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/script-runs",
        .content_type = "application/x-ndjson",
        .answer =
            "A JSON object a line: `type` is `message` for each that something was done with (`message`, its "
            "unique-id; "
            "`done`, `skipped` and `error`), `progress` every hundred messages, and at the end `done`, with "
            "`messages`, "
            "`looked_at`, `moved`, `copied`, `flagged`, `discarded`, `left_out` and `failed`. It ends when the client "
            "leaves; what was done by then stays so."};
    return operation;
}

const Operation& ArchiveMail::operation() {
    static const Operation operation{
        .request = {"ArchiveMail",
                    "Move old mail of a mailbox to others",
                    {field<&ArchiveMail::address>("address", kAccount),
                     field<&ArchiveMail::older>("older", "How long ago it came, for example 365d").called("TIME"),
                     field<&ArchiveMail::mailbox>("mailbox", kMailbox).called("NAME"),
                     field<&ArchiveMail::to>("to", "Where it goes; {year}, {month} and {day} are those of its arrival")
                         .called("NAME")}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/archivals",
        .content_type = "application/x-ndjson",
        .answer =
            "A JSON object a line: `type` is `progress`, and at the end `done`, with `moved` and `mailboxes`. It ends "
            "when the client leaves; what was moved by then stays so."};
    return operation;
}

}  // namespace poplar::api
