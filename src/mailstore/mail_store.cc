// MailStore's functions on messages and on what changed, and its documents and facts. Beside it: store_maildrops.cc,
// store_mailboxes.cc, store_deleted.cc, store_structures.cc.
#include "mailstore/mail_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "mailstore/change_log.h"
#include "mailstore/lookup.h"
#include "mailstore/mailbox_name.h"
#include "mailstore/store_parts.h"

namespace poplar::mailstore {

namespace {

/// Of a document or a fact.
Result<> check_name(std::string_view name, std::size_t longest) {
    if (name.empty() || name.size() > longest)
        return fail(Errc::invalid, fmt::format("a name has 1 to {} octets", longest));
    return {};
}

}  // namespace

Task<Result<std::vector<Transferred>>> MailStore::Impl::transfer(AccountId account, Changes::Transfer how,
                                                                 MailboxId from, std::vector<Uid> uids, MailboxId to) {
    auto change = [this, account, how, from, to](Hot& hot, std::vector<Uid> part) {
        return changes.transfer(account, hot, how, from, std::move(part), to);
    };
    auto join = [](auto& all, auto part) { all.insert(all.end(), part.begin(), part.end()); };
    return in_parts<std::vector<Transferred>>(account, std::move(uids), std::move(change), join,
                                              options.copied_messages);
}

Task<Result<std::unique_ptr<engine::BodyReader>>> MailStore::Impl::open(AccountId account, Message message,
                                                                        encryption::MailKeyPtr key) {
    auto bodies = engine.read_bodies(account);
    auto stored = co_await bodies->open(message.body);
    // While an account's mail is being sealed, or opened for good, a message may have got another body just now.
    if (!stored && stored.error().code() == Errc::not_found) {
        auto now = co_await look_up(engine, account, message.unique_id, engine.snapshot(account));
        if (!now || now->message.body == message.body) co_return stored;
        message = std::move(now->message);
        stored = co_await bodies->open(message.body);
    }
    if (!stored || !message.key) co_return stored;
    co_return decoded(std::move(*stored), Decoders{options.codec.get(), std::move(key)}, message.key,
                      message.wire_octets);
}

MailStore::MailStore(engine::Engine& engine, const Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(engine, clock, options)) {}
MailStore::~MailStore() = default;

void MailStore::on_totals(TotalsListener listener) { impl_->changes.on_totals(std::move(listener)); }

std::unique_ptr<ContentWriter> MailStore::stage(std::uint64_t size_hint) {
    return write_content(impl_->engine, impl_->options.codec.get(), size_hint);
}

Result<std::unique_ptr<engine::BodyReader>> MailStore::read(const Content& content) {
    auto stored = content.staged->read();
    if (!content.key) return stored;
    return decoded(std::move(stored), Decoders{impl_->options.codec.get()}, content.key, content.wire_octets());
}

Task<Result<Message>> MailStore::append(AccountId account, NewMessage message) {
    if (!message.unique_id.empty() && !is_unique_id(message.unique_id))
        co_return fail(Errc::invalid, "a unique-id has 1 to 70 printable ASCII characters");
    if (message.content.key && !impl_->options.codec)
        co_return fail(Errc::denied, "the content is encoded, and nothing here can do that");
    const auto received = message.received.value_or(impl_->clock.now());
    OneShot<Message> answer;
    co_await impl_->queues->push(account, Append{std::move(message), received, answer.sender()});
    co_return co_await answer.receive();
}

Task<Result<std::vector<Message>>> MailStore::append_together(AccountId account, std::vector<NewMessage> messages,
                                                              std::optional<MessageAt> replaced) {
    if (messages.size() > impl_->options.commit_messages)
        co_return fail(Errc::too_large, "more messages than a commit takes");
    for (const auto& message : messages) {
        if (!message.unique_id.empty() && !is_unique_id(message.unique_id))
            co_return fail(Errc::invalid, "a unique-id has 1 to 70 printable ASCII characters");
        if (message.content.key && !impl_->options.codec)
            co_return fail(Errc::denied, "the content is encoded, and nothing here can do that");
    }
    auto change = [impl = impl_.get(), account, messages = std::move(messages), replaced](Hot& hot) {
        return impl->changes.append_together(account, hot, messages, replaced);
    };
    co_return co_await impl_->alone<std::vector<Message>>(account, std::move(change));
}

Task<Result<std::vector<Message>>> MailStore::file(AccountId account, Filing filing) {
    for (const auto& fact : filing.facts) {
        if (auto sound = check_name(fact.name, kLongestFactName); !sound) co_return pass_on(sound);
        if (fact.value.size() > kLargestFact) co_return fail(Errc::too_large, "a fact has 1 KB at most");
    }
    for (auto& item : filing.items) {
        if (item.message.content.key && !impl_->options.codec)
            co_return fail(Errc::denied, "the content is encoded, and nothing here can do that");
        auto name = canonical_name(item.mailbox);
        item.mailbox = name ? std::move(*name) : std::string(kInboxName);
    }
    auto change = [impl = impl_.get(), account, filing = std::move(filing)](Hot& hot) {
        return impl->changes.file(account, hot, filing);
    };
    co_return co_await impl_->alone<std::vector<Message>>(account, std::move(change));
}

Task<Result<AccountTotals>> MailStore::totals(AccountId account) {
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    co_return record->totals();
}

Task<Result<std::vector<StoredMessage>>> MailStore::list(AccountId account, OrderKey after, std::size_t limit) {
    return list(account, kInbox, after, limit);
}

Task<Result<std::vector<StoredMessage>>> MailStore::list(AccountId account, MailboxId mailbox, OrderKey after,
                                                         std::size_t limit) {
    std::vector<StoredMessage> messages;
    if (limit == 0 || after == OrderKey(~0ull)) co_return messages;
    auto entries = co_await impl_->engine.scan(account, keys::messages(mailbox, OrderKey(after.value + 1)), limit);
    if (!entries) co_return pass_on(entries);
    messages.reserve(entries->size());
    for (const auto entry : *entries) {
        auto message = decode_message(entry);
        if (!message) co_return pass_on(message);
        messages.push_back(std::move(*message));
    }
    co_return messages;
}

Task<Result<std::vector<StoredMessage>>> MailStore::messages(AccountId account, MailboxId mailbox,
                                                             std::vector<Uid> uids) {
    std::ranges::sort(uids);
    uids.erase(std::ranges::unique(uids).begin(), uids.end());
    co_return co_await look_up(impl_->engine, account, mailbox, std::move(uids), impl_->engine.snapshot(account));
}

Task<Result<std::shared_ptr<const MessageList>>> MailStore::list_uids(AccountId account, MailboxId mailbox) {
    return impl_->uid_lists.read(impl_->engine, account, mailbox);
}

Task<Result<std::vector<std::string>>> MailStore::keywords(AccountId account, MailboxId mailbox) {
    auto value = co_await impl_->engine.get(account, keys::keywords(mailbox));
    if (!value && value.error().code() == Errc::not_found) co_return std::vector<std::string>();
    if (!value) co_return pass_on(value);
    auto table = decode_keywords(*value);
    if (!table) co_return pass_on(table);
    co_return table->names();
}

Task<Result<FlagOutcome>> MailStore::change_flags(AccountId account, MailboxId mailbox, std::vector<Uid> uids,
                                                  FlagChange change) {
    auto one = [impl = impl_.get(), account, mailbox, change = std::move(change)](Hot& hot, std::vector<Uid> part) {
        return impl->changes.change_flags(account, hot, mailbox, std::move(part), change);
    };
    auto join = [](FlagOutcome& all, FlagOutcome part) {
        all.number = std::max(all.number, part.number);
        all.refused.insert(all.refused.end(), part.refused.begin(), part.refused.end());
    };
    return impl_->in_parts<FlagOutcome>(account, std::move(uids), std::move(one), join);
}

Task<Result<MailboxTotals>> MailStore::measure(AccountId account, MailboxId mailbox, std::vector<Uid> uids) {
    std::ranges::sort(uids);
    uids.erase(std::ranges::unique(uids).begin(), uids.end());
    auto messages = co_await look_up(impl_->engine, account, mailbox, std::move(uids));
    if (!messages) co_return pass_on(messages);
    MailboxTotals totals;
    for (const auto& message : *messages) count_in(totals, message);
    co_return totals;
}

Task<Result<std::vector<Transferred>>> MailStore::copy(AccountId account, MailboxId from, std::vector<Uid> uids,
                                                       MailboxId to) {
    std::ranges::sort(uids);
    uids.erase(std::ranges::unique(uids).begin(), uids.end());
    if (uids.size() > impl_->options.copied_messages)
        co_return fail(Errc::too_large, "more messages than are copied together");
    co_return co_await impl_->transfer(account, Changes::Transfer::copy, from, std::move(uids), to);
}

Task<Result<std::vector<Transferred>>> MailStore::move(AccountId account, MailboxId from, std::vector<Uid> uids,
                                                       MailboxId to) {
    return impl_->transfer(account, Changes::Transfer::move, from, std::move(uids), to);
}

Task<Result<std::uint64_t>> MailStore::expunge(AccountId account, MailboxId mailbox, std::vector<Uid> uids,
                                               std::string reason) {
    auto change = [impl = impl_.get(), account, mailbox, reason = std::move(reason)](Hot& hot, std::vector<Uid> part) {
        return impl->changes.expunge(account, hot, mailbox, std::move(part), reason);
    };
    auto join = [](std::uint64_t& all, std::uint64_t part) { all += part; };
    return impl_->in_parts<std::uint64_t>(account, std::move(uids), std::move(change), join);
}

Task<Result<ChangeList>> MailStore::changes_since(AccountId account, ModSequence since, std::size_t limit) {
    return read_changes(impl_->engine, account, since, limit, impl_->engine.snapshot(account));
}

std::unique_ptr<engine::Watch> MailStore::watch(AccountId account, std::function<void()> hint) {
    return impl_->engine.watch(account, std::move(hint));
}

Task<Result<StoredMessage>> MailStore::find(AccountId account, std::string unique_id) {
    auto snapshot = impl_->engine.snapshot(account);  // index and record as of one moment
    auto found = co_await look_up(impl_->engine, account, std::move(unique_id), std::move(snapshot));
    if (!found) co_return pass_on(found);
    co_return std::move(found->message);
}

Task<Result<StoredMessage>> MailStore::find(AccountId account, engine::BodyId body) {
    auto snapshot = impl_->engine.snapshot(account);
    for (bool live : {true, false}) {
        auto range = live ? keys::messages() : keys::retained();
        for (bool more = true; more;) {
            auto page = co_await impl_->engine.scan(account, range, kPage, snapshot);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                auto found = decode_found(live ? Place::Area::live : Place::Area::retained, entry);
                if (found && found->message.body == body) co_return std::move(found->message);
            }
            more = page->size() == kPage;
            if (more) range.begin_behind(page->back().key);
        }
    }
    co_return fail(Errc::not_found, "no message has this body");
}

Task<Result<std::unique_ptr<engine::BodyReader>>> MailStore::open(AccountId account, Message message,
                                                                  encryption::MailKeyPtr key) {
    return impl_->open(account, std::move(message), std::move(key));
}

Task<Result<>> MailStore::remove(AccountId account, std::vector<std::string> unique_ids, std::string reason) {
    if (unique_ids.empty()) co_return Result<>{};
    auto change = [impl = impl_.get(), account, unique_ids = std::move(unique_ids), reason = std::move(reason)](
                      Hot& hot) { return impl->changes.remove_by_id(account, hot, unique_ids, reason); };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

// Documents and facts

Task<Result<std::vector<DocumentInfo>>> MailStore::documents(AccountId account) {
    std::vector<DocumentInfo> found;
    auto entries = co_await impl_->engine.scan(account, keys::documents(), impl_->options.documents);
    if (!entries) co_return pass_on(entries);
    for (const auto entry : *entries) {
        auto info = decode_document_info(entry);
        if (!info) co_return pass_on(info);
        found.push_back(std::move(*info));
    }
    co_return found;
}

Task<Result<Document>> MailStore::document(AccountId account, std::string name) {
    auto snapshot = impl_->engine.snapshot(account);
    const auto key = keys::document(name);
    auto row = co_await impl_->engine.get(account, key, snapshot);
    if (!row && row.error().code() == Errc::not_found) co_return fail(Errc::not_found, "no such document");
    if (!row) co_return pass_on(row);
    auto info = decode_document_info({key, *row});
    if (!info) co_return pass_on(info);
    auto content = co_await impl_->engine.get(account, keys::document_content(name), snapshot);
    if (!content && content.error().code() == Errc::not_found)
        co_return fail(Errc::corrupt, "a document's content is not there");
    if (!content) co_return pass_on(content);
    co_return Document{std::move(*info), std::move(*content)};
}

Task<Result<ModSequence>> MailStore::put_document(AccountId account, std::string name, std::string content,
                                                  std::optional<ModSequence> expected) {
    if (auto sound = check_name(name, kLongestDocumentName); !sound) co_return pass_on(sound);
    if (content.size() > kLargestDocument) co_return fail(Errc::too_large, "a document has 1 MB at most");
    auto change = [impl = impl_.get(), account, name = std::move(name), content = std::move(content),
                   expected](Hot& hot) { return impl->changes.put_document(account, hot, name, content, expected); };
    co_return co_await impl_->alone<ModSequence>(account, std::move(change));
}

Task<Result<>> MailStore::remove_document(AccountId account, std::string name, std::optional<ModSequence> expected) {
    auto change = [impl = impl_.get(), account, name = std::move(name), expected](Hot& hot) {
        return impl->changes.remove_document(account, hot, name, expected);
    };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<std::optional<std::string>>> MailStore::fact(AccountId account, std::string name) {
    auto value = co_await impl_->engine.get(account, keys::fact(name));
    if (!value && value.error().code() == Errc::not_found) co_return std::optional<std::string>();
    if (!value) co_return pass_on(value);
    auto fact = decode_fact(*value);
    if (!fact) co_return pass_on(fact);
    if (fact->expires <= impl_->clock.now()) co_return std::optional<std::string>();
    co_return std::move(fact->value);
}

Task<Result<bool>> MailStore::remember(AccountId account, std::string name, std::string value, Timestamp expires) {
    if (auto sound = check_name(name, kLongestFactName); !sound) co_return pass_on(sound);
    if (value.size() > kLargestFact) co_return fail(Errc::too_large, "a fact has 1 KB at most");
    auto change = [impl = impl_.get(), account, name = std::move(name), value = std::move(value), expires](Hot& hot) {
        return impl->changes.remember(account, hot, name, value, expires);
    };
    co_return co_await impl_->alone<bool>(account, std::move(change));
}

}  // namespace poplar::mailstore
