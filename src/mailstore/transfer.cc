// Messages go from one mailbox to another, as copies or by themselves; or to the retained area, by their UIDs.
#include <algorithm>
#include <map>

#include "base/turn.h"
#include "mailstore/changes.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"

namespace poplar::mailstore {

Task<Result<std::vector<Transferred>>> Changes::transfer(AccountId account, Hot& hot, Transfer how, MailboxId from,
                                                         std::vector<Uid> uids, MailboxId to) {
    auto attempt = [&] { return try_transfer(account, hot, how, from, uids, to); };
    co_return co_await repeated(attempt);
}

Task<Result<std::vector<Transferred>>> Changes::try_transfer(AccountId account, Hot& hot, Transfer how,
                                                             MailboxId from_id, const std::vector<Uid>& uids,
                                                             MailboxId to_id) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    auto from = co_await mailbox(account, *draft, from_id);
    if (!from) co_return pass_on(from);
    auto to = co_await mailbox(account, *draft, to_id);
    if (!to) co_return pass_on(to);
    auto messages = co_await look_up(engine_, account, from_id, uids);
    if (!messages) co_return pass_on(messages);
    std::vector<Transferred> transferred;
    if (messages->empty()) co_return transferred;
    auto translated = co_await translate_keywords(account, *draft, from_id, to_id, *messages);
    if (!translated) co_return pass_on(translated);
    if (how == Transfer::copy)
        if (auto counted = co_await count_copies(account, *draft, *messages); !counted) co_return pass_on(counted);

    const auto generation = generation_now(draft->record().generation, generation_);
    for (std::size_t i = 0; i < messages->size(); ++i) {
        if (turn::over()) co_await turn::let_others();
        auto& message = (*messages)[i];
        const auto source = message.uid();
        const auto hidden_in = how == Transfer::move ? hiding(*draft, message) : std::vector<Hiding>();
        if (how == Transfer::move) take_out(*draft, **from, message);
        message.mailbox = to_id;
        message.order = (*to)->next_order;
        ++(*to)->next_order.value;
        message.own_uid = {};
        message.flags.keywords = std::move((*translated)[i]);
        message.added = draft->number();
        message.changed = {};
        if (how == Transfer::copy) message.unique_id = make_unique_id(generation, to_id, message.order);
        add(*draft, **to, message);
        hide_in(*draft, hidden_in, from_id, message);
        if (!is_found_by_place(message))
            draft->batch.put(keys::unique_id(message.unique_id), encode(live_place(message)));
        else if (how == Transfer::move)
            draft->batch.erase(keys::unique_id(message.unique_id));
        if (how == Transfer::move)
            draft->row.add_move(from_id, source, to_id, message.uid());
        else if (to_id != kInbox)  // as a delivery
            draft->row.add(Change::Kind::added, to_id, message.uid());
        transferred.push_back({source, message.uid()});
    }
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return transferred;
}

// The messages' keywords by the table of the mailbox that they go to.
Task<Result<std::vector<std::string>>> Changes::translate_keywords(AccountId account, Draft& draft, MailboxId from,
                                                                   MailboxId to,
                                                                   const std::vector<StoredMessage>& messages) {
    std::vector<std::string> translated;
    for (const auto& message : messages) translated.push_back(message.flags.keywords);
    auto has_none = [](const std::string& bits) { return bits.empty(); };
    if (from == to || std::ranges::all_of(translated, has_none)) co_return translated;
    auto source = co_await keywords(account, from);
    if (!source) co_return pass_on(source);
    auto target = co_await keywords(account, to);
    if (!target) co_return pass_on(target);
    for (auto& bits : translated) {
        auto by_target = target->translate(bits, *source);
        if (!by_target) co_return pass_on(by_target);
        bits = std::move(*by_target);
    }
    if (target->grew()) draft.batch.put(keys::keywords(to), encode(*target));
    co_return translated;
}

// Counts one more message with the body of each of these.
Task<Result<>> Changes::count_copies(AccountId account, Draft& draft, std::vector<StoredMessage>& messages) {
    std::map<engine::BodyId, std::uint64_t> counts;
    for (auto& message : messages) {
        auto [count, fresh] = counts.emplace(message.body, 1);
        if (message.copied && fresh) {
            auto value = co_await engine_.get(account, keys::copies(message.body));
            if (!value && value.error().code() == Errc::not_found)
                co_return fail(Errc::corrupt, "nothing counts the messages of a copied body");
            if (!value) co_return pass_on(value);
            auto counted = decode_number(*value);
            if (!counted) co_return pass_on(counted);
            count->second = *counted;
        }
        ++count->second;
        if (message.copied) continue;
        message.copied = true;  // the original's record says so, too
        draft.batch.put(keys::message(message.mailbox, message.order), encode(message));
    }
    for (auto [body, count] : counts) draft.batch.put(keys::copies(body), encode_number(count));
    co_return Result<>{};
}

Task<Result<std::uint64_t>> Changes::expunge(AccountId account, Hot& hot, MailboxId mailbox, std::vector<Uid> uids,
                                             std::string reason) {
    auto attempt = [&] { return try_expunge(account, hot, mailbox, uids, reason); };
    co_return co_await repeated(attempt);
}

Task<Result<std::uint64_t>> Changes::try_expunge(AccountId account, Hot& hot, MailboxId id,
                                                 const std::vector<Uid>& uids, std::string_view reason) {
    auto draft = co_await begin_with_views(account, hot);
    if (!draft) co_return pass_on(draft);
    auto from = co_await mailbox(account, *draft, id);
    if (!from) co_return pass_on(from);
    auto messages = co_await look_up(engine_, account, id, uids);
    if (!messages) co_return pass_on(messages);
    const std::uint64_t count = messages->size();
    if (count == 0) co_return count;
    const Deleter by{std::string(reason)};
    for (auto& message : *messages) retain(*draft, **from, std::move(message), by);
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return count;
}

}  // namespace poplar::mailstore
