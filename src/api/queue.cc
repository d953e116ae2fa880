#include "api/queue.h"

#include "api/types.h"

namespace poplar::api {

namespace {
constexpr std::string_view kId = "The message's id, as the reply to its sender, its Received field and the log have it";
}

const Shape& QueuedRecipient::shape() {
    static const Shape shape{
        "QueuedRecipient",
        "An address that a message is for.",
        {field<&QueuedRecipient::address>("address", "The recipient's"),
         field<&QueuedRecipient::state>("state", "`queued`, `held`, `delivered`, `failed` or `removed`"),
         field<&QueuedRecipient::last_reply>("last_reply",
                                             "The last words of the next server, or why none was reached"),
         field<&QueuedRecipient::host>("host", "The server that said it; empty: none was reached"),
         field<&QueuedRecipient::attempts>("attempts", "How often it was tried"),
         field<&QueuedRecipient::next_attempt>("next_attempt", "Not before; null: there is none")}};
    return shape;
}

const Shape& QueuedMessage::shape() {
    static const Shape shape{
        "QueuedMessage",
        "",
        {field<&QueuedMessage::id>("id", "Its name"),
         field<&QueuedMessage::sender>("sender", "The one who is told if it can't be delivered; empty: nobody"),
         field<&QueuedMessage::account>("account", "Of whoever submitted it; null: it came from elsewhere"),
         field<&QueuedMessage::octets>("octets", "Its size"),
         field<&QueuedMessage::arrived>("arrived", "When it was taken in"),
         field<&QueuedMessage::finished>("finished", "When nobody waited for it any more; null: somebody does"),
         field<&QueuedMessage::recipients>("recipients", "Those that are not in this server's own domains")}};
    return shape;
}

const Shape& Queue::shape() {
    static const Shape shape{"Queue", "", {field<&Queue::messages>("messages", "In order of their ids")}};
    return shape;
}

const Operation& ListQueue::operation() {
    static const Operation operation{
        .request =
            {"ListQueue",
             "List messages that wait to leave",
             {field<&ListQueue::after>("after", "Only those behind this id").hidden(),
              field<&ListQueue::limit>("limit", "At most so many; 1,000 if it is not said").up_to(10'000).hidden(),
              field<&ListQueue::all>("all", "Those that were delivered or given up in the last days, too")}},
        .method = Method::get,
        .route = "/v1/queue",
        .reply = &Queue::shape()};
    return operation;
}

const Operation& ShowQueued::operation() {
    static const Operation operation{
        .request = {"ShowQueued", "Show one message, also when it is done with", {field<&ShowQueued::id>("id", kId)}},
        .method = Method::get,
        .route = "/v1/queue/{id}",
        .reply = &QueuedMessage::shape()};
    return operation;
}

const Shape& QueueChange::shape() {
    static const Shape shape{
        "QueueChange",
        "",
        {field<&QueueChange::messages>("messages", "To which it was done"),
         field<&QueueChange::recipients>("recipients", "Of those messages"),
         field<&QueueChange::busy>("busy", "Recipients that are being tried at this moment: they were left alone")}};
    return shape;
}

const Operation& RetryQueue::operation() {
    static const Operation operation{
        .request = {"RetryQueue",
                    "Try messages now: one, those for a domain, or all that wait",
                    {field<&RetryQueue::id>("id", kId).positional(),
                     field<&RetryQueue::domain>("domain", "Only recipients at this domain").called("NAME")}},
        .method = Method::post,
        .route = "/v1/queue/retry",
        .reply = &QueueChange::shape()};
    return operation;
}

const Operation& HoldQueued::operation() {
    static const Operation operation{
        .request = {"HoldQueued", "Keep a message back until it is released", {field<&HoldQueued::id>("id", kId)}},
        .method = Method::post,
        .route = "/v1/queue/{id}/hold",
        .reply = &QueueChange::shape()};
    return operation;
}

const Operation& ReleaseQueued::operation() {
    static const Operation operation{.request = {"ReleaseQueued",
                                                 "Let a message go that was kept back, by an operator or by its sender",
                                                 {field<&ReleaseQueued::id>("id", kId)}},
                                     .method = Method::post,
                                     .route = "/v1/queue/{id}/release",
                                     .reply = &QueueChange::shape()};
    return operation;
}

const Operation& RemoveQueued::operation() {
    static const Operation operation{
        .request = {"RemoveQueued",
                    "Take a message out; its sender is not told",
                    {field<&RemoveQueued::id>("id", kId)}},
        .method = Method::remove,
        .route = "/v1/queue/{id}",
        .reply = &QueueChange::shape(),
        .answer = "Recipients that are being tried at this moment are left alone: ask again."};
    return operation;
}

}  // namespace poplar::api
