#include "admin/described.h"

#include <fmt/format.h>

#include <algorithm>

#include "admin/names.h"
#include "base/ascii.h"
#include "mail/header_walk.h"
#include "mail/wire_form.h"
#include "mailstore/mail_store.h"

namespace poplar::admin {

namespace {

constexpr std::size_t kShownHeader = 64 * 1024;  // octets

// The value of the first field called `name` (lower case), as people read it.
std::string shown(const std::vector<mail::HeaderField>& fields, std::string_view name) {
    for (const auto& field : fields)
        if (ascii::same(field.name, name)) return mail::decode_for_display(field.value);
    return {};
}

// System flags, then keywords.
Task<std::vector<std::string>> flags_of(Context& context, mailstore::AccountId account,
                                        const mailstore::StoredMessage& message) {
    std::vector<std::string> out;
    for (const auto& [flag, name] : kFlagNames)
        if (message.flags.has(flag)) out.emplace_back(name);
    const auto& bits = message.flags.keywords;
    if (bits.empty()) co_return out;
    auto names = co_await context.mail.keywords(account, message.mailbox);
    if (!names) co_return out;
    for (std::size_t n = 0; n < names->size() && n / 8 < bits.size(); ++n)
        if ((static_cast<unsigned char>(bits[n / 8]) >> (n % 8) & 1) != 0) out.push_back((*names)[n]);
    co_return out;
}

}  // namespace

Task<api::Message> described(Context& context, mailstore::AccountId account, mailstore::StoredMessage message,
                             bool headers) {
    api::Message out;
    out.unique_id = message.unique_id;
    out.order = message.order.value;
    out.octets = message.octets;
    out.received = time_text(message.received);
    out.mailbox = message.mailbox.value;
    out.uid = message.uid().value;
    out.flags = co_await flags_of(context, account, message);
    if (!headers) co_return out;
    out.from = out.subject = out.date = "";
    auto reader = co_await context.mail.open(account, message);
    if (!reader) {
        out.error = to_string(reader.error().code());
        co_return out;
    }
    // The head, then the content's first chunk: 64 KB hold any header that people wrote.
    std::string plain;
    mail::WireDecoder decoder;
    mail::HeaderWalk walk;
    while (!walk.in_body() && plain.size() < kShownHeader) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) {
            out.error = to_string(chunk.error().code());
            co_return out;
        }
        if (chunk->empty()) break;
        walk.feed(*chunk);
        decoder.decode(*chunk, plain);
    }
    auto fields = mail::parse_header(plain);
    out.from = shown(fields, "from");
    out.subject = shown(fields, "subject");
    out.date = shown(fields, "date");
    co_return out;
}

Task<Result<>> send_message(Context& context, mailstore::AccountId account, mailstore::StoredMessage message,
                            std::string content_type, http::Stream& stream) {
    auto reader = co_await context.mail.open(account, std::move(message));
    if (!reader) co_return pass_on(reader);
    if (auto whole = co_await (*reader)->verify(); !whole) co_return whole;
    if (auto begun = co_await stream.begin(std::move(content_type)); !begun) co_return begun;
    mail::WireDecoder decoder;
    std::string plain;
    for (;;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) co_return Result<>();
        plain.clear();
        decoder.decode(*chunk, plain);
        if (plain.empty()) continue;
        if (auto sent = co_await stream.write(plain); !sent) co_return sent;
    }
}

Task<Result<mailstore::MailboxId>> mailbox_called(Context& context, mailstore::AccountId account, std::string name) {
    if (name.empty()) co_return mailstore::kInbox;
    auto found = co_await context.mail.mailbox(account, name);
    if (!found) co_return explain(found.error(), Errc::not_found, fmt::format("no mailbox {}", name));
    co_return found->id;
}

Task<Result<FoundMessage>> find_message(Context& context, mailstore::AccountId account, std::string id) {
    auto found = co_await context.mail.find(account, id);
    if (!found) co_return explain(found.error(), Errc::not_found, fmt::format("no message {}", id));
    FoundMessage out{std::move(*found)};
    if (out.message.order.value == 0) co_return out;
    const mailstore::OrderKey before(out.message.order.value - 1);
    auto there = co_await context.mail.list(account, out.message.mailbox, before, 1);
    if (!there && there.error().code() != Errc::not_found) co_return pass_on(there);
    out.live = there && !there->empty() && there->front().unique_id == id;
    co_return out;
}

Task<Result<LocatedMessage>> locate(Context& context, std::string name, std::string id) {
    auto account = co_await mailbox(context, std::move(name));
    if (!account) co_return pass_on(account);
    auto found = co_await find_message(context, *account, std::move(id));
    if (!found) co_return pass_on(found);
    co_return LocatedMessage{*account, std::move(found->message), found->live};
}

std::optional<mailstore::Flag> flag_of(std::string_view name) {
    const auto found = std::ranges::find(kFlagNames, name, [](const auto& one) { return one.second; });
    return found == kFlagNames.end() ? std::nullopt : std::optional(found->first);
}

}  // namespace poplar::admin
