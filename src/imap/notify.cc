// NOTIFY (RFC 5465): tells of events at any time. The selected mailbox is told as ever (update.cc), but while the
// client is silent, too. Of all other mailboxes the session knows what it told last, and tells what is different; it
// looks when the account's change number is another.
#include <algorithm>
#include <set>

#include "imap/notifications.h"
#include "mailstore/mailbox_name.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kMostMailboxes = 1000;  // of an account: all of them are looked at whenever one changes

/// A change that is never reached: asked what came after it, the store tells the account's number, and no changes.
constexpr ModSequence kNever{~0ull};

using mailstore::Mailbox;

bool has_children(const std::map<std::uint32_t, Mailbox>& mailboxes, std::string_view name) {
    return std::ranges::any_of(mailboxes, [&](const auto& one) {
        const std::string_view other = one.second.name;
        return other.starts_with(name) && other.substr(name.size()).starts_with('/');
    });
}

}  // namespace

Task<Result<>> Client::notify(Cursor in) {
    auto request = parse_notify(in);
    if (!request) co_return co_await bad_arguments();
    if (request->unknown) co_return co_await no(fmt::format("[BADEVENT ({})] there is no such event", kEventNames));
    auto fresh = std::make_unique<Notifications>();
    for (auto& group : request->groups) {
        for (auto& name : group.names) {
            const auto canonical = mailstore::canonical_name(decoded_name(std::move(name)).value_or(""));
            name = canonical ? *canonical : std::string();  // which no mailbox is called
        }
        fresh->groups.push_back(std::move(group));
    }
    if (fresh->all() != 0) {
        auto number = co_await services_.store.changes_since(account(), kNever);
        if (!number) co_return co_await no(number.error(), "the account can't be read");
        fresh->seen = number->number;
        auto now = co_await read_account();
        if (!now) co_return co_await no(now.error(), "the account can't be read");
        if (now->mailboxes.size() > kMostMailboxes)
            co_return co_await no("[NOTIFICATIONOVERFLOW] the account has too many mailboxes");
        fresh->told = std::move(*now);
    }
    if (auto* const wakeable = dynamic_cast<net::Wakeable*>(&connection_); wakeable && !request->none) {
        fresh->waker.emplace(*wakeable, co_await asio::this_coro::executor);
        fresh->watch = services_.store.watch(account(), fresh->waker->hint());
    }
    notify_ = std::move(fresh);
    if (request->status)
        for (const auto& [id, mailbox] : notify_->told.mailboxes) {
            const auto wanted = notify_->of(mailbox.name, mailbox.subscribed);
            if ((wanted & events::kOfMessages) == 0 || is_selected(mailbox.id)) continue;
            if (auto said = co_await say_status(mailbox, wanted); !said) co_return said;
        }
    co_return co_await ok("done");
}

bool Client::is_selected(mailstore::MailboxId mailbox) const { return selected_ && selected_->id() == mailbox; }

std::uint8_t Client::wanted_of_selected() const { return notify_ ? notify_->of_selected() : events::kOfMessages; }

// RFC 5465 s3, s5.1 to s5.3.
Task<Result<>> Client::say_status(const Mailbox& mailbox, std::uint8_t wanted) {
    StatusItems items;
    items.messages = items.uid_next = items.uid_validity = true;
    items.unseen = (wanted & events::kFlagChange) != 0;
    items.highest_mod_sequence = condstore_ || (wanted & events::kFlagChange) != 0;
    if (auto written = co_await write_status(mailbox, items); !written) co_return written;
    co_return co_await send_some();
}

Task<Result<Client::Account>> Client::read_account() {
    Account now;
    auto mailboxes = co_await services_.store.mailboxes(account());
    if (!mailboxes) co_return pass_on(mailboxes);
    for (auto& mailbox : *mailboxes)
        if (may_see(mailbox.id)) now.mailboxes.emplace(mailbox.id.value, std::move(mailbox));
    if (sees_all()) {
        auto lost = co_await services_.store.lost_subscriptions(account());
        if (!lost) co_return pass_on(lost);
        now.lost = std::move(*lost);
    }
    auto annotations = co_await read_annotations();
    if (!annotations) co_return pass_on(annotations);
    now.annotations = std::move(*annotations);
    co_return now;
}

// While the client is silent, between two commands. Returns when it has said something.
Task<Result<>> Client::tell_until_spoken_to() {
    auto* const wakeable = dynamic_cast<net::Wakeable*>(&io());
    if (!notify_ || !notify_->watch || !wakeable) co_return Result<>();
    const auto deadline = SteadyClock::now() + idle_limit();
    for (;;) {
        if (auto told = co_await tell_events(Expunges::held); !told) co_return told;
        if (auto sent = co_await send(); !sent) co_return sent;
        if (out_.capacity() > kBlock) out_ = std::string();
        const auto left = std::chrono::ceil<std::chrono::seconds>(deadline - SteadyClock::now());
        if (left <= left.zero()) co_return fail(Errc::timed_out, "silent for too long");
        auto awaited = co_await wakeable->await_octets(left);
        if (!awaited) co_return pass_on(awaited);
        if (*awaited) co_return Result<>();
    }
}

// `expunges`: of a client that waits for them. One that wants to hear of them at any time uses no message numbers.
Task<Result<>> Client::tell_events(Expunges expunges) {
    if (notify_ && !notify_->delays_expunges()) expunges = Expunges::told;
    if (selected_)
        if (auto told = co_await update(expunges); !told) co_return told;
    co_return co_await tell_others();
}

// A failure of the store's is logged, and the next change tries again.
Task<Result<>> Client::tell_others() {
    if (!notify_ || notify_->all() == 0) co_return Result<>();
    auto news = co_await services_.store.changes_since(account(), kNever);
    if (news && news->number == notify_->seen) co_return Result<>();
    Result<Account> now = fail(Errc::io, "");
    if (news) now = co_await read_account();
    if (!news || !now) {
        log_failure(news ? now.error() : news.error(), "the account can't be read");
        co_return Result<>();
    }
    const auto before = std::exchange(notify_->told, *now);
    notify_->seen = news->number;
    if (auto told = co_await tell_names(before, *now); !told) co_return told;
    for (const auto& [id, mailbox] : now->mailboxes) {
        const auto old = before.mailboxes.find(id);
        const auto wanted = notify_->of(mailbox.name, mailbox.subscribed);
        if ((wanted & events::kOfMessages) == 0 || is_selected(mailbox.id)) continue;
        const bool is_new = old == before.mailboxes.end();
        const bool counts =
            is_new ? mailbox.totals.messages > 0
                   : old->second.uid_next != mailbox.uid_next || old->second.totals.messages != mailbox.totals.messages;
        const bool flags = !is_new && old->second.changed != mailbox.changed;
        if (counts || (flags && (wanted & events::kFlagChange) != 0))
            if (auto said = co_await say_status(mailbox, wanted); !said) co_return said;
    }
    tell_annotations(before, *now);
    co_return co_await send_some();
}

// RFC 5465 s5.4, s5.5.
Task<Result<>> Client::tell_names(const Account& before, const Account& now) {
    std::set<std::string> told;
    const auto wants = [&](std::uint8_t event, std::string_view name, bool subscribed) {
        return (notify_->of(name, subscribed) & event) != 0;
    };
    const auto find = [](const Account& in, std::string_view name) {
        return std::ranges::find_if(in.mailboxes, [&](const auto& one) { return one.second.name == name; });
    };
    const auto say = [&](const std::string& name, std::string_view old_name = {}) {
        if (name.empty() || (!told.insert(name).second && old_name.empty())) return;
        const auto at = find(now, name);
        const bool is_there = at != now.mailboxes.end();
        std::string attributes = is_there ? "" : "\\NonExistent ";
        if (is_there ? at->second.subscribed : std::ranges::binary_search(now.lost, name))
            attributes += "\\Subscribed ";
        attributes += has_children(now.mailboxes, name) ? "\\HasChildren" : "\\HasNoChildren";
        if (is_there && at->second.use != mailstore::SpecialUse::none)
            attributes.append(" ").append(name_of(at->second.use));
        fmt::format_to(std::back_inserter(out_), "* LIST ({}) \"/\" ", attributes);
        write_mailbox(out_, name);
        if (!old_name.empty()) {
            out_ += " (\"OLDNAME\" (";
            write_mailbox(out_, old_name);
            out_ += "))";
        }
        out_ += "\r\n";
    };
    // Those below a mailbox that got another name are not told of.
    const auto followed = [&](const Mailbox& was, const Mailbox& is) {
        const auto parent = find(before, mailstore::parent_of(was.name));
        if (parent == before.mailboxes.end()) return false;
        const auto parent_now = now.mailboxes.find(parent->first);
        return parent_now != now.mailboxes.end() && parent_now->second.name != parent->second.name &&
               parent_now->second.name == mailstore::parent_of(is.name);
    };
    for (const auto& [id, mailbox] : now.mailboxes) {
        const auto old = before.mailboxes.find(id);
        const auto& name = mailbox.name;
        const bool is_new = old == before.mailboxes.end();
        if (is_new && wants(events::kMailboxName, name, mailbox.subscribed)) {
            say(name);
            say(std::string(mailstore::parent_of(name)));
        } else if (!is_new && old->second.name != name && wants(events::kMailboxName, name, mailbox.subscribed) &&
                   !followed(old->second, mailbox)) {
            say(name, old->second.name);
        }
        const bool was_subscribed = is_new ? std::ranges::binary_search(before.lost, name) : old->second.subscribed;
        if (was_subscribed != mailbox.subscribed && wants(events::kSubscription, name, true)) say(name);
        if (auto sent = co_await send_some(); !sent) co_return sent;
    }
    for (const auto& [id, mailbox] : before.mailboxes)
        if (!now.mailboxes.contains(id) && wants(events::kMailboxName, mailbox.name, mailbox.subscribed)) {
            say(mailbox.name);
            say(std::string(mailstore::parent_of(mailbox.name)));
        }
    for (const auto& name : before.lost)
        if (!std::ranges::binary_search(now.lost, name) && find(now, name) == now.mailboxes.end() &&
            wants(events::kSubscription, name, true))
            say(name);
    co_return co_await send_some();
}

// RFC 5465 s5.6, s5.7; RFC 5464 s4.4.2: names alone.
void Client::tell_annotations(const Account& before, const Account& now) {
    const auto tell = [&](std::uint32_t id, std::string_view mailbox) {
        const auto &was = before.annotations.of(id), &is = now.annotations.of(id);
        std::string names;
        const auto add = [&](const std::string& name) {
            names += ' ';
            write_astring(names, name, TextForm::ascii);
        };
        for (const auto& [name, value] : is)
            if (const auto old = was.find(name); old == was.end() || old->second != value) add(name);
        for (const auto& [name, value] : was)
            if (!is.contains(name)) add(name);
        if (names.empty()) return;
        out_ += "* METADATA ";
        if (mailbox.empty())
            out_ += "\"\"";
        else
            write_mailbox(out_, mailbox);
        out_.append(names).append("\r\n");
    };
    if ((notify_->all() & events::kServerMetadata) != 0) tell(Annotations::kServer, {});
    for (const auto& [id, mailbox] : now.mailboxes)
        if ((notify_->of(mailbox.name, mailbox.subscribed) & events::kMailboxMetadata) != 0) tell(id, mailbox.name);
}

}  // namespace poplar::imap
