#include "api/messages.h"

#include "api/types.h"

namespace poplar::api {

namespace {

constexpr std::string_view kAccount =
    "The account, id:NUMBER for one that was removed, or postmaster for mail that is kept for nobody named yet";
constexpr std::string_view kId = "Its unique-id";
constexpr std::string_view kHeaders = "no: without the header fields";

}  // namespace

const Shape& Message::shape() {
    static const Shape shape{
        "Message",
        "A message; its header fields are decoded.",
        {field<&Message::unique_id>("unique_id", "As UIDL has it"),
         field<&Message::order>("order", "Its place in its mailbox"),
         field<&Message::octets>("octets", "As RETR sends them"), field<&Message::received>("received", "When"),
         field<&Message::mailbox>("mailbox", "The id of its mailbox; INBOX is 1"),
         field<&Message::uid>("uid", "Its number in IMAP there"),
         field<&Message::flags>("flags", "seen, answered, flagged, deleted, draft, and keywords"),
         field<&Message::from>("from", "If header fields are asked for"),
         field<&Message::subject>("subject", "The same"), field<&Message::date>("date", "The same"),
         field<&Message::error>("error", "A code, if the message can't be read"),
         field<&Message::deleted>("deleted", "When, of one that was deleted"),
         field<&Message::expires>("expires", "When it goes for good"),
         field<&Message::reason>("reason", "By which means it was deleted: `pop3`, `admin`, `expire`, ..."),
         field<&Message::deleted_by>("deleted_by", "By whom, in words for people"),
         field<&Message::devices>("devices", "The ids of the devices that deleted it by POP3")}};
    return shape;
}

const Shape& MessageList::shape() {
    static const Shape shape{"MessageList", "", {field<&MessageList::messages>("messages", "Oldest first")}};
    return shape;
}

const Operation& ListMessages::operation() {
    static const Operation operation{
        .request =
            {"ListMessages",
             "List the messages of one mailbox",
             {field<&ListMessages::address>("address", kAccount),
              field<&ListMessages::mailbox>("mailbox", "INBOX if none is named").called("NAME"),
              field<&ListMessages::after>("after", "Only those with a greater `order`").hidden(),
              field<&ListMessages::limit>("limit", "At most so many; 100 if it is not said").up_to(10'000).hidden(),
              field<&ListMessages::headers>("headers", kHeaders).hidden()}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/messages",
        .reply = &MessageList::shape()};
    return operation;
}

const Operation& ShowMessage::operation() {
    static const Operation operation{
        .request = {"ShowMessage",
                    "Show what is known of one message, also of a deleted one that is still kept",
                    {field<&ShowMessage::address>("address", kAccount), field<&ShowMessage::id>("id", kId)}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/messages/{id}",
        .reply = &Message::shape()};
    return operation;
}

const Operation& FetchMessage::operation() {
    static const Operation operation{
        .request = {"FetchMessage",
                    "Print one message as it was received",
                    {field<&FetchMessage::address>("address", kAccount),
                     field<&FetchMessage::id>("id", "Its unique-id, or its number in the list")}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/messages/{id}/content",
        .content_type = "message/rfc822",
        .answer = "The message, in chunks; a reply without its last chunk broke off."};
    return operation;
}

const Operation& RemoveMessage::operation() {
    static const Operation operation{
        .request = {"RemoveMessage",
                    "Delete a message; it is kept for storage.retention",
                    {field<&RemoveMessage::address>("address", kAccount), field<&RemoveMessage::id>("id", kId)}},
        .method = Method::remove,
        .route = "/v1/accounts/{address}/messages/{id}",
        .reply = &Removal::shape()};
    return operation;
}

const Shape& Learned::shape() {
    static const Shape shape{
        "Learned", "", {field<&Learned::id>("id", "The message"), field<&Learned::kind>("kind", "`spam` or `ham`")}};
    return shape;
}

const Operation& LearnMessage::operation() {
    static const Operation operation{
        .request = {"LearnMessage",
                    "Tell rspamd that a message is spam, or that it is none",
                    {field<&LearnMessage::address>("address", kAccount),
                     field<&LearnMessage::kind>("kind", "spam; or ham: it is none").positional(),
                     field<&LearnMessage::id>("id", kId)}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/messages/{id}/learn",
        .reply = &Learned::shape(),
        .answer = "It needs `filter.rspamd.controller`. The message stays where it is."};
    return operation;
}

const Operation& ListRetained::operation() {
    static const Operation operation{
        .request =
            {"ListRetained",
             "List deleted messages that are still kept",
             {field<&ListRetained::address>("address", kAccount),
              field<&ListRetained::offset>("offset", "So many are left out").up_to(0xffff'ffff).hidden(),
              field<&ListRetained::limit>("limit", "At most so many; 100 if it is not said").up_to(10'000).hidden(),
              field<&ListRetained::headers>("headers", kHeaders).hidden()}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/retained",
        .reply = &MessageList::shape(),
        .answer = "The oldest deletion comes first."};
    return operation;
}

const Operation& FetchRetained::operation() {
    static const Operation operation{
        .request = {"FetchRetained",
                    "Print one deleted message that is still kept, as it was received",
                    {field<&FetchRetained::address>("address", kAccount), field<&FetchRetained::id>("id", kId)}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/retained/{id}/content",
        .content_type = "message/rfc822",
        .answer = "As `/messages/{id}/content`; 404 if it is not deleted."};
    return operation;
}

const Operation& RestoreMessage::operation() {
    static const Operation operation{
        .request = {"RestoreMessage",
                    "Put a deleted message back where it was",
                    {field<&RestoreMessage::address>("address", kAccount), field<&RestoreMessage::id>("id", kId)}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/retained/{id}/restore",
        .reply = &Message::shape(),
        .answer = "With its old unique-id; 409 if it is not deleted."};
    return operation;
}

const Shape& Restoration::shape() {
    static const Shape shape{
        "Restoration",
        "",
        {field<&Restoration::restored>("restored", "How many messages are back, or would be"),
         field<&Restoration::octets>("octets", "Of those"),
         field<&Restoration::already>("already", "Of `ids`: not deleted, or back already"),
         field<&Restoration::missing>("missing", "Of `ids`: not kept any more, or never there"),
         field<&Restoration::more>("more", "There may be more: ask again"),
         field<&Restoration::messages>("messages", "With `dry_run`: the first 1,000 of those that would be back")}};
    return shape;
}

const Operation& RestoreMessages::operation() {
    static const Operation operation{
        .request =
            {"RestoreMessages",
             "Put deleted mail back where it was; of the options below, all that are given have to fit a message",
             {field<&RestoreMessages::address>("address", kAccount),
              field<&RestoreMessages::ids>("ids", "These messages, by their unique-ids")
                  .called("ID")
                  .positional()
                  .up_to(RestoreMessages::kAtOnce),
              field<&RestoreMessages::since>(
                  "since", "Deleted since then: a time like 2026-11-22T03:05:09Z, or 7d for the last 7 days")
                  .called("TIME"),
              field<&RestoreMessages::until>("until", "Deleted not later than then; now if it is not said")
                  .called("TIME"),
              field<&RestoreMessages::device>(
                  "device",
                  "Deleted by this device: its id, also of one that was revoked, or its name; none: by the account's "
                  "own password")
                  .called("DEVICE"),
              field<&RestoreMessages::mailbox>("mailbox", "Deleted from this mailbox").called("NAME"),
              field<&RestoreMessages::subject>("subject", "This text is in their Subject; capitals do not matter")
                  .called("TEXT"),
              field<&RestoreMessages::from_header>("from_header", "This text is in their From; the same")
                  .called("TEXT"),
              field<&RestoreMessages::all>("all", "All that is kept"),
              field<&RestoreMessages::to>("to", "Into this mailbox in place of the one that they were in")
                  .called("NAME"),
              field<&RestoreMessages::dry_run>("dry_run", "Only list what would be back")}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/retained/restore",
        .reply = &Restoration::shape(),
        .answer = "At most 1,000 at a time. One that is back already counts as done, so it may be asked for again."};
    return operation;
}

const Shape& Delivered::shape() {
    static const Shape shape{"Delivered",
                             "",
                             {field<&Delivered::recipient>("recipient", "As it was given"),
                              field<&Delivered::octets>("octets", "Of the message, without its new trace fields"),
                              field<&Delivered::transaction>("transaction", "As it stands in the Received field")}};
    return shape;
}

const Operation& Deliver::operation() {
    static const Operation operation{
        .request =
            {"Deliver",
             "Deliver a message from standard input, the way LMTP would",
             {field<&Deliver::recipient>("recipient", "The recipient").called("ADDRESS").positional(),
              field<&Deliver::sender>("sender", "The reverse-path; without it, the null one: <>").called("ADDRESS"),
              field<&Deliver::mailbox>("mailbox", "The account's mailbox that gets it; INBOX if none is named")
                  .called("NAME")}},
        .method = Method::post,
        .route = "/v1/deliver",
        .reply = &Delivered::shape(),
        .status = 201,
        .body = Content::octets,
        .answer =
            "The body is the message, lines ending in LF or CRLF; 201 says that it is durable. Aliases, details, "
            "limits and trace fields are those of LMTP."};
    return operation;
}

}  // namespace poplar::api
