// The TRANSACTION and UPDATE states (RFC 1939 s5, s6): what each command does to the maildrop, and says.
#include "pop3/transaction.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "mail/downgrade.h"
#include "mail/wire_form.h"

namespace poplar::pop3 {

namespace {

constexpr std::size_t kTopGathered = 64 * 1024;  // octets of a TOP that are read before it is answered
constexpr std::string_view kEnd = ".\r\n";       // RFC 1939 s3: of an answer of several lines

/// A message's chunks as a client gets them: as they are stored, or, for a client without UTF-8, downgraded. Costs
/// nothing in the first case.
class Outgoing {
public:
    Outgoing(engine::BodyReader& reader, bool downgrade) : reader_(reader) {
        if (downgrade) downgrader_ = std::make_unique<mail::Downgrader>(&block_);
    }
    Outgoing(const Outgoing&) = delete;

    /// As BodyReader::next.
    Task<Result<std::string_view>> next() { return downgrader_ ? next_downgraded() : reader_.next(); }

private:
    Task<Result<std::string_view>> next_downgraded() {
        block_.clear();
        while (block_.empty() && !ended_) {
            auto chunk = co_await reader_.next();
            if (!chunk) co_return pass_on(chunk);
            ended_ = chunk->empty();
            if (ended_)
                downgrader_->finish();
            else
                downgrader_->feed(*chunk);
        }
        co_return std::string_view(block_);
    }

    engine::BodyReader& reader_;
    std::string block_;
    std::unique_ptr<mail::Downgrader> downgrader_;
    bool ended_ = false;
};

}  // namespace

Task<Result<>> Transaction::run() {
    for (;;) {
        auto command = conversation_.command_at_hand();
        if (!command) {
            maildrop_->become_idle();
            auto awaited = co_await conversation_.next_command();
            if (!awaited) co_return pass_on(awaited);
            command = *awaited;
        }
        if (const auto* retr = std::get_if<Retr>(&*command); retr && try_retrieve(*retr)) continue;
        auto act = [this](auto& known) { return on(known); };
        if (auto went = co_await std::visit(act, *command); !went) co_return went;
    }
}

// RFC 1939 s5: messages that are marked as deleted do not count.
Task<Result<>> Transaction::on(Stat) {
    auto octets = conversation_.downgrades() ? maildrop_->ascii_octets() : maildrop_->octets();
    return conversation_.say("+OK {} {}\r\n", maildrop_->message_count() - deleted_count_, octets - deleted_octets_);
}

// In nearly every maildrop both sizes are the same. Then all sessions share one kept listing.
Transaction::Kind Transaction::octets_kind() const {
    return conversation_.downgrades() && maildrop_->has_utf8() ? Kind::ascii_octets : Kind::octets;
}

// RFC 1939 s5, s11: octets are those of the message with CRLF line ends, before it is byte-stuffed.
Task<Result<>> Transaction::on(List list) {
    if (list.message) return list_one(*list.message, octets_kind());
    return list_all(octets_kind(), "number and octets follow");
}

// RFC 1939 s7.
Task<Result<>> Transaction::on(Uidl uidl) {
    if (uidl.message) return list_one(*uidl.message, Kind::unique_ids);
    return list_all(Kind::unique_ids, "number and unique-id follow");
}

Task<Result<>> Transaction::list_one(MessageNumber number, Kind kind) {
    if (!numbers_.at_hand(number))
        if (auto read = co_await look_up(number); !read) co_return co_await unreadable(read.error());
    auto found = find(number);
    if (!found) co_return co_await refuse(found.error());
    std::string line = "+OK ";
    Listings::append_line(line, number, **found, kind);
    co_return co_await conversation_.say(line);
}

// Sends the kept listing of the last poll, and reads only what came since.
Task<Result<>> Transaction::list_all(Kind kind, Text first_line) {
    if (deleted_count_ == 0) {
        if (auto listing = co_await listings_.kept(kind)) {
            if (auto said = co_await conversation_.say_ok(first_line); !said) co_return said;
            pieces_.clear();
            listing->add_pieces(pieces_);
            co_return co_await conversation_.say_all(pieces_);
        }
    }
    if (!numbers_.complete())
        if (auto read = co_await numbers_.load(); !read) co_return co_await unreadable(read.error());
    if (auto said = co_await conversation_.say_ok(first_line); !said) co_return said;
    co_return co_await make_listing(kind);
}

// RFC 1939 s5, s7: messages that are marked as deleted are not listed.
Task<Result<>> Transaction::make_listing(Kind kind) {
    auto draft = listings_.draft(kind, deleted_count_ == 0);
    std::string block;
    MessageNumber number = 0;
    for (const auto& message : numbers_.all()) {
        if (is_deleted(++number)) continue;
        Listings::append_line(block, number, message, kind);
        if (block.size() < Listing::kBlock) continue;
        if (auto said = co_await conversation_.say(block); !said) co_return said;
        draft.add(block);
        block.clear();
    }
    draft.add(block);
    draft.keep();
    block.append(kEnd);
    co_return co_await conversation_.say(block);
}

bool Transaction::try_retrieve(Retr retr) {
    if (!numbers_.at_hand(retr.message)) return false;
    auto found = find_content(retr.message);
    if (!found) return false;
    auto reader = maildrop_->try_open_whole(**found);
    if (!reader || !make_whole_reply(**found, *reader) || !conversation_.say_at_once(pieces_)) return false;
    done_.octets += reader->size();
    note_retrieved(retr.message);
    return true;
}

// Makes pieces_ the whole reply to RETR, if the message is in memory and goes out as it is. It is stored byte-stuffed
// already (RFC 1939 s3).
bool Transaction::make_whole_reply(const Message& message, const engine::BodyReader& reader) {
    auto pieces = reader.whole();
    if (pieces.empty() || downgrades(message)) return false;
    pieces_.resize(pieces.size() + 2);
    pieces_.front() = conversation_.ok_line("{} octets", message.octets);
    std::ranges::copy(pieces, pieces_.begin() + 1);
    pieces_.back() = kEnd;
    return true;
}

// RFC 1939 s5. Damage must show before +OK is said: there is no way to take back half a message.
Task<Result<>> Transaction::on(Retr retr) {
    if (!numbers_.at_hand(retr.message))
        if (auto read = co_await look_up(retr.message); !read) co_return co_await unreadable(read.error());
    auto found = find_content(retr.message);
    if (!found) co_return co_await refuse(found.error());
    const auto& message = **found;
    auto reader = co_await maildrop_->open(message);
    Result<> whole;
    if (reader)
        whole = co_await (*reader)->verify();
    else
        whole = pass_on(reader);
    if (!whole) co_return co_await unreadable(whole.error(), message);
    Result<> sent;
    if (make_whole_reply(message, **reader)) {
        sent = co_await conversation_.say_all(pieces_);
        if (sent) done_.octets += (*reader)->size();
    } else {
        sent = co_await conversation_.say_ok("{} octets", octets_of(message));
        if (sent) sent = co_await send(message, **reader);
    }
    if (sent) note_retrieved(retr.message);
    co_return sent;
}

Task<Result<>> Transaction::send(const Message& message, engine::BodyReader& reader) {
    Outgoing outgoing(reader, downgrades(message));
    for (;;) {
        auto chunk = co_await outgoing.next();
        if (!chunk) co_return cut(message, chunk.error());
        if (chunk->empty()) co_return co_await conversation_.say(kEnd);
        done_.octets += chunk->size();
        if (auto said = co_await conversation_.say(*chunk); !said) co_return said;
    }
}

// RFC 1939 s7. As for RETR, damage must show before +OK is said. So TOP's octets are gathered first, usually two chunks
// (trace fields and the beginning of the message); if the client asks for more, the whole message is checked first.
Task<Result<>> Transaction::on(Top top) {
    if (!numbers_.at_hand(top.message))
        if (auto read = co_await look_up(top.message); !read) co_return co_await unreadable(read.error());
    auto found = find_content(top.message);
    if (!found) co_return co_await refuse(found.error());
    const auto& message = **found;
    auto reader = co_await maildrop_->open(message);
    Result<> readable;
    std::string gathered;
    bool all = false;
    if (reader) {
        auto begun = co_await gather_top(**reader, top.lines, downgrades(message), gathered);
        all = begun && *begun;
        if (!begun)
            readable = pass_on(begun);
        else if (!all)
            readable = co_await (*reader)->verify();
    } else {
        readable = pass_on(reader);
    }
    if (!readable) co_return co_await unreadable(readable.error(), message);
    auto sent = co_await conversation_.say_ok("top of message follows");
    if (sent && all) {
        done_.octets += gathered.size();
        sent = co_await conversation_.say(gathered);
    } else if (sent) {
        sent = co_await send_top(message, **reader, top.lines);
    }
    if (sent) sent = co_await conversation_.say(kEnd);
    co_return sent;
}

// False: it is more than is gathered.
Task<Result<bool>> Transaction::gather_top(engine::BodyReader& reader, std::uint64_t lines, bool downgrade,
                                           std::string& gathered) {
    Outgoing outgoing(reader, downgrade);
    mail::TopLimiter limiter(lines);
    while (gathered.size() < kTopGathered) {
        auto chunk = co_await outgoing.next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) co_return true;
        gathered.append(chunk->substr(0, limiter.take(*chunk)));
        if (limiter.done()) co_return true;
    }
    co_return false;
}

Task<Result<>> Transaction::send_top(const Message& message, engine::BodyReader& reader, std::uint64_t lines) {
    Outgoing outgoing(reader, downgrades(message));
    mail::TopLimiter limiter(lines);
    while (!limiter.done()) {
        auto chunk = co_await outgoing.next();
        if (!chunk) co_return cut(message, chunk.error());
        if (chunk->empty()) break;
        auto wanted = chunk->substr(0, limiter.take(*chunk));
        done_.octets += wanted.size();
        if (auto said = co_await conversation_.say(wanted); !said) co_return said;
    }
    co_return Result<>();
}

// RFC 1939 s5: the message is marked, and goes when the session enters the UPDATE state.
Task<Result<>> Transaction::on(Dele dele) {
    if (!numbers_.at_hand(dele.message))
        if (auto read = co_await look_up(dele.message); !read) co_return co_await unreadable(read.error());
    auto found = find(dele.message);
    if (!found) co_return co_await refuse(found.error());
    if (!access_.may_delete())
        co_return co_await conversation_.say_error("[SYS/PERM]", "this device may not delete messages");
    mark(deleted_, dele.message, maildrop_->message_count());
    ++deleted_count_;
    deleted_octets_ += octets_of(**found);
    co_return co_await conversation_.say_ok("deleted");
}

// RFC 1939 s5: all marks are taken off.
Task<Result<>> Transaction::on(Rset) {
    deleted_.clear();
    deleted_count_ = deleted_octets_ = 0;
    return conversation_.say_ok("nothing is deleted");
}

// RFC 1957: old clients want a space behind "+OK", so every reply has a text.
Task<Result<>> Transaction::on(Noop) { return conversation_.say_ok("still here"); }

// RFC 2449 s5.
Task<Result<>> Transaction::on(Capa) {
    return conversation_.say_capabilities(Conversation::State::transaction, services_.announced.lines(policy_));
}

// RFC 6856 s3.2: in both states.
Task<Result<>> Transaction::on(Lang lang) { return conversation_.change_language(lang.range); }

// The UPDATE state: all deletions are durable, or none has happened, before the reply; and the maildrop is free for
// the client's next session by then (RFC 1939 s6).
Task<Result<>> Transaction::on(Quit) {
    Result<> removed;
    auto numbers = to_remove();
    auto count = numbers.size();
    const auto begun = access_.visit.now();
    if (count != 0) removed = co_await maildrop_->remove(numbers);
    if (count != 0 && removed) {
        co_await listings_.cut(numbers);
        access_.note_deleted({.messages = count,
                              .begun = begun,
                              .mailbox = maildrop_->of().mailbox.value,
                              .before = maildrop_->message_count(),
                              .hidden = maildrop_->hides()});
    }
    maildrop_.reset();
    Result<> said;
    if (!removed) {
        log_failure(removed.error(), "");
        said = co_await conversation_.say_error("[SYS/TEMP]", "the deletions could not be saved, try again later");
    } else {
        done_.deleted = count;
        if (count == 0)
            said = co_await conversation_.say_ok("goodbye");
        else
            said = co_await conversation_.say_ok("goodbye, messages deleted: {}", count);
    }
    if (!said) co_return said;
    co_return conversation_.lines().end(removed ? session::kQuit : "update_failed");
}

std::vector<MessageNumber> Transaction::to_remove() const {
    std::vector<MessageNumber> numbers;
    if (deleted_count_ == 0 && retrieved_.empty()) return numbers;
    const auto last = static_cast<MessageNumber>(std::max(deleted_.size(), retrieved_.size()));
    for (MessageNumber number = 1; number <= last; ++number)
        if (is_deleted(number) || (!retrieved_.empty() && retrieved_[number - 1])) numbers.push_back(number);
    return numbers;
}

// RFC 2449 s6.7, EXPIRE 0: at the end of the session it counts as deleted, whatever RSET says.
void Transaction::note_retrieved(MessageNumber number) {
    ++done_.retrieved;
    if (conversation_.options().marks_seen)
        if (const auto found = find(number)) seen_.insert((*found)->unique_id);
    if (policy_.expire_days != 0 || !access_.may_delete()) return;
    mark(retrieved_, number, maildrop_->message_count());
}

// A message may have been moved or deleted since: it is looked for by its unique-id. Whatever fails here costs a flag.
Task<> Transaction::mark_seen() {
    if (seen_.empty() || !access_.may_delete()) co_return;
    std::map<mailstore::MailboxId, std::vector<mailstore::Uid>> unseen;
    for (const auto& unique_id : seen_) {
        auto found = co_await services_.store.find(access_.account, unique_id);
        if (found && !found->flags.has(mailstore::Flag::seen)) unseen[found->mailbox].push_back(found->uid());
    }
    for (auto& [mailbox, uids] : unseen) {
        mailstore::FlagChange change{.how = mailstore::FlagChange::How::add,
                                     .system = static_cast<std::uint8_t>(mailstore::Flag::seen)};
        auto marked =
            co_await services_.store.change_flags(access_.account, mailbox, std::move(uids), std::move(change));
        if (!marked) log_failure(marked.error(), "the messages can't be marked as seen");
    }
}

// A client that leaves its mail on the server fetches only new messages of a large maildrop, and sometimes deletes old
// ones. Each is looked up by its unique-id, which the kept listing has.
Task<Result<>> Transaction::look_up(MessageNumber number) {
    if (numbers_.complete()) co_return Result<>();
    if (numbers_.pays_singly(number)) {
        auto unique_id = co_await listings_.unique_id_of(number);
        if (numbers_.at_hand(number)) co_return Result<>();
        if (!unique_id.empty() && co_await numbers_.read_one(number, std::move(unique_id))) co_return Result<>();
    }
    co_return co_await numbers_.load();
}

// RFC 1939 s5: numbers are those of the login; a deleted message has none.
auto Transaction::find(MessageNumber number) const -> std::expected<const Message*, Refusal> {
    const auto* message = numbers_.at_hand(number);
    if (!message) return std::unexpected(Refusal{"", "no such message"});
    if (is_deleted(number)) return std::unexpected(Refusal{"", "the message is deleted"});
    return message;
}

// As find, for what is sent of a message: RFC 6856 s5.
auto Transaction::find_content(MessageNumber number) const -> std::expected<const Message*, Refusal> {
    auto found = find(number);
    if (found && (*found)->ascii_octets != 0 && conversation_.refuses_utf8())
        return std::unexpected(Refusal{"[UTF8]", "the message has UTF-8 in its header: use UTF8 before the login"});
    return found;
}

Task<Result<>> Transaction::refuse(Refusal why) {
    return why.code.empty() ? conversation_.say_error(why.text) : conversation_.say_error(why.code, why.text);
}

Task<Result<>> Transaction::unreadable(const Error& why) {
    log_failure(why, "");
    return conversation_.say_failure(why, "the maildrop can't be read");
}

Task<Result<>> Transaction::unreadable(const Error& why, const Message& message) {
    log_failure(why, message.unique_id);
    return conversation_.say_failure(why, "the message can't be read");
}

// Ends the connection in the middle of a message, because nothing else tells the client that it does not have all of
// it.
std::unexpected<Error> Transaction::cut(const Message& message, const Error& why) {
    log_failure(why, message.unique_id);
    return conversation_.lines().end("message_cut");
}

void Transaction::log_failure(const Error& why, std::string_view message) {
    log::error("pop3.store_failed", {{"session", conversation_.session_id()},
                                     {"account", access_.address},
                                     {"message", message},
                                     {"error", to_string(why.code())},
                                     {"reason", why.detail()}});
}

}  // namespace poplar::pop3
