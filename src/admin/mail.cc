// An account's mail: listing and showing, deleting, delivering.
#include "api/messages.h"

#include <fmt/format.h>

#include "activity/ledger.h"
#include "admin/described.h"
#include "admin/moving.h"
#include "admin/names.h"
#include "admin/room.h"
#include "admin/row.h"
#include "admin/wire_body.h"
#include "base/log.h"
#include "base/random.h"
#include "delivery/delivery.h"
#include "mail/address.h"
#include "mailstore/mail_store.h"

namespace poplar::admin {

namespace {

Task<Result<api::MessageList>> list_messages(Context& context, Caller, api::ListMessages wanted) {
    auto account = co_await mailbox(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto in = co_await mailbox_called(context, *account, wanted.mailbox.value_or(""));
    if (!in) co_return pass_on(in);
    auto found = co_await context.mail.list(*account, *in, mailstore::OrderKey(wanted.after), wanted.limit);
    if (!found) co_return pass_on(found);
    api::MessageList list;
    for (const auto& message : *found) {
        auto one = co_await described(context, *account, message, wanted.headers);
        list.messages.push_back(std::move(one));
    }
    co_return list;
}

Task<Result<api::Message>> show_message(Context& context, Caller, api::ShowMessage wanted) {
    auto found = co_await locate(context, wanted.address, wanted.id);
    if (!found) co_return pass_on(found);
    co_return co_await described(context, found->account, found->message, true);
}

Task<Result<>> fetch_message(Context& context, Caller, api::FetchMessage wanted, http::Stream& stream) {
    auto found = co_await locate(context, wanted.address, wanted.id);
    if (!found) co_return pass_on(found);
    const std::string type(api::FetchMessage::operation().content_type);
    co_return co_await send_message(context, found->account, std::move(found->message), type, stream);
}

Task<Result<api::Removal>> remove_message(Context& context, Caller, api::RemoveMessage wanted) {
    auto found = co_await locate(context, wanted.address, wanted.id);
    if (!found) co_return pass_on(found);
    const auto begun = context.ledger.now();
    auto removed = co_await context.mail.remove(found->account, {wanted.id}, "admin");
    if (!removed) co_return pass_on(removed);
    note(context, found->account, activity::Kind::deleted, "", 1, nullptr, begun);
    log::info("admin.message_removed", {{"account_id", found->account.value}, {"unique_id", wanted.id}});
    co_return api::Removal{wanted.id};
}

Task<Result<api::Learned>> learn_message(Context& context, Caller, api::LearnMessage wanted) {
    if (wanted.kind != "spam" && wanted.kind != "ham")
        co_return fail(Errc::invalid, fmt::format("\"{}\" is neither spam nor ham", wanted.kind));
    if (!context.learn) co_return fail(Errc::denied, "nobody learns here: filter.rspamd.controller is not set");
    auto found = co_await locate(context, wanted.address, wanted.id);
    if (!found) co_return pass_on(found);
    const auto octets = found->message.octets;
    auto reader = co_await context.mail.open(found->account, std::move(found->message));
    if (!reader) co_return pass_on(reader);
    using Lesson = Services::Lesson;
    const auto lesson = wanted.kind == "spam" ? Lesson::spam : Lesson::ham;
    auto learned = co_await context.learn(lesson, std::move(*reader), octets);
    if (!learned) co_return pass_on(learned);
    log::info("admin.learned", {{"account_id", found->account.value}, {"unique_id", wanted.id}, {"as", wanted.kind}});
    co_return api::Learned{wanted.id, wanted.kind};
}

// Where the message goes. Errors: with a message for the caller.
Task<Result<directory::Resolution>> resolve(Context& context, std::string text) {
    auto address = mail::parse_address(text);
    if (!address) co_return fail(Errc::invalid, fmt::format("\"{}\" is not an address", text));
    auto resolution = co_await context.delivery.resolve(*address);
    if (!resolution) co_return pass_on(resolution);
    using Kind = directory::Resolution::Kind;
    switch (resolution->kind) {
        case Kind::accounts: break;
        case Kind::unknown_domain: co_return fail(Errc::not_found, fmt::format("no domain for {}", text));
        case Kind::unknown_user: co_return fail(Errc::not_found, fmt::format("nobody has the address {}", text));
        case Kind::disabled: co_return fail(Errc::denied, fmt::format("{} is disabled", text));
        case Kind::loop: co_return fail(Errc::invalid, fmt::format("the aliases of {} lead in a circle", text));
    }
    co_return std::move(*resolution);
}

Task<Result<api::Delivered>> deliver(Context& context, Caller, api::Deliver wanted, http::Body& body) {
    auto resolution = co_await resolve(context, wanted.recipient);
    if (!resolution) co_return pass_on(resolution);
    const auto& accounts = resolution->accounts;
    if (!wanted.sender.empty() && !mail::parse_address(wanted.sender))
        co_return fail(Errc::invalid, fmt::format("\"{}\" is not an address", wanted.sender));
    if (wanted.mailbox) {
        if (accounts.size() != 1)
            co_return fail(Errc::invalid, "a mailbox can be named where one account gets the mail");
        auto there = co_await mailbox_called(context, accounts.front(), *wanted.mailbox);
        if (!there) co_return pass_on(there);
    }
    std::optional<std::uint64_t> size;  // a chunked body does not tell it
    if (body.size_hint() != 0) size = body.size_hint();
    auto room = co_await context.delivery.admit(*resolution, size);
    if (!room) co_return std::unexpected(delivery::error_of(room.error()));
    auto envelope = std::make_shared<delivery::Envelope>();
    envelope->reverse_path = wanted.sender;
    envelope->add(wanted.recipient, *resolution, wanted.mailbox.value_or(""));
    envelope->room = std::move(*room);
    envelope->received.by = context.hostname;
    envelope->received.with = "LMTP";  // the same path; the admin socket has no name of its own among the keywords
    envelope->received.id = random_text(12);
    auto id = envelope->received.id;
    auto incoming = context.delivery.begin(std::move(envelope), body.size_hint());
    WireBody wire(body);
    for (;;) {
        auto piece = co_await wire.next();
        if (!piece) co_return pass_on(piece);
        if (piece->empty()) break;
        if (auto written = co_await incoming->write(*piece); !written)
            co_return std::unexpected(delivery::error_of(written.error()));
    }
    auto verdicts = co_await incoming->finish(wire.sizes());
    if (!verdicts) co_return std::unexpected(delivery::error_of(verdicts.error()));
    if (verdicts->empty()) co_return fail(Errc::io, "no result for the recipient");
    if (auto& verdict = verdicts->front(); !verdict.stored()) co_return std::unexpected(delivery::error_of(verdict));
    const auto octets = wire.sizes().octets;
    log::info("admin.delivered", {{"recipient", wanted.recipient}, {"octets", octets}, {"transaction", id}});
    co_return api::Delivered{wanted.recipient, std::move(id), octets};
}

}  // namespace

const std::vector<Row>& mail_rows() {
    static const std::vector<Row> rows = {
        row<api::ListMessages, list_messages>(),   row<api::ShowMessage, show_message>(),
        row<api::FetchMessage, fetch_message>(),   row<api::RemoveMessage, remove_message>(),
        row<api::LearnMessage, learn_message>(),   row<api::Deliver, deliver>(),
        row<api::ImportMessage, import_message>(), row<api::FindImported, find_imported>(),
    };
    return rows;
}

}  // namespace poplar::admin
