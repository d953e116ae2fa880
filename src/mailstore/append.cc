// Appending: what waits together for one account is made in one commit.
#include <algorithm>
#include <map>

#include "mailstore/changes.h"
#include "mailstore/codec.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"

namespace poplar::mailstore {

Task<> Changes::append_all(AccountId account, Hot& hot, std::vector<Append> appends) {
    for (auto& append : appends) append.body = engine_.next_body_id(account);
    std::vector<Result<Message>> results;
    Result<> done;
    for (int n = 1;; ++n) {
        done = co_await try_append(account, hot, appends, results);
        if (done || n == kAttempts || !worth_repeating(done.error().code())) break;
        if (done.error().code() != Errc::outcome_unknown) continue;
        // The batch may have happened; made again, its messages would be there twice.
        const auto first = std::ranges::find_if(results, [](const auto& r) { return r.has_value(); });
        const auto mailbox = appends[static_cast<std::size_t>(first - results.begin())].message.mailbox;
        auto stored = co_await is_stored(account, mailbox, **first);
        if (!stored) done = pass_on(stored);
        if (!stored || *stored) {
            if (stored) done = Result<>{};
            break;
        }
    }
    results.resize(appends.size());
    for (std::size_t i = 0; i < appends.size(); ++i) {
        if (!done && results[i]) results[i] = std::unexpected(done.error());
        appends[i].answer.send(std::move(results[i]));
    }
}

Task<Result<>> Changes::try_append(AccountId account, Hot& hot, const std::vector<Append>& appends,
                                   std::vector<Result<Message>>& results) {
    results.clear();
    results.reserve(appends.size());
    auto draft = co_await begin(account, hot);
    if (!draft) co_return pass_on(draft);
    draft->batch.puts.reserve(appends.size() + 1);  // with the account's record
    auto& record = draft->record();
    if (record.closed) {  // between RCPT and the end of the message: nobody would ever find it
        for (std::size_t i = 0; i < appends.size(); ++i)
            results.push_back(fail(Errc::not_found, "the account is gone"));
        co_return Result<>{};
    }
    Arrivals arrivals(generation_now(record.generation, generation_));
    for (const auto& append : appends)
        results.push_back(co_await put_in(account, *draft, arrivals, append.message, append.received, append.body));
    if (draft->batch.empty()) co_return Result<>{};
    put_keywords(*draft, arrivals);
    co_return co_await commit(account, hot, std::move(*draft));
}

Task<bool> Changes::has_body(AccountId account, engine::BodyId body) {
    const auto series = engine_.read_bodies(account);
    auto reader = co_await series->open(body);
    co_return reader.has_value();
}

Task<Result<std::vector<Message>>> Changes::append_together(AccountId account, Hot& hot,
                                                            const std::vector<NewMessage>& messages,
                                                            std::optional<MessageAt> replaced) {
    std::vector<engine::BodyId> bodies;
    for (std::size_t i = 0; i < messages.size(); ++i) bodies.push_back(engine_.next_body_id(account));
    for (int n = 1;; ++n) {
        auto done = co_await try_append_together(account, hot, messages, replaced, bodies);
        if (done || n == kAttempts || !worth_repeating(done.error().code())) co_return done;
        if (done.error().code() != Errc::outcome_unknown || bodies.empty()) continue;
        // Made again, its messages would be there twice.
        if (co_await has_body(account, bodies.front()))
            co_return fail(Errc::outcome_unknown, "the messages may be stored");
    }
}

Task<Result<std::vector<Message>>> Changes::try_append_together(AccountId account, Hot& hot,
                                                                const std::vector<NewMessage>& messages,
                                                                std::optional<MessageAt> replaced,
                                                                const std::vector<engine::BodyId>& bodies) {
    auto begun = replaced ? begin_with_views(account, hot) : begin(account, hot);
    auto draft = co_await std::move(begun);
    if (!draft) co_return pass_on(draft);
    if (draft->record().closed) co_return fail(Errc::not_found, "the account is gone");
    Arrivals arrivals(generation_now(draft->record().generation, generation_));
    std::vector<Message> appended;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const auto received = messages[i].received.value_or(clock_.now());
        auto put = co_await put_in(account, *draft, arrivals, messages[i], received, bodies[i]);
        if (!put) co_return pass_on(put);
        appended.push_back(std::move(*put));
    }
    put_keywords(*draft, arrivals);
    if (replaced) {
        auto from = co_await mailbox(account, *draft, replaced->mailbox);
        if (!from) co_return pass_on(from);
        auto found = co_await look_up(engine_, account, replaced->mailbox, {replaced->uid});
        if (!found) co_return pass_on(found);
        if (found->empty()) co_return fail(Errc::not_found, "the message is gone");
        retain(*draft, **from, std::move(found->front()), Deleter("imap"));
    }
    if (draft->batch.empty()) co_return appended;
    auto done = co_await commit(account, hot, std::move(*draft));
    if (!done) co_return pass_on(done);
    co_return appended;
}

void Changes::put_keywords(Draft& draft, const Arrivals& arrivals) {
    for (const auto& [id, table] : arrivals.tables)
        if (table.grew()) draft.batch.put(keys::keywords(id), encode(table));
}

/// Puts a message that arrives into its mailbox.
Task<Result<Message>> Changes::put_in(AccountId account, Draft& draft, Arrivals& arrivals, const NewMessage& incoming,
                                      Timestamp received, engine::BodyId body) {
    auto* mailbox_record = &draft.record().inbox;
    if (incoming.mailbox != kInbox) {
        auto found = co_await mailbox(account, draft, incoming.mailbox);
        if (!found) co_return pass_on(found);
        mailbox_record = *found;
    }
    if (!incoming.unique_id.empty()) {
        if (!arrivals.given.insert(incoming.unique_id).second)
            co_return fail(Errc::exists, "the unique-id comes twice");
        std::string_view to_come = arrivals.generation;
        if (const auto place = place_in(incoming.unique_id); place && incoming.unique_id.starts_with(to_come)) {
            // Of a place that is given out it may come back, out of a backup. Those of a mailbox that is gone never
            // come again, because mailboxes get new ids.
            OrderKey next = draft.record().inbox.next_order;
            const auto& others = draft.record().others;
            if (place->mailbox != kInbox) {
                auto of = co_await mailbox(account, draft, place->mailbox);
                if (!of && of.error().code() != Errc::not_found) co_return pass_on(of);
                const bool gone = !of && others && place->mailbox < others->next;
                next = of ? (*of)->next_order : gone ? OrderKey(place->order.value + 1) : OrderKey();
            }
            if (place->order < next) to_come = {};
        }
        auto admitted = co_await admit(account, to_come, incoming.unique_id);
        if (!admitted) co_return pass_on(admitted);
    }
    const bool sealing = draft.record().encryption && draft.record().encryption->seals();
    Content sealed;
    if (sealing) {
        auto made = co_await seal(engine_, options_.codec.get(), sealers_.of(account, draft.record().encryption->key),
                                  incoming.head, incoming.content);
        if (!made) co_return pass_on(made);
        sealed = std::move(*made);
    }
    StoredMessage message;
    message.flags.system = incoming.flags & kAllFlags;
    if (!incoming.keywords.empty()) {
        auto bits = co_await keyword_bits(account, arrivals.tables, incoming);
        if (!bits) co_return pass_on(bits);
        message.flags.keywords = std::move(*bits);
    }
    message.mailbox = incoming.mailbox;
    message.order = mailbox_record->next_order;
    message.unique_id = incoming.unique_id.empty() ? make_unique_id(arrivals.generation, message.mailbox, message.order)
                                                   : incoming.unique_id;
    message.body = body;
    message.octets = incoming.head.size() + incoming.content.octets;
    message.wire_octets = incoming.head.size() + incoming.content.wire_octets();
    message.key = sealing ? sealed.key : incoming.content.key;
    message.received = received;
    message.ascii_octets = incoming.ascii_octets;
    message.added = draft.number();

    ++mailbox_record->next_order.value;
    add(draft, *mailbox_record, message);
    if (!is_found_by_place(message)) draft.batch.put(keys::unique_id(message.unique_id), encode(live_place(message)));
    // A delivery to INBOX has no row in the change log: the message's own tells when it came (change_log.cc).
    if (message.mailbox != kInbox) draft.row.add(Change::Kind::added, message.mailbox, message.uid());
    if (sealing)  // with its head
        draft.batch.add_body(body, {}, std::move(sealed.staged));
    else
        draft.batch.add_body(body,
                             message.key ? options_.codec->encode_head(incoming.head, *message.key) : incoming.head,
                             incoming.content.staged);
    co_return Message(std::move(message));
}

/// Flags::keywords of those that it comes with, by the tables of the mailboxes that the commit has messages for.
Task<Result<std::string>> Changes::keyword_bits(AccountId account, std::map<MailboxId, KeywordTable>& tables,
                                                const NewMessage& message) {
    auto table = tables.find(message.mailbox);
    if (table == tables.end()) {
        auto read = co_await keywords(account, message.mailbox);
        if (!read) co_return pass_on(read);
        table = tables.emplace(message.mailbox, std::move(*read)).first;
    }
    std::string bits;
    for (const auto& name : message.keywords) {
        auto n = table->second.add(name);
        if (!n) co_return pass_on(n);
        set_bit(bits, *n);
    }
    co_return bits;
}

/// Whether a message may be given this unique-id, brought along from elsewhere. `generation`: of those that are to
/// come;
/// "": it is none of them.
Task<Result<>> Changes::admit(AccountId account, std::string_view generation, const std::string& unique_id) {
    if (!generation.empty() && unique_id.starts_with(generation))
        co_return fail(Errc::exists, "the account makes such unique-ids itself");
    auto found = co_await look_up(engine_, account, unique_id, engine_.snapshot(account));
    if (found) co_return fail(Errc::exists, "a message has this unique-id");
    if (found.error().code() != Errc::not_found) co_return pass_on(found);
    co_return Result<>{};
}

Task<Result<bool>> Changes::is_stored(AccountId account, MailboxId mailbox, Message message) {
    auto found = co_await still_there(account, mailbox, {Victim{message.order, message.body}});
    if (!found) co_return pass_on(found);
    co_return !found->empty();
}

}  // namespace poplar::mailstore
