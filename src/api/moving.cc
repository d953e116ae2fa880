#include "api/moving.h"

#include "api/types.h"

namespace poplar::api {

namespace {
constexpr std::string_view kAddress = "The account";
}

const Shape& ImportedMessage::shape() {
    static const Shape shape{
        "ImportedMessage",
        "A message that was brought along.",
        {field<&ImportedMessage::source>("source", "As it was given"),
         field<&ImportedMessage::unique_id>("unique_id", "As UIDL has it here"),
         field<&ImportedMessage::state>(
             "state", "`stored` now; `there` since before; `deleted`: it was here and does not return"),
         field<&ImportedMessage::not_kept>("not_kept", "Why it did not get the unique-id that was asked for")}};
    return shape;
}

const Operation& ImportMessage::operation() {
    static const Operation operation{
        .request = {"ImportMessage",
                    "Store a message of another server, once",
                    {field<&ImportMessage::address>("address", kAddress),
                     field<&ImportMessage::source>("source", "Names it at its source: the same is stored once"),
                     field<&ImportMessage::mailbox>("mailbox", "INBOX if none is named; one that is not there is made")
                         .called("NAME"),
                     field<&ImportMessage::unique_id>("unique_id",
                                                      "What POP clients know it by; else it gets a new one"),
                     field<&ImportMessage::flags>("flags",
                                                  "seen, answered, flagged, deleted, draft and keywords, with "
                                                  "commas between"),
                     field<&ImportMessage::received>("received", "Milliseconds since 1970; now, if it is not said")}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/import",
        .reply = &ImportedMessage::shape(),
        .body = Content::octets,
        .answer = "No quota holds it back."};
    return operation;
}

const Shape& ImportedList::shape() {
    static const Shape shape{"ImportedList", "", {field<&ImportedList::messages>("messages", "Those that are known")}};
    return shape;
}

const Operation& FindImported::operation() {
    static const Operation operation{
        .request = {"FindImported",
                    "Tell which messages of another server were stored before",
                    {field<&FindImported::address>("address", kAddress),
                     field<&FindImported::sources>("sources", "As ImportMessage has them").up_to(kAtOnce)}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/imported",
        .reply = &ImportedList::shape()};
    return operation;
}

}  // namespace poplar::api
