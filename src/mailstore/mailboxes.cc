// Mailboxes are made, named anew, subscribed and removed.
#include <algorithm>

#include "mailstore/changes.h"
#include "mailstore/keys.h"
#include "mailstore/mailbox_name.h"

namespace poplar::mailstore {

namespace {
constexpr std::size_t kPage = 1000;  // entries a scan
}  // namespace

// Each change of mailboxes makes the default ones first, unless there are some already: so an account that only POP
// uses never has them.
Task<Result<Changes::Draft>> Changes::begin_mailboxes(AccountId account, Hot& hot) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    auto& record = draft->record();
    if (record.closed) co_return fail(Errc::not_found, "the account is gone");
    if (record.others) co_return draft;
    record.others.emplace().last_uid_validity = record.inbox.uid_validity;
    for (const auto& text : options_.default_mailboxes) {
        auto mailbox = parse_default_mailbox(text);
        if (!mailbox) co_return pass_on(mailbox);
        auto there = co_await find_name(account, *draft, mailbox->name);
        if (there || there.error().code() != Errc::not_found) continue;
        auto made = co_await make_mailbox(account, *draft, mailbox->name, mailbox->use, Subscription::yes);
        if (!made) co_return pass_on(made);
    }
    co_return draft;
}

Task<Result<>> Changes::make_default_mailboxes(AccountId account, Hot& hot) {
    auto attempt = [&]() -> Task<Result<>> {
        auto draft = co_await begin_mailboxes(account, hot);
        if (!draft) co_return pass_on(draft);
        if (draft->row.empty()) co_return Result<>{};
        co_return co_await commit(account, hot, std::move(*draft));
    };
    co_return co_await repeated(attempt);
}

/// Errors: not_found.
Task<Result<MailboxId>> Changes::find_name(AccountId account, Draft& draft, std::string name) {
    if (name == kInboxName) co_return kInbox;
    auto none = fail(Errc::not_found, "no mailbox is called so");
    if (auto staged = draft.names.find(name); staged != draft.names.end()) {
        if (!staged->second) co_return none;
        co_return *staged->second;
    }
    auto value = co_await engine_.get(account, keys::name(name));
    if (!value && value.error().code() == Errc::not_found) co_return none;
    if (!value) co_return pass_on(value);
    auto id = decode_number(*value);
    if (!id) co_return pass_on(id);
    co_return MailboxId(static_cast<std::uint32_t>(*id));
}

Task<Result<>> Changes::expect_free(AccountId account, Draft& draft, std::string name) {
    auto found = co_await find_name(account, draft, std::move(name));
    if (found) co_return fail(Errc::exists, "a mailbox is called so");
    if (found.error().code() != Errc::not_found) co_return pass_on(found);
    co_return Result<>{};
}

/// Makes a mailbox that is not there, and those above it that are not (RFC 9051 s6.3.4).
Task<Result<MailboxId>> Changes::make_mailbox(AccountId account, Draft& draft, std::string name, SpecialUse use,
                                              Subscription subscription) {
    if (const auto parent = parent_of(name); !parent.empty()) {
        auto above = co_await find_name(account, draft, std::string(parent));
        if (!above && above.error().code() == Errc::not_found)
            above = co_await make_mailbox(account, draft, std::string(parent), SpecialUse::none, subscription);
        if (!above) co_return pass_on(above);
    }
    auto& others = *draft.record().others;
    if (others.mailboxes + others.removed >= options_.mailboxes)
        co_return fail(Errc::too_large, "the account has as many mailboxes as it may");
    const auto id = others.next;
    ++others.next.value;
    ++others.mailboxes;
    others.last_uid_validity = uid_validity_at(clock_.now(), others.last_uid_validity);
    MailboxRecord record;
    record.uid_validity = others.last_uid_validity;
    record.changed = draft.number();
    auto subscribed = co_await find_subscription(account, draft, name);
    if (!subscribed) co_return pass_on(subscribed);
    record.subscribed = subscription == Subscription::yes || *subscribed;
    record.use = use;
    record.name = name;
    draft.mailboxes.emplace(id, std::move(record));
    draft.names[std::move(name)] = id;
    draft.row.add(Change::Kind::mailbox, id);
    co_return id;
}

Task<Result<MailboxId>> Changes::add_mailbox(AccountId account, Hot& hot, std::string name, SpecialUse use) {
    auto attempt = [&]() -> Task<Result<MailboxId>> {
        auto draft = co_await begin_mailboxes(account, hot);
        if (!draft) co_return pass_on(draft);
        if (auto free = co_await expect_free(account, *draft, name); !free) {
            // The default ones may just have been made for this.
            if (!draft->row.empty() && free.error().code() == Errc::exists)
                if (auto made = co_await commit(account, hot, std::move(*draft)); !made) co_return pass_on(made);
            co_return pass_on(free);
        }
        auto id = co_await make_mailbox(account, *draft, name, use, Subscription::no);
        if (!id) co_return pass_on(id);
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return pass_on(done);
        co_return *id;
    };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::rename_mailbox(AccountId account, Hot& hot, std::string from, std::string to) {
    auto attempt = [&] { return try_rename(account, hot, from, to); };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::try_rename(AccountId account, Hot& hot, const std::string& from, const std::string& to) {
    // RFC 9051 s6.3.6: its messages would go, and INBOX would stay. A server may say no.
    if (from == kInboxName) co_return fail(Errc::denied, "INBOX keeps its name");
    if (to.starts_with(from + "/")) co_return fail(Errc::invalid, "a mailbox can't be below itself");
    auto draft = co_await begin_mailboxes(account, hot);
    if (!draft) co_return pass_on(draft);
    auto id = co_await find_name(account, *draft, from);
    if (!id) co_return pass_on(id);
    // The mailbox first, then all that is below it.
    std::vector<std::pair<std::string, MailboxId>> renamed{{from, *id}};
    auto range = keys::names_below(from);
    for (bool more = true; more;) {
        auto page = co_await engine_.scan(account, range, kPage);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            auto below = decode_number(entry.value);
            if (!below) co_return pass_on(below);
            renamed.emplace_back(keys::name_of(entry.key), MailboxId(static_cast<std::uint32_t>(*below)));
        }
        more = page->size() == kPage;
        if (more) range.begin_behind(page->back().key);
    }
    for (const auto& [name, mailbox_id] : renamed) draft->names[name] = std::nullopt;
    for (const auto& [name, mailbox_id] : renamed) {
        auto name_now = to + name.substr(from.size());
        if (name_now.size() > kLongestName) co_return fail(Errc::invalid, "a mailbox's name would be too long");
        if (auto free = co_await expect_free(account, *draft, name_now); !free) co_return free;
        auto record = co_await mailbox(account, *draft, mailbox_id);
        if (!record) co_return pass_on(record);
        auto subscribed = co_await find_subscription(account, *draft, name_now);
        if (!subscribed) co_return pass_on(subscribed);
        (*record)->subscribed = (*record)->subscribed || *subscribed;
        (*record)->name = name_now;
        (*record)->changed = draft->number();
        draft->names[std::move(name_now)] = mailbox_id;
        draft->row.add(Change::Kind::mailbox, mailbox_id);
    }
    if (const auto parent = parent_of(to); !parent.empty()) {
        auto above = co_await find_name(account, *draft, std::string(parent));
        if (!above && above.error().code() == Errc::not_found)
            above = co_await make_mailbox(account, *draft, std::string(parent), SpecialUse::none, Subscription::no);
        if (!above) co_return pass_on(above);
    }
    co_return co_await commit(account, hot, std::move(*draft));
}

Task<Result<>> Changes::set_subscription(AccountId account, Hot& hot, std::string name, Subscription subscription) {
    auto change = [subscription](MailboxRecord& record) { record.subscribed = subscription == Subscription::yes; };
    auto done = co_await alter_mailbox(account, hot, name, change);
    if (done || done.error().code() != Errc::not_found) co_return done;
    auto attempt = [&]() -> Task<Result<>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        auto lost = co_await find_subscription(account, *draft, name);
        if (!lost) co_return pass_on(lost);
        if (!*lost) co_return fail(Errc::not_found, "no mailbox is called so");
        if (subscription == Subscription::yes) co_return Result<>{};
        co_return co_await commit(account, hot, std::move(*draft));
    };
    co_return co_await repeated(attempt);
}

Task<Result<bool>> Changes::find_subscription(AccountId account, Draft& draft, const std::string& name) {
    auto row = co_await engine_.get(account, keys::lost_subscription(name));
    if (!row && row.error().code() == Errc::not_found) co_return false;
    if (!row) co_return pass_on(row);
    draft.batch.erase(keys::lost_subscription(name));
    co_return true;
}

// RFC 9051 s6.3.5, s6.3.7: the server takes no name from the list of subscriptions by itself.
Task<Result<>> Changes::lose_subscription(AccountId account, Draft& draft, const std::string& name) {
    auto others = co_await engine_.scan(account, keys::lost_subscriptions(), kMostLostSubscriptions);
    if (!others) co_return pass_on(others);
    if (others->size() < kMostLostSubscriptions) draft.batch.put(keys::lost_subscription(name), "");
    co_return Result<>{};
}

Task<Result<>> Changes::set_use(AccountId account, Hot& hot, std::string name, SpecialUse use) {
    if (name == kInboxName) co_return fail(Errc::denied, "INBOX has no special use");
    auto change = [use](MailboxRecord& record) { record.use = use; };
    co_return co_await alter_mailbox(account, hot, std::move(name), change);
}

Task<Result<>> Changes::alter_mailbox(AccountId account, Hot& hot, std::string name,
                                      std::function<void(MailboxRecord&)> change) {
    auto attempt = [&]() -> Task<Result<>> {
        auto draft = co_await begin_mailboxes(account, hot);
        if (!draft) co_return pass_on(draft);
        auto id = co_await find_name(account, *draft, name);
        if (!id) co_return pass_on(id);
        auto record = co_await mailbox(account, *draft, *id);
        if (!record) co_return pass_on(record);
        const auto before = std::pair((*record)->subscribed, (*record)->use);
        change(**record);
        if (before == std::pair((*record)->subscribed, (*record)->use)) co_return Result<>{};
        (*record)->changed = draft->number();
        draft->row.add(Change::Kind::mailbox, *id);
        co_return co_await commit(account, hot, std::move(*draft));
    };
    co_return co_await repeated(attempt);
}

// Removing

Task<Result<MailboxId>> Changes::remove_mailbox(AccountId account, Hot& hot, std::string name, std::string reason) {
    auto attempt = [&]() -> Task<Result<MailboxId>> {
        if (name == kInboxName) co_return fail(Errc::denied, "INBOX can't be removed");
        auto draft = co_await begin_mailboxes(account, hot);
        if (!draft) co_return pass_on(draft);
        auto id = co_await find_name(account, *draft, name);
        if (!id) co_return pass_on(id);
        auto record = co_await mailbox(account, *draft, *id);
        if (!record) co_return pass_on(record);
        if (auto loaded = co_await load_views(account, hot, *draft); !loaded) co_return pass_on(loaded);
        const auto views = draft->views;
        for (const auto& [view, its] : views)
            if (view.mailbox == *id) erase_view(*draft, view);
        if ((*record)->subscribed)
            if (auto kept = co_await lose_subscription(account, *draft, name); !kept) co_return pass_on(kept);
        (*record)->removed = true;
        draft->names[name] = std::nullopt;
        draft->row.add(Change::Kind::mailbox_removed, *id);
        auto& others = *draft->record().others;
        subtract(others.mailboxes, 1);
        ++others.removed;
        auto drained = co_await drain(account, *draft, *id, reason);
        if (!drained) co_return pass_on(drained);
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return pass_on(done);
        co_return *drained ? MailboxId() : *id;
    };
    co_return co_await repeated(attempt);
}

/// Moves messages of a removed mailbox to the retained area, as many as a commit may have. With the last of them the
/// mailbox goes: true.
Task<Result<bool>> Changes::drain(AccountId account, Draft& draft, MailboxId id, std::string_view reason) {
    auto& record = draft.mailboxes.at(id);
    auto entries = co_await engine_.scan(account, keys::messages(id), options_.commit_messages);
    if (!entries) co_return pass_on(entries);
    const Deleter by{std::string(reason)};
    for (const auto entry : *entries) {
        auto message = decode_message(entry);
        if (!message) co_return pass_on(message);
        retain(draft, record, std::move(*message), by);
    }
    if (entries->size() == options_.commit_messages) co_return false;
    draft.mailboxes.erase(id);
    draft.batch.erase(keys::mailbox(id));
    draft.batch.erase(keys::keywords(id));
    subtract(draft.record().others->removed, 1);
    co_return true;
}

Task<Result<MailboxId>> Changes::drain_mailbox(AccountId account, Hot& hot, MailboxId id, std::string reason) {
    auto attempt = [&]() -> Task<Result<MailboxId>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        auto found = co_await mailbox(account, *draft, id);
        if (found || found.error().code() != Errc::not_found) co_return MailboxId();
        if (!draft->mailboxes.contains(id)) co_return MailboxId();  // somebody else has done it
        auto drained = co_await drain(account, *draft, id, reason);
        if (!drained) co_return pass_on(drained);
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return pass_on(done);
        co_return *drained ? MailboxId() : id;
    };
    co_return co_await repeated(attempt);
}

}  // namespace poplar::mailstore
