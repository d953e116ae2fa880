// Declares the operations on the server as a whole.
#include "api/server.h"

#include "api/types.h"

namespace poplar::api {

const Shape& ListeningAddress::shape() {
    static const Shape shape{
        "ListeningAddress",
        "",
        {field<&ListeningAddress::protocol>("protocol", "As the key of `[listen]`"),
         field<&ListeningAddress::address>("address", "With the port that the system chose, if it did")}};
    return shape;
}

const Shape& SessionCounts::shape() {
    static const Shape shape{
        "SessionCounts",
        "",
        {field<&SessionCounts::live>("live", "Now"), field<&SessionCounts::total>("total", "Since the start")}};
    return shape;
}

const Shape& Connections::shape() {
    static const Shape shape{
        "Connections",
        "",
        {field<&Connections::by_protocol>("by_protocol", "Sessions"),
         field<&Connections::accepted>("accepted", "Since the start"),
         field<&Connections::refused_total_limit>("refused_total_limit",
                                                  "Over the limit of all, or of what is kept for other protocols"),
         field<&Connections::refused_peer_limit>("refused_peer_limit", "Over what a peer or its network may have")}};
    return shape;
}

const Shape& DirectoryTotals::shape() {
    static const Shape shape{"DirectoryTotals",
                             "",
                             {field<&DirectoryTotals::domains>("domains", "How many"),
                              field<&DirectoryTotals::accounts>("accounts", "How many"),
                              field<&DirectoryTotals::aliases>("aliases", "How many"),
                              field<&DirectoryTotals::error>("error", "A code, if that can't be told")}};
    return shape;
}

const Shape& PostmasterState::shape() {
    static const Shape shape{"PostmasterState",
                             "",
                             {field<&PostmasterState::named>("named", "Whether some domain has one"),
                              field<&PostmasterState::kept_messages>("kept_messages", "Kept while none was named"),
                              field<&PostmasterState::kept_octets>("kept_octets", "Of those"),
                              field<&PostmasterState::error>("error", "A code, if that can't be told")}};
    return shape;
}

const Shape& VerifyEvent::shape() {
    static const Shape shape{
        "VerifyEvent",
        "One damaged place; or, of a verification, how far it is.",
        {field<&VerifyEvent::type>(
             "type", "`damage`; `progress`, about once a second; `done` at the end: without it the run broke off"),
         field<&VerifyEvent::what>("what", "Of damage, and as far as known:"),
         field<&VerifyEvent::file>("file", "In the data directory"),
         field<&VerifyEvent::offset>("offset", "Octets from its start"),
         field<&VerifyEvent::partition>("partition", "Its number"),
         field<&VerifyEvent::account>("account", "An address"), field<&VerifyEvent::body>("body", "Its number"),
         field<&VerifyEvent::message>("message", "Its unique-id"),
         field<&VerifyEvent::segments>("segments", "Of progress and done: read"),
         field<&VerifyEvent::records>("records", "Read"), field<&VerifyEvent::bodies>("bodies", "Read"),
         field<&VerifyEvent::octets>("octets", "Read"), field<&VerifyEvent::damaged>("damaged", "Places"),
         field<&VerifyEvent::accounts>("accounts", "Of done: accounts whose counters were checked")}};
    return shape;
}

const Shape& FileDamage::shape() {
    static const Shape shape{
        "FileDamage",
        "",
        {field<&FileDamage::file>("file", "In the data directory"),
         field<&FileDamage::offset>("offset", "Octets from its start"), field<&FileDamage::what>("what", "In words")}};
    return shape;
}

const Shape& Copying::shape() {
    static const Shape shape{
        "Copying",
        "The copying of segments, since the start.",
        {field<&Copying::state>("state", "In words"), field<&Copying::copies>("copies", "How many"),
         field<&Copying::copied_octets>("copied_octets", "Live octets that were copied"),
         field<&Copying::freed_octets>("freed_octets", "Of the log that came back by that")}};
    return shape;
}

const Shape& Storage::shape() {
    static const Shape shape{
        "Storage",
        "",
        {field<&Storage::health>("health", "`ok`, `degraded` or `stopped`"),
         field<&Storage::state>("state", "In words"), field<&Storage::directory>("directory", "Where"),
         field<&Storage::segments>("segments", "How many"),
         field<&Storage::log_octets>("log_octets", "Of the segments"),
         field<&Storage::index_octets>("index_octets", "Of the index"),
         field<&Storage::free_octets>("free_octets", "Of the disk"),
         field<&Storage::staged_octets>("staged_octets", "Incoming mail in memory"),
         field<&Storage::used_octets>("used_octets", "Of the disk, taken by the log"),
         field<&Storage::live_octets>("live_octets", "Of those, still needed; about"),
         field<&Storage::large_octets>("large_octets", "Large messages' own files"),
         field<&Storage::commits>("commits", "Since the start"),
         field<&Storage::groups>("groups", "Of commits that were made durable together"),
         field<&Storage::copying>("copying", "The copying at present"),
         field<&Storage::damage_found_at_start>("damage_found_at_start", "Where")}};
    return shape;
}

const Shape& Scrub::shape() {
    static const Shape shape{
        "Scrub",
        "The reading of everything at a pace of its own.",
        {field<&Scrub::under_way>("under_way", "Now"), field<&Scrub::begun>("begun", "This round, or the last"),
         field<&Scrub::ended>("ended", "The last that came to its end"),
         field<&Scrub::records>("records", "Of this round"), field<&Scrub::bodies>("bodies", "Of this round"),
         field<&Scrub::octets>("octets", "Of this round"), field<&Scrub::damaged>("damaged", "Places"),
         field<&Scrub::damage>("damage", "The first hundred"),
         field<&Scrub::failure>("failure", "Why the last round ended early; empty: it did not")}};
    return shape;
}

const Shape& ClockState::shape() {
    static const Shape shape{
        "ClockState",
        "See [durability](../operating/durability.md#a-wrong-clock).",
        {field<&ClockState::doubted>("doubted", "Nothing is forgotten while it is"),
         field<&ClockState::time>("time", "The machine's"),
         field<&ClockState::expected>("expected",
                                      "The time without the jump; this and the following only while it is doubted"),
         field<&ClockState::since>("since", "When that began, by the machine's clock"),
         field<&ClockState::believed_at>("believed_at", "When it will be believed; null: not by itself")}};
    return shape;
}

const Shape& Housekeeping::shape() {
    static const Shape shape{
        "Housekeeping",
        "The last round.",
        {field<&Housekeeping::accounts>("accounts", "Looked at"),
         field<&Housekeeping::aged_messages>("aged_messages", "That had been there for the days of EXPIRE"),
         field<&Housekeeping::expired_messages>("expired_messages", "Deleted ones whose time was over"),
         field<&Housekeeping::purged_accounts>("purged_accounts", "Removed ones whose time was over"),
         field<&Housekeeping::failures>("failures", "Accounts that could not be done"),
         field<&Housekeeping::suspended>("suspended", "The clock is doubted: nothing, or not all of it, was done")}};
    return shape;
}

const Shape& Status::shape() {
    static const Shape shape{
        "Status",
        "",
        {field<&Status::version>("version", "Poplar's"), field<&Status::hostname>("hostname", "The server's"),
         field<&Status::pid>("pid", "Its process"), field<&Status::started>("started", "When"),
         field<&Status::uptime_seconds>("uptime_seconds", "Since then"),
         field<&Status::stopping>("stopping", "It drains its connections"),
         field<&Status::config>("config", "The file"), field<&Status::listening>("listening", "Where"),
         field<&Status::certificate_expires>("certificate_expires", "Null: no TLS"),
         field<&Status::connections>("connections", "Of clients"),
         field<&Status::directory>("directory", "How many there are"),
         field<&Status::postmaster>("postmaster", "Whether one is named, and mail kept for it"),
         field<&Status::storage>("storage", "How it is"), field<&Status::scrub>("scrub", "How far it is"),
         field<&Status::clock>("clock", "Whether it is believed"),
         field<&Status::housekeeping>("housekeeping", "Null: none yet")}};
    return shape;
}

const Shape& Scrubbing::shape() {
    static const Shape shape{"Scrubbing", "", {field<&Scrubbing::scrubbing>("scrubbing", "It is under way now")}};
    return shape;
}

const Shape& Confirmation::shape() {
    static const Shape shape{
        "Confirmation", "", {field<&Confirmation::confirmed>("confirmed", "The clock is believed")}};
    return shape;
}

const Operation& ShowStatus::operation() {
    static const Operation operation{.request = {"ShowStatus", "How the server is", {}},
                                     .method = Method::get,
                                     .route = "/v1/status",
                                     .reply = &Status::shape()};
    return operation;
}

const Operation& Verify::operation() {
    static const Operation operation{
        .request = {"Verify", "Check everything stored, with the server running or stopped", {}},
        .method = Method::post,
        .route = "/v1/verify",
        .content_type = "application/x-ndjson",
        .answer =
            "A [VerifyEvent](#verifyevent) a line, as found. One run at a time (409); it ends when the client leaves."};
    return operation;
}

const Operation& BeginScrub::operation() {
    static const Operation operation{
        .request = {"BeginScrub",
                    "Begin to read everything stored at the configured pace; poplar status tells how far it is",
                    {}},
        .method = Method::post,
        .route = "/v1/scrub",
        .reply = &Scrubbing::shape(),
        .status = 202};
    return operation;
}

const Operation& ConfirmClock::operation() {
    static const Operation operation{
        .request = {"ConfirmClock", "The machine's clock is right, though it has jumped: forgetting goes on", {}},
        .method = Method::post,
        .route = "/v1/clock/confirm",
        .reply = &Confirmation::shape()};
    return operation;
}

}  // namespace poplar::api
