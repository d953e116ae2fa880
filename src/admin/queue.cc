// Mail that waits to leave: what there is, and what an operator does to it.
#include "api/queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "admin/names.h"
#include "admin/row.h"
#include "base/log.h"
#include "mail/address.h"
#include "queue/queue.h"

namespace poplar::admin {

namespace {

using queue::Recipient;

Result<queue::Queue*> queue_of(Context& context) {
    if (context.queue) return context.queue;
    return fail(Errc::not_found, "there is no queue");
}

api::QueuedMessage described(const queue::Item& item) {
    api::QueuedMessage out;
    const auto& message = item.message;
    out.id = message.id;
    out.sender = message.sender;
    if (!message.account.empty()) out.account = message.account;
    out.octets = message.octets;
    out.arrived = time_text(message.arrived);
    if (message.finished) out.finished = time_text(*message.finished);
    for (const auto& part : item.parts)
        for (const auto& one : part.recipients) {
            api::QueuedRecipient recipient;
            recipient.address = one.address;
            const bool waits = one.state == Recipient::State::waiting;
            recipient.state = waits && part.held ? "held" : std::string(queue::to_string(one.state));
            recipient.last_reply = one.reply;
            recipient.host = one.host;
            recipient.attempts = part.attempts;
            if (waits && !part.held) recipient.next_attempt = time_text(part.due);
            out.recipients.push_back(std::move(recipient));
        }
    return out;
}

Task<Result<api::Queue>> list_queue(Context& context, Caller, api::ListQueue wanted) {
    auto queue = queue_of(context);
    if (!queue) co_return pass_on(queue);
    auto items = co_await (*queue)->list(wanted.after, wanted.limit, wanted.all.value_or(false));
    if (!items) co_return pass_on(items);
    api::Queue out;
    for (const auto& item : *items) out.messages.push_back(described(item));
    co_return out;
}

Task<Result<queue::Item>> find(Context& context, std::string id) {
    auto queue = queue_of(context);
    if (!queue) co_return pass_on(queue);
    auto item = co_await (*queue)->item(id);
    if (!item) co_return explain(item.error(), Errc::not_found, fmt::format("no message {} in the queue", id));
    co_return std::move(*item);
}

Task<Result<api::QueuedMessage>> show_queued(Context& context, Caller, api::ShowQueued wanted) {
    auto item = co_await find(context, wanted.id);
    if (!item) co_return pass_on(item);
    co_return described(*item);
}

/// Does `change` to each part with somebody who waits; it returns whether it has changed anything.
Task<Result<>> change_parts(Context& context, queue::Item item, std::function<bool(queue::Part&)> change,
                            api::QueueChange& done) {
    std::vector<queue::Claim> claims;
    std::vector<queue::Part> changed;
    std::uint64_t recipients = 0;
    for (const auto& listed : item.parts) {
        if (!listed.waiting()) continue;
        const auto waiting = [](const auto& one) { return one.state == Recipient::State::waiting; };
        const auto count = static_cast<std::uint64_t>(std::ranges::count_if(listed.recipients, waiting));
        auto claim = context.queue->claim({listed.message, listed.number});
        if (!claim) {
            done.busy += count;
            continue;
        }
        auto part = co_await context.queue->part(claim->part());  // as it is now that nobody else changes it
        if (!part) co_return pass_on(part);
        if (!part->waiting() || !change(*part)) continue;
        claims.push_back(std::move(*claim));
        changed.push_back(std::move(*part));
        recipients += count;
    }
    if (changed.empty()) co_return Result<>();
    auto saved = co_await context.queue->save(std::move(changed));
    if (!saved) co_return saved;
    ++done.messages;
    done.recipients += recipients;
    co_return Result<>();
}

Task<Result<api::QueueChange>> change_one(Context& context, std::string id, std::function<bool(queue::Part&)> change,
                                          std::string_view event) {
    auto item = co_await find(context, id);
    if (!item) co_return pass_on(item);
    api::QueueChange done;
    auto changed = co_await change_parts(context, std::move(*item), std::move(change), done);
    if (!changed) co_return pass_on(changed);
    log::info("admin.queue_changed",
              {{"id", id}, {"change", event}, {"recipients", done.recipients}, {"busy", done.busy}});
    co_return done;
}

Task<Result<api::QueueChange>> retry_queue(Context& context, Caller, api::RetryQueue wanted) {
    constexpr std::size_t kPage = 500;
    auto queue = queue_of(context);
    if (!queue) co_return pass_on(queue);
    std::string domain;
    if (wanted.domain) {
        auto canonical = mail::canonical_domain(*wanted.domain);
        if (!canonical) co_return fail(Errc::invalid, fmt::format("\"{}\" is not a domain", *wanted.domain));
        domain = *canonical;
    }
    const auto now = (*queue)->clock().now();
    auto change = [&](queue::Part& part) {
        if (part.held || (!domain.empty() && part.domain != domain)) return false;
        // A message that its sender holds back leaves early only for somebody who names it.
        if (!wanted.id && !part.attempted && part.due > now) return false;
        part.due = now;
        if (part.released) part.released = std::min(*part.released, now);
        return true;
    };
    if (wanted.id) co_return co_await change_one(context, *wanted.id, change, "retry");
    api::QueueChange done;
    for (std::string after;;) {
        auto items = co_await (*queue)->list(after, kPage, false);
        if (!items) co_return pass_on(items);
        for (auto& item : *items) {
            after = item.message.id;
            auto changed = co_await change_parts(context, std::move(item), change, done);
            if (!changed) co_return pass_on(changed);
        }
        if (items->size() < kPage) break;
    }
    log::info("admin.queue_changed",
              {{"id", "*"}, {"change", "retry"}, {"recipients", done.recipients}, {"busy", done.busy}});
    co_return done;
}

Task<Result<api::QueueChange>> hold_queued(Context& context, Caller, api::HoldQueued wanted) {
    auto change = [](queue::Part& part) { return !std::exchange(part.held, true); };
    return change_one(context, std::move(wanted.id), change, "hold");
}

Task<Result<api::QueueChange>> release_queued(Context& context, Caller, api::ReleaseQueued wanted) {
    auto change = [now = context.queue ? context.queue->clock().now() : Timestamp()](queue::Part& part) {
        if (!std::exchange(part.held, false)) return false;
        part.due = now;
        part.released = now;
        return true;
    };
    return change_one(context, std::move(wanted.id), change, "release");
}

Task<Result<api::QueueChange>> remove_queued(Context& context, Caller, api::RemoveQueued wanted) {
    auto change = [](queue::Part& part) {
        for (auto& one : part.recipients)
            if (one.state == Recipient::State::waiting) one.state = Recipient::State::removed, one.report_due = false;
        return true;
    };
    return change_one(context, std::move(wanted.id), change, "remove");
}

}  // namespace

const std::vector<Row>& queue_rows() {
    static const std::vector<Row> rows = {
        row<api::ListQueue, list_queue>(),         row<api::RetryQueue, retry_queue>(),
        row<api::ShowQueued, show_queued>(),       row<api::HoldQueued, hold_queued>(),
        row<api::ReleaseQueued, release_queued>(), row<api::RemoveQueued, remove_queued>(),
    };
    return rows;
}

}  // namespace poplar::admin
