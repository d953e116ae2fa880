// Messages of other servers. The account remembers the source of each, in the commit that stores it: so nothing is
// stored twice, and what was deleted here does not return in a later round.
#include "admin/moving.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "activity/ledger.h"
#include "admin/described.h"
#include "admin/names.h"
#include "admin/wire_body.h"
#include "base/digest.h"
#include "base/printable.h"
#include "base/random.h"
#include "mail/downgrade.h"
#include "mail/header_mender.h"
#include "mailstore/mail_store.h"
#include "mailstore/mailbox_name.h"

namespace poplar::admin {

namespace {

// How long a source is remembered. A move takes weeks, and an operator may come back to it.
constexpr auto kRemembered = std::chrono::days(730);
constexpr std::size_t kLongestSource = 1000;

std::string fact_name(const std::string& source) {
    Digest digest;
    digest.add(source);
    return "import/" + digest.finish();
}

bool is_unique_id(std::string_view text) {
    constexpr std::size_t kLongest = 70;  // RFC 1939 s7
    return !text.empty() && text.size() <= kLongest &&
           std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e; });
}

/// Somebody brings a message of this source in. Between the look whether it is there and the commit another could store
/// it, too.
class InHand {
public:
    InHand(directory::AccountId account, const std::string& source) : key_(account, source) {
        std::scoped_lock lock(all().mutex);
        alone_ = all().keys.insert(key_).second;
    }
    ~InHand() {
        if (!alone_) return;
        std::scoped_lock lock(all().mutex);
        all().keys.erase(key_);
    }
    InHand(const InHand&) = delete;
    InHand& operator=(const InHand&) = delete;
    bool alone() const { return alone_; }

private:
    using Key = std::pair<directory::AccountId, std::string>;
    struct All {
        std::mutex mutex;
        std::set<Key> keys;
    };
    static All& all() {
        static All one;
        return one;
    }
    const Key key_;
    bool alone_ = false;
};

/// An import remembers what it stored by its source, and is found by that. Nothing: it was never stored.
Task<Result<std::optional<api::ImportedMessage>>> look_up(Context& context, directory::AccountId account,
                                                          std::string source) {
    auto known = co_await context.mail.fact(account, fact_name(source));
    if (!known) co_return pass_on(known);
    std::optional<api::ImportedMessage> found;
    if (!*known) co_return found;
    auto message = co_await find_message(context, account, **known);
    if (!message && message.error().code() != Errc::not_found) co_return pass_on(message);
    found.emplace();
    found->source = std::move(source);
    found->unique_id = **known;
    found->state = message && message->live ? "there" : "deleted";
    co_return found;
}

mailstore::NewMessage with_flags(mailstore::NewMessage message, std::string_view flags) {
    while (!flags.empty()) {
        const auto end = std::min(flags.find(','), flags.size());
        const auto name = flags.substr(0, end);
        flags.remove_prefix(std::min(end + 1, flags.size()));
        if (name.empty()) continue;
        if (const auto flag = flag_of(name))
            message.flags |= static_cast<std::uint8_t>(*flag);
        else
            message.keywords.emplace_back(name);
    }
    return message;
}

/// Takes the message in as it comes.
Task<Result<mailstore::NewMessage>> receive(Context& context, http::Body& body) {
    auto writer = context.mail.stage(body.size_hint());
    WireBody wire(body);
    mail::HeaderMender mender;
    mail::Downgrader downgrader;
    auto write = [&](std::string_view octets) -> Task<Result<>> {
        if (octets.empty()) co_return Result<>();
        downgrader.feed(octets);
        co_return co_await writer->write(octets);
    };
    for (;;) {
        auto piece = co_await wire.next();
        if (!piece) co_return pass_on(piece);
        if (piece->empty()) break;
        auto mended = mender.pass(*piece);
        if (auto written = co_await write(mended); !written) co_return pass_on(written);
    }
    auto last = mender.finish();
    if (auto written = co_await write(last); !written) co_return pass_on(written);
    downgrader.finish();
    const auto octets = wire.sizes().octets + mender.added();
    auto content = co_await writer->finish(octets, 1);
    if (!content) co_return pass_on(content);
    mailstore::NewMessage message{"", std::move(*content), {}};
    if (downgrader.needed()) message.ascii_octets = octets + static_cast<std::uint64_t>(downgrader.growth());
    co_return message;
}

Task<Result<std::vector<mailstore::Message>>> file(Context& context, directory::AccountId account,
                                                   mailstore::NewMessage message, api::ImportMessage wanted) {
    mailstore::NewFact fact{fact_name(wanted.source), message.unique_id, context.ledger.now() + kRemembered};
    mailstore::Filing filing;
    filing.items.push_back({std::move(message), wanted.mailbox.value_or("INBOX"), true});
    filing.facts.push_back(std::move(fact));
    co_return co_await context.mail.file(account, std::move(filing));
}

/// A unique-id for a message whose own can't be kept: nobody else makes such ones, now or later.
std::string fresh_unique_id() { return "m-" + random_text(26); }

}  // namespace

Task<Result<api::ImportedMessage>> import_message(Context& context, Caller, api::ImportMessage wanted,
                                                  http::Body& body) {
    if (wanted.source.empty() || wanted.source.size() > kLongestSource)
        co_return fail(Errc::invalid, fmt::format("source: 1 to {} octets", kLongestSource));
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    const InHand in_hand(account->id, wanted.source);
    if (!in_hand.alone()) co_return fail(Errc::busy, "another import brings this message now");
    auto known = co_await look_up(context, account->id, wanted.source);
    if (!known) co_return pass_on(known);
    if (*known) co_return std::move(**known);
    // Filed under no name that fits, it would come to INBOX, where POP shows it.
    if (auto name = mailstore::canonical_name(wanted.mailbox.value_or("INBOX")); !name)
        co_return fail(name.error().code(),
                       fmt::format("mailbox {}: {}", with_hidden_shown(*wanted.mailbox), name.error().detail()));
    auto received = co_await receive(context, body);
    if (!received) co_return pass_on(received);
    auto message = with_flags(std::move(*received), wanted.flags.value_or(""));
    if (wanted.received) message.received = Timestamp(std::chrono::milliseconds(*wanted.received));

    api::ImportedMessage reply{wanted.source, {}, "stored", {}};
    message.unique_id = wanted.unique_id.value_or("");
    if (!message.unique_id.empty() && !is_unique_id(message.unique_id)) {
        reply.not_kept = "it is no unique-id";
        message.unique_id.clear();
    }
    if (message.unique_id.empty()) message.unique_id = fresh_unique_id();
    auto filed = co_await file(context, account->id, message, wanted);
    if (!filed && filed.error().code() == Errc::exists) {
        reply.not_kept = filed.error().detail();
        message.unique_id = fresh_unique_id();
        filed = co_await file(context, account->id, message, wanted);
    }
    // A keyword that can't be kept here must not keep a message out.
    const auto code = filed ? Errc::not_found : filed.error().code();
    if (!message.keywords.empty() && (code == Errc::invalid || code == Errc::too_large)) {
        message.keywords.clear();
        filed = co_await file(context, account->id, message, wanted);
    }
    if (!filed) co_return pass_on(filed);
    reply.unique_id = message.unique_id;
    co_return reply;
}

Task<Result<api::ImportedList>> find_imported(Context& context, Caller, api::FindImported wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    api::ImportedList list;
    for (auto& source : wanted.sources) {
        auto found = co_await look_up(context, account->id, std::move(source));
        if (!found) co_return pass_on(found);
        if (*found) list.messages.push_back(std::move(**found));
    }
    co_return list;
}

}  // namespace poplar::admin
