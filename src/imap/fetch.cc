// FETCH (RFC 9051 s6.4.5; RFC 7162 s3.1.4, s3.2.6): reads what its items need, in pieces, and writes them.
#include <algorithm>

#include "base/turn.h"
#include "imap/client.h"
#include "imap/fetch_octets.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kRecordsAtOnce = 500;    // messages whose records are in memory at the same time
constexpr std::size_t kStructuresAtOnce = 50;  // ... and their structures

}  // namespace

struct Client::Fetching {
    std::vector<FetchItem> items;
    FetchNeeds needs;
    std::vector<std::uint32_t> indexes;
    std::optional<ModSequence> changed_since;
    std::optional<ResultRange> partial;  ///< RFC 9394 s3.3
    bool vanished = false;
    bool gone = false;     ///< a message was removed meanwhile, and something of it could not be read
    bool unknown = false;  ///< RFC 3516 s4.3
    bool unread = false;   ///< damage, or a disk that fails
};

std::optional<Client::Fetching> Client::parse_fetching(Cursor& in, std::string& why) {
    Fetching fetching;
    auto indexes = parse_messages(in);
    if (!indexes || !in.space()) return std::nullopt;
    fetching.indexes = std::move(*indexes);
    auto items = parse_fetch_items(in);
    if (!items) {
        why = items.error().detail();
        return std::nullopt;
    }
    fetching.items = std::move(*items);
    if (in.take_word(" (")) {
        do {
            if (in.take_word("CHANGEDSINCE ")) {
                const auto number = parse_number63(in);
                if (!number || fetching.changed_since) return std::nullopt;
                fetching.changed_since = ModSequence(*number);
            } else if (in.take_word("PARTIAL ")) {
                if (fetching.partial || !by_uid()) return std::nullopt;
                fetching.partial = parse_result_range(in);
                if (!fetching.partial) return std::nullopt;
            } else if (in.take_word("VANISHED")) {
                fetching.vanished = true;
            } else {
                return std::nullopt;
            }
        } while (in.space());
        if (!in.take(')')) return std::nullopt;
    }
    if (!in.at_end()) return std::nullopt;
    // RFC 7162 s3.2.6
    if (fetching.vanished && (!qresync_ || !by_uid() || !fetching.changed_since)) return std::nullopt;
    using Kind = FetchItem::Kind;
    const auto add = [&](Kind kind, bool first) {
        if (std::ranges::find(fetching.items, kind, &FetchItem::kind) != fetching.items.end()) return;
        fetching.items.insert(first ? fetching.items.begin() : fetching.items.end(), FetchItem{.kind = kind});
    };
    if (fetching.changed_since) add(Kind::mod_sequence, false);
    if (by_uid() && !uids_only_) add(Kind::uid, true);
    fetching.needs = needs_of(fetching.items);
    return fetching;
}

Task<Result<>> Client::fetch(Cursor in) {
    std::string why;
    const auto set = Cursor(in).rest().substr(0, in.rest().find(' '));
    auto fetching = parse_fetching(in, why);
    if (!fetching) {
        if (why.empty()) co_return co_await bad_arguments();
        co_return co_await bad(why);
    }
    if (std::ranges::find(fetching->items, FetchItem::Kind::mod_sequence, &FetchItem::kind) != fetching->items.end())
        condstore_ = true;
    if (fetching->vanished) {
        Cursor named(set);
        auto known = SequenceSet::parse(named);
        if (known) known->resolve(std::max(selected_->last_uid(), 1u));
        auto gone = co_await vanished_since(*fetching->changed_since, std::move(known));
        if (!gone) co_return co_await no(gone.error(), "the changes can't be read");
        if (!gone->empty()) untagged("VANISHED (EARLIER) {}", gone->text());
    }
    if (fetching->partial) {
        const auto some = fetching->partial->of(fetching->indexes);
        fetching->indexes = std::vector(some.begin(), some.end());
    }
    if (fetching->changed_since)
        std::erase_if(fetching->indexes, [&](std::uint32_t index) {
            return selected_->list().messages[index].changed <= *fetching->changed_since;
        });
    co_return co_await fetch_messages(std::move(*fetching));
}

Task<Result<>> Client::fetch_messages(Fetching fetching) {
    const auto at_once = fetching.needs.structure || fetching.needs.octets ? kStructuresAtOnce : kRecordsAtOnce;
    std::span<const std::uint32_t> left(fetching.indexes);
    while (!left.empty()) {
        const auto some = left.first(std::min(left.size(), at_once));
        left = left.subspan(some.size());
        if (auto went = co_await fetch_some(fetching, some); !went) co_return went;
        if (fetching.needs.sets_seen && !selected_->read_only())
            if (auto marked = co_await mark_seen(some); !marked) co_return marked;
        if (turn::over()) co_await turn::let_others();
    }
    if (fetching.unknown) co_return co_await no("[UNKNOWN-CTE] a part's encoding is not known");
    if (fetching.unread) co_return co_await no("[SERVERBUG] not all could be read");
    // RFC 5530: others have removed them meanwhile.
    if (fetching.gone) co_return co_await no("[EXPUNGEISSUED] some messages are gone");
    co_return co_await ok("done");
}

Task<Result<>> Client::fetch_some(Fetching& fetching, std::span<const std::uint32_t> indexes) {
    const auto& needs = fetching.needs;
    if (!needs.record && !needs.thread && !needs.structure && !needs.octets) {
        for (auto index : indexes)
            if (auto said = co_await fetch_one(fetching, index, nullptr, nullptr, {}); !said) co_return said;
        co_return Result<>();
    }
    auto messages = co_await read_messages(indexes);
    if (!messages) {
        log_failure(messages.error(), "the messages can't be read");
        fetching.unread = true;
        co_return Result<>();
    }
    std::vector<Result<mail::Structure>> structures;
    std::vector<Result<mailstore::ThreadId>> threads;
    if (needs.structure || needs.octets)
        structures = co_await services_.store.structures(account(), *messages, mail_key_);
    if (needs.thread) threads = co_await services_.store.threads(account(), *messages);
    if (messages->size() < indexes.size()) fetching.gone = true;
    for (std::size_t i = 0; i < messages->size(); ++i) {
        const auto& message = (*messages)[i];
        const auto index = selected_->find(static_cast<std::uint32_t>(message.uid().value));
        if (!index) continue;
        const mail::Structure* structure = nullptr;
        if (!structures.empty() && structures[i]) {
            structure = &*structures[i];
        } else if (!structures.empty()) {
            if (structures[i].error().code() == Errc::denied) {
                co_return co_await bye_locked();
            } else if (structures[i].error().code() == Errc::not_found) {
                fetching.gone = true;
            } else {
                log_failure(structures[i].error(), "a message can't be read");
                fetching.unread = true;
            }
            continue;
        }
        std::string thread;
        if (!threads.empty() && threads[i]) thread = "T" + threads[i]->text();
        if (auto said = co_await fetch_one(fetching, *index, &message, structure, thread); !said) co_return said;
    }
    co_return Result<>();
}

// Items that can't be read are left out of the response, and the command is answered NO.
Task<Result<>> Client::fetch_one(Fetching& fetching, std::uint32_t index, const mailstore::StoredMessage* message,
                                 const mail::Structure* structure, std::string_view thread) {
    const auto& listed = selected_->list().messages[index];
    const auto flags = selected_->flags_of(listed);
    FetchFacts facts;
    facts.uid = listed.uid;
    facts.mod_sequence = listed.changed.value;
    facts.flags = flags;
    std::string email_id;
    if (message) {
        email_id = fmt::format("E{}", message->lasting_id().value);
        facts.received = message->received;
        facts.octets = message->octets;
        facts.email_id = email_id;
    }
    facts.thread_id = thread;
    facts.structure = structure;
    const auto response = out_.size();
    begin_fetch(index);
    bool first = true, read = false;
    for (const auto& item : fetching.items) {
        const auto begun = out_.size();
        if (!first) out_ += ' ';
        if (!item.needs_octets()) {
            write_item(out_, item, facts, form());
            first = false;
            if (auto said = co_await send_some(); !said) co_return said;
            continue;
        }
        auto written = co_await write_octets(fetching, item, *message, *structure);
        if (!written) co_return pass_on(written);
        if (*written)
            first = false, read = true;
        else
            out_.resize(begun);
    }
    // Nothing of it could be read, and so nothing has been sent.
    if (first)
        out_.resize(response);
    else
        out_ += ")\r\n";
    if (read) {
        ++done_.fetched;
        done_.octets += message->octets;
    }
    co_return co_await send_some();
}

// False: nothing of the item has been sent, and the caller takes back what stands in out_.
Task<Result<bool>> Client::write_octets(Fetching& fetching, const FetchItem& item,
                                        const mailstore::StoredMessage& message, const mail::Structure& structure) {
    ItemWriter writer(item, structure, form());
    if (writer.unknown_encoding()) {
        fetching.unknown = true;
        co_return false;
    }
    bool sent = false;
    auto next = writer.start(out_);
    while (next != ItemWriter::Next::done) {
        auto reader = co_await services_.store.open(account(), message, mail_key_);
        Result<std::string_view> chunk;
        if (!reader) chunk = pass_on(reader);
        std::uint64_t at = 0;
        next = ItemWriter::Next::more;
        while (reader && next == ItemWriter::Next::more) {
            chunk = co_await (*reader)->next();
            if (!chunk || chunk->empty()) break;
            next = writer.feed(at, *chunk, out_);
            at += chunk->size();
            if (out_.size() >= kBlock) {
                sent = true;
                if (auto said = co_await send_some(); !said) co_return pass_on(said);
            }
        }
        if (next != ItemWriter::Next::more) continue;
        const bool is_gone = !chunk && chunk.error().code() == Errc::not_found;
        if (!is_gone) log_failure(chunk ? Error(Errc::corrupt, "the message is too short") : chunk.error(), "FETCH");
        // A literal's size was said, and its octets can't come.
        if (sent) co_return lines_.end("unreadable");
        if (!chunk && chunk.error().code() == Errc::denied) {
            auto ended = co_await bye_locked();
            co_return pass_on(ended);
        }
        (is_gone ? fetching.gone : fetching.unread) = true;
        co_return false;
    }
    co_return true;
}

Task<Result<>> Client::fetch_fresh(std::vector<FetchItem> items, std::size_t count) {
    Fetching fetching;
    fetching.items = std::move(items);
    fetching.needs = needs_of(fetching.items);
    for (auto index = selected_->count() - static_cast<std::uint32_t>(count); index < selected_->count(); ++index)
        fetching.indexes.push_back(index);
    for (std::span<const std::uint32_t> left(fetching.indexes); !left.empty();) {
        const auto some = left.first(std::min(left.size(), kStructuresAtOnce));
        left = left.subspan(some.size());
        if (auto went = co_await fetch_some(fetching, some); !went) co_return went;
    }
    co_return Result<>();
}

Task<Result<>> Client::mark_seen(std::span<const std::uint32_t> indexes) {
    std::vector<Uid> unseen;
    for (auto index : indexes) {
        const auto& message = selected_->list().messages[index];
        if ((message.flags & static_cast<std::uint32_t>(mailstore::Flag::seen)) == 0) unseen.emplace_back(message.uid);
    }
    if (unseen.empty()) co_return Result<>();
    mailstore::FlagChange change{.how = mailstore::FlagChange::How::add,
                                 .system = static_cast<std::uint8_t>(mailstore::Flag::seen)};
    auto changed =
        co_await services_.store.change_flags(account(), selected_->id(), std::move(unseen), std::move(change));
    if (!changed) log_failure(changed.error(), "messages can't be marked as seen");
    co_return Result<>();
}

}  // namespace poplar::imap
