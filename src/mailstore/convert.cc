// An account's mail becomes encrypted, or is decrypted for good: new mail from one commit on, older messages in steps,
// each of which gives some of them another body.
#include "mailstore/changes.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kMessages = 100;       // looked at in a step
constexpr std::uint64_t kOctets = 4u << 20;  // of messages that a step has, beside the last
using State = AccountEncryption::State;

std::shared_ptr<const AccountEncryption> make(const encryption::PublicKey& key, State state) {
    return std::make_shared<const AccountEncryption>(AccountEncryption{key, state});
}

/// Whether a message stays as it is, because it can't be read: nothing else is wrong.
bool is_unreadable(const Error& error) {
    return error.code() == Errc::corrupt || error.code() == Errc::not_found || error.code() == Errc::denied;
}

/// What a row says of a message, in either area.
struct Row {
    StoredMessage message;
    std::optional<RetainedMessage> retained;

    static Result<Row> decode(bool live, engine::EntryView entry) {
        if (live) {
            auto message = decode_message(entry);
            if (!message) return pass_on(message);
            return Row{std::move(*message), std::nullopt};
        }
        auto retained = decode_retained(entry);
        if (!retained) return pass_on(retained);
        return Row{retained->message, std::move(*retained)};
    }
    std::string encode() {
        if (!retained) return mailstore::encode(message);
        retained->message = message;
        return mailstore::encode(*retained);
    }
};

}  // namespace

Task<Result<>> Changes::alter_encryption(AccountId account, Hot& hot,
                                         std::function<NewEncryption(const AccountEncryption*)> change) {
    auto attempt = [&]() -> Task<Result<>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        if (draft->record().closed) co_return fail(Errc::not_found, "the account is gone");
        auto after = change(draft->record().encryption.get());
        if (!after) co_return Result<>{};
        draft->record().encryption = std::move(*after);
        co_return co_await commit(account, hot, std::move(*draft));
    };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::begin_encryption(AccountId account, Hot& hot, encryption::PublicKey key) {
    auto change = [key](const AccountEncryption* now) -> NewEncryption {
        if (now != nullptr && now->key == key && now->seals()) return std::nullopt;
        return make(key, State::sealing);
    };
    co_return co_await alter_encryption(account, hot, std::move(change));
}

Task<Result<>> Changes::end_encryption(AccountId account, Hot& hot) {
    auto change = [](const AccountEncryption* now) -> NewEncryption {
        if (now == nullptr || !now->seals()) return std::nullopt;
        return make(now->key, State::opening);
    };
    co_return co_await alter_encryption(account, hot, std::move(change));
}

Task<Result<>> Changes::finish_conversion(AccountId account, Hot& hot) {
    auto change = [at = clock_.now()](const AccountEncryption* now) -> NewEncryption {
        if (now == nullptr || now->state == State::sealed) return std::nullopt;
        if (now->state == State::opening) return nullptr;
        return std::make_shared<const AccountEncryption>(AccountEncryption{now->key, State::sealed, at});
    };
    co_return co_await alter_encryption(account, hot, std::move(change));
}

Task<Result<Converted>> Changes::convert(AccountId account, Hot& hot, std::string from, encryption::MailKeyPtr key) {
    auto attempt = [&] { return try_convert(account, hot, from, key); };
    co_return co_await repeated(attempt);
}

Task<Result<Converted>> Changes::try_convert(AccountId account, Hot& hot, const std::string& from,
                                             const encryption::MailKeyPtr& key) {
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    Converted done;
    const auto how = draft->record().encryption;
    if (!how) co_return done;
    const auto live_range = keys::messages(), retained_range = keys::retained();
    const bool live = from.empty() || (from >= live_range.begin && from < live_range.end);
    auto range = live ? live_range : retained_range;
    if (!from.empty()) range.begin = from;
    auto entries = co_await engine_.scan(account, range, kMessages);
    if (!entries) co_return pass_on(entries);

    std::vector<StoredMessage> before;
    for (const auto entry : *entries) {
        auto row = Row::decode(live, entry);
        if (!row) {
            report_damage(account, row.error());
            ++done.unreadable;
            continue;
        }
        auto& message = row->message;
        if (is_sealed(message) == how->seals()) continue;
        if (done.messages != 0 && done.octets + message.wire_octets > kOctets) {
            done.next = entry.key;
            break;
        }
        auto content = co_await converted(account, *how, message, key);
        if (!content && is_unreadable(content.error())) {
            ++done.unreadable;
            continue;
        }
        if (!content) co_return pass_on(content);
        if (live) {  // lists that are kept name its old body
            auto listed_in = co_await mailbox(account, *draft, message.mailbox);
            if (!listed_in) co_return pass_on(listed_in);
            ++(*listed_in)->list_changes;
        }
        ++done.messages;
        done.octets += message.wire_octets;
        before.push_back(message);
        message.first_body = message.lasting_id();
        message.body = engine_.next_body_id(account);
        message.key = content->key;
        message.copied = false;
        draft->batch.add_body(message.body, {}, std::move(content->staged));
        draft->batch.put(std::string(entry.key), row->encode());
    }
    if (done.next.empty() && entries->size() == kMessages) {
        range.begin_behind(entries->back().key);
        done.next = range.begin;
    } else if (done.next.empty() && live) {
        done.next = retained_range.begin;
    }
    if (before.empty()) co_return done;
    if (auto released = co_await release_bodies(account, *draft, before); !released) co_return pass_on(released);
    auto committed = co_await commit(account, hot, std::move(*draft));
    if (!committed) co_return pass_on(committed);
    co_return done;
}

/// The message's content as it is going to be stored. Errors: as those of reading it and of writing it; is_unreadable()
/// tells the former.
Task<Result<Content>> Changes::converted(AccountId account, const AccountEncryption& how, StoredMessage message,
                                         encryption::MailKeyPtr key) {
    auto bodies = engine_.read_bodies(account);
    auto reader = co_await bodies->open(message.body);
    if (!reader) co_return pass_on(reader);
    const auto octets = message.wire_octets;
    if (message.key) {
        reader = decoded(std::move(*reader), Decoders{options_.codec.get(), std::move(key)}, message.key, octets);
        if (!reader) co_return pass_on(reader);
    }
    if (auto whole = co_await (*reader)->verify(); !whole) co_return pass_on(whole);
    if (how.seals()) co_return co_await seal(engine_, sealers_.of(account, how.key), std::move(*reader), octets);
    auto writer = engine_.write_body(octets);
    for (;;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) break;
        if (auto written = co_await writer->write(*chunk); !written) co_return pass_on(written);
    }
    auto staged = co_await writer->finish();
    if (!staged) co_return pass_on(staged);
    co_return Content{.staged = std::move(*staged)};
}

}  // namespace poplar::mailstore
