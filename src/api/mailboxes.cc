// Declares the operations on mailboxes, on messages in them, and the change log.
#include "api/mailboxes.h"

#include "api/types.h"

namespace poplar::api {

namespace {

constexpr std::string_view kAccount = "The account, for example jane@example.org";
constexpr std::string_view kName = "The mailbox, \"/\" between levels";
constexpr std::string_view kId = "The message's unique-id";

}  // namespace

const Shape& Mailbox::shape() {
    static const Shape shape{
        "Mailbox",
        "",
        {field<&Mailbox::name>("name", "UTF-8, \"/\" between levels; INBOX is always there"),
         field<&Mailbox::id>("id", "For ever its own, whatever it is called (RFC 8474)"),
         field<&Mailbox::use>("use", "drafts, sent, junk, trash or archive (RFC 6154); null: none"),
         field<&Mailbox::subscribed>("subscribed", "Whether mail programs show it"),
         field<&Mailbox::messages>("messages", "How many it has"), field<&Mailbox::octets>("octets", "Of those"),
         field<&Mailbox::unseen>("unseen", "Those without the flag `seen`"),
         field<&Mailbox::deleted>("deleted", "Those with the flag `deleted`"),
         field<&Mailbox::uid_validity>("uid_validity", "IMAP's UIDVALIDITY"),
         field<&Mailbox::uid_next>("uid_next", "IMAP's UIDNEXT"),
         field<&Mailbox::mod_sequence>("mod_sequence", "The last change that it was part of")}};
    return shape;
}

const Shape& MailboxList::shape() {
    static const Shape shape{
        "MailboxList", "", {field<&MailboxList::mailboxes>("mailboxes", "INBOX, then the others by name")}};
    return shape;
}

const Operation& ListMailboxes::operation() {
    static const Operation operation{.request = {"ListMailboxes",
                                                 "List an account's mailboxes and what they hold",
                                                 {field<&ListMailboxes::address>("address", kAccount)}},
                                     .method = Method::get,
                                     .route = "/v1/accounts/{address}/mailboxes",
                                     .reply = &MailboxList::shape()};
    return operation;
}

const Operation& AddMailbox::operation() {
    static const Operation operation{
        .request = {"AddMailbox",
                    "Add a mailbox, with those above it that are missing",
                    {field<&AddMailbox::address>("address", kAccount),
                     field<&AddMailbox::name>("name", kName).positional(),
                     field<&AddMailbox::use>("use", "Its use: drafts, sent, junk, trash or archive").called("USE")}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/mailboxes",
        .reply = &Mailbox::shape(),
        .status = 201};
    return operation;
}

const Operation& RenameMailbox::operation() {
    static const Operation operation{
        .request = {"RenameMailbox",
                    "Rename a mailbox, with all that is below it",
                    {field<&RenameMailbox::address>("address", kAccount), field<&RenameMailbox::name>("name", kName),
                     field<&RenameMailbox::to>("to", "The new name").positional()}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/mailboxes/{name}/name",
        .reply = &Mailbox::shape()};
    return operation;
}

const Operation& SubscribeMailbox::operation() {
    static const Operation operation{
        .request = {"SubscribeMailbox",
                    "Let mail programs show a mailbox, or not",
                    {field<&SubscribeMailbox::address>("address", kAccount),
                     field<&SubscribeMailbox::name>("name", kName),
                     field<&SubscribeMailbox::subscribed>("subscribed", "Whether they show it").hidden()}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/mailboxes/{name}/subscription",
        .reply = &Mailbox::shape()};
    return operation;
}

const Operation& RemoveMailbox::operation() {
    static const Operation operation{
        .request = {"RemoveMailbox",
                    "Remove a mailbox; its messages are deleted, and kept for storage.retention",
                    {field<&RemoveMailbox::address>("address", kAccount), field<&RemoveMailbox::name>("name", kName)}},
        .method = Method::remove,
        .route = "/v1/accounts/{address}/mailboxes/{name}",
        .reply = &Removal::shape(),
        .answer = "Mailboxes below it stay. Restoring one of its messages makes it again."};
    return operation;
}

const Operation& MoveMessage::operation() {
    static const Operation operation{
        .request = {"MoveMessage",
                    "Move a message to another mailbox; its unique-id stays",
                    {field<&MoveMessage::address>("address", kAccount), field<&MoveMessage::id>("id", kId),
                     field<&MoveMessage::mailbox>("mailbox", kName).positional()}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/messages/{id}/mailbox",
        .reply = &Message::shape()};
    return operation;
}

const Operation& CopyMessage::operation() {
    static const Operation operation{
        .request = {"CopyMessage",
                    "Copy a message to a mailbox; no octet of it is stored twice",
                    {field<&CopyMessage::address>("address", kAccount), field<&CopyMessage::id>("id", kId),
                     field<&CopyMessage::mailbox>("mailbox", kName).positional()}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/messages/{id}/copies",
        .reply = &Message::shape(),
        .status = 201,
        .answer = "The copy, a message of its own."};
    return operation;
}

const Operation& FlagMessage::operation() {
    static const Operation operation{
        .request = {"FlagMessage",
                    "Set and take away flags of a message",
                    {field<&FlagMessage::address>("address", kAccount), field<&FlagMessage::id>("id", kId),
                     field<&FlagMessage::add>("add",
                                              "A flag to set: seen, answered, flagged, deleted, draft, or a keyword")
                         .called("FLAG")
                         .up_to(200),
                     field<&FlagMessage::remove>("remove", "A flag to take away").called("FLAG").up_to(200)}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/messages/{id}/flags",
        .reply = &Message::shape()};
    return operation;
}

const Shape& Change::shape() {
    static const Shape shape{
        "Change",
        "",
        {field<&Change::number>("number", "Of the change; several of one commit have the same"),
         field<&Change::kind>("kind", "added, removed, flags, moved, mailbox, mailbox_removed or document"),
         field<&Change::mailbox>("mailbox", "The mailbox's id"),
         field<&Change::uids>("uids", "UIDs and ranges of them, as \"4\" and \"7:9\""),
         field<&Change::to>("to", "Of `moved`: the id of the mailbox where they went"),
         field<&Change::to_uids>("to_uids", "Their numbers there, in the same order")}};
    return shape;
}

const Shape& ChangeList::shape() {
    static const Shape shape{
        "ChangeList",
        "",
        {field<&ChangeList::number>("number", "All is told up to this change: ask since it the next time"),
         field<&ChangeList::forgotten>("forgotten", "`since` is too long ago: read everything anew"),
         field<&ChangeList::changes>("changes", "In their order")}};
    return shape;
}

const Operation& ListChanges::operation() {
    static const Operation operation{
        .request =
            {"ListChanges",
             "List what happened to an account's mail",
             {field<&ListChanges::address>("address", kAccount),
              field<&ListChanges::since>("since", "Only what came behind this change").called("NUMBER"),
              field<&ListChanges::limit>("limit", "About so many; 1,000 if it is not said").up_to(10'000).hidden()}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/changes",
        .reply = &ChangeList::shape()};
    return operation;
}

}  // namespace poplar::api
