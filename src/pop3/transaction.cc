#include "pop3/transaction.h"

#include <algorithm>

#include "base/log.h"
#include "base/turn.h"
#include "mail/downgrade.h"
#include "mail/wire_form.h"

namespace poplar::pop3 {

namespace {

constexpr std::size_t kTopGathered = 64 * 1024;  // octets of a TOP that are read before it is answered
constexpr std::string_view kEnd = ".\r\n";

// To read all messages is cheaper than to look up one of so many singly, or any of a few.
constexpr std::size_t kSingleCost = 32, kFewMessages = 256;

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
            ended_ ? downgrader_->finish() : downgrader_->feed(*chunk);
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
            maildrop_->rest();
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

// Both sizes are the same in nearly every maildrop, and then one listing is kept for all.
Transaction::Kind Transaction::octets_kind() const {
    return conversation_.downgrades() && maildrop_->has_utf8() ? Kind::ascii_octets : Kind::octets;
}

Task<Result<>> Transaction::on(List list) {
    if (list.message) return list_one(*list.message, octets_kind());
    return list_all(octets_kind(), "number and octets follow");
}

Task<Result<>> Transaction::on(Uidl uidl) {
    if (uidl.message) return list_one(*uidl.message, Kind::unique_ids);
    return list_all(Kind::unique_ids, "number and unique-id follow");
}

void Transaction::append_line(std::string& listing, MessageNumber number, const Message& message, Kind kind) {
    fmt::format_int digits(number);
    listing.append(digits.data(), digits.size());
    listing.push_back(' ');
    if (kind != Kind::unique_ids) {
        fmt::format_int octets(octets_of(message, kind));
        listing.append(octets.data(), octets.size());
    } else {
        listing.append(message.unique_id);
    }
    listing.append("\r\n");
}

Task<Result<>> Transaction::list_one(MessageNumber number, Kind kind) {
    if (!known(number))
        if (auto read = co_await look_up(number); !read) co_return co_await unreadable(read.error());
    auto found = find(number);
    if (!found) co_return co_await refuse(found.error());
    std::string line = "+OK ";
    append_line(line, number, **found, kind);
    co_return co_await conversation_.say(line);
}

// A poll is sent what the last one was, and only what came since is read.
Task<Result<>> Transaction::list_all(Kind kind, Text first_line) {
    if (deleted_count_ == 0) {
        if (auto listing = co_await kept_listing(kind)) {
            if (auto said = co_await conversation_.say_ok(first_line); !said) co_return said;
            pieces_.clear();
            listing->add_pieces(pieces_);
            co_return co_await conversation_.say_all(pieces_);
        }
    }
    if (!all_known_)
        if (auto read = co_await load(); !read) co_return co_await unreadable(read.error());
    if (auto said = co_await conversation_.say_ok(first_line); !said) co_return said;
    co_return co_await make_listing(kind);
}

Task<Transaction::ListingPointer> Transaction::kept_listing(Kind kind) {
    const auto* version = maildrop_->version();
    if (!version || !services_.listings) co_return nullptr;
    auto kept = services_.listings->find(access_.account, kind, *version);
    if (kept.listing && kept.version != *version) {
        auto since = co_await maildrop_->messages_since(kept.version);
        if (!since) co_return nullptr;  // a full reading says what is wrong
        const auto first = kept.version.messages + 1;
        if (!all_known_ && (known_.empty() || first < first_known_)) {
            known_ = *since;
            first_known_ = first;
        }
        auto longer = std::make_shared<Listing>(*kept.listing);
        std::string block;
        auto number = static_cast<MessageNumber>(first);
        for (const auto& message : *since) {
            append_line(block, number++, message, kind);
            if (block.size() < Listing::kBlock) continue;
            longer->append(block);
            block.clear();
            if (turn::over()) co_await turn::let_others();
        }
        longer->append(block);
        kept = {*version, std::move(longer)};
        services_.listings->keep(access_.account, kind, kept);
    }
    if (kind == Kind::unique_ids) unique_ids_ = kept.listing;
    co_return kept.listing;
}

Task<Result<>> Transaction::make_listing(Kind kind) {
    const auto* version = maildrop_->version();
    const bool keep = deleted_count_ == 0 && version && services_.listings;
    Listing kept;
    std::string block;
    for (std::size_t i = 0; i < known_.size(); ++i) {
        const auto number = static_cast<MessageNumber>(i + 1);
        if (is_deleted(number)) continue;
        append_line(block, number, known_[i], kind);
        if (block.size() < Listing::kBlock) continue;
        if (auto said = co_await conversation_.say(block); !said) co_return said;
        if (keep && kept.octets() <= services_.listings->longest()) kept.append(block);
        block.clear();
    }
    if (keep && kept.octets() <= services_.listings->longest()) {
        kept.append(block);
        services_.listings->keep(access_.account, kind, {*version, std::make_shared<const Listing>(std::move(kept))});
    }
    block.append(kEnd);
    co_return co_await conversation_.say(block);
}

// Later polls of what is left need not read it anew. A listing that was kept before this session's messages came is not
// worth completing now.
Task<> Transaction::cut_listings(const std::vector<MessageNumber>& removed) {
    const auto* version = maildrop_->version();
    if (!version || !services_.listings) co_return;
    auto left = *version;
    for (auto number : removed) left.take_out(*known(number));
    for (auto kind : ListingCache::kKinds) {
        auto kept = services_.listings->find(access_.account, kind, *version);
        if (!kept.listing || kept.version != *version) continue;
        Listing listing;
        if (left.messages != 0) listing = co_await kept.listing->without(removed);
        services_.listings->keep(access_.account, kind, {left, std::make_shared<const Listing>(std::move(listing))});
    }
}

bool Transaction::try_retrieve(Retr retr) {
    if (!known(retr.message)) return false;
    auto found = find_content(retr.message);
    if (!found) return false;
    auto reader = maildrop_->try_open_whole(**found);
    if (!reader || !make_whole_reply(**found, *reader) || !conversation_.say_at_once(pieces_)) return false;
    done_.octets += reader->size();
    note_retrieved(retr.message);
    return true;
}

// Makes pieces_ the whole reply to RETR, if the message is in memory and goes out as it is.
bool Transaction::make_whole_reply(const Message& message, const engine::BodyReader& reader) {
    auto pieces = reader.whole();
    if (pieces.empty() || downgrades(message)) return false;
    pieces_.resize(pieces.size() + 2);
    pieces_.front() = conversation_.ok_line("{} octets", message.octets);
    std::ranges::copy(pieces, pieces_.begin() + 1);
    pieces_.back() = kEnd;
    return true;
}

// Damage must show before +OK is said: there is no way to take back half a message.
Task<Result<>> Transaction::on(Retr retr) {
    if (!known(retr.message))
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

// RFC 1939 s7. Usually the first two chunks are all that is read: trace fields, then the beginning of the message. As
// for RETR, damage must show before +OK is said, so they are gathered first; who asks for much has the message checked.
Task<Result<>> Transaction::on(Top top) {
    if (!known(top.message))
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
    if (!known(dele.message))
        if (auto read = co_await look_up(dele.message); !read) co_return co_await unreadable(read.error());
    auto found = find(dele.message);
    if (!found) co_return co_await refuse(found.error());
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

Task<Result<>> Transaction::on(Capa) {
    return conversation_.say_capabilities(Conversation::State::transaction, services_.announced.lines(policy_));
}

Task<Result<>> Transaction::on(Lang lang) { return conversation_.change_language(lang.range); }

// The UPDATE state: all deletions are durable, or none has happened, before the reply; and the maildrop is free for
// the client's next session by then (RFC 1939 s6).
Task<Result<>> Transaction::on(Quit) {
    Result<> removed;
    auto numbers = to_remove();
    auto count = numbers.size();
    if (count != 0) removed = co_await maildrop_->remove(numbers);
    if (count != 0 && removed) co_await cut_listings(numbers);
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
    if (policy_.expire_days != 0) return;
    mark(retrieved_, number, maildrop_->message_count());
}

Task<Result<>> Transaction::load() {
    auto loaded = co_await maildrop_->messages();
    if (!loaded) co_return pass_on(loaded);
    known_ = **loaded;
    first_known_ = 1;
    all_known_ = true;
    co_return Result<>();
}

const mailstore::Message* Transaction::known(MessageNumber number) const {
    if (number >= first_known_ && number - first_known_ < known_.size()) return &known_[number - first_known_];
    if (known_singly_.empty()) return nullptr;
    auto found = known_singly_.find(number);
    return found == known_singly_.end() ? nullptr : found->second;
}

Task<Result<>> Transaction::look_up(MessageNumber number) {
    if (all_known_) co_return Result<>();
    if (co_await find_singly(number)) co_return Result<>();
    co_return co_await load();
}

// A client that leaves its mail on the server wants what is new of a large maildrop, and now and then to delete what is
// old. The listing kept for it knows the unique-id of each.
Task<const mailstore::Message*> Transaction::find_singly(MessageNumber number) {
    const auto count = maildrop_->message_count();
    if (count < kFewMessages || number == 0 || number > count) co_return nullptr;
    if (!unique_ids_ && !looked_for_unique_ids_) {
        looked_for_unique_ids_ = true;
        unique_ids_ = co_await kept_listing(Kind::unique_ids);
        if (const auto* message = known(number)) co_return message;
    }
    if (!unique_ids_ || known_singly_.size() * kSingleCost >= count) co_return nullptr;
    auto found = co_await maildrop_->message(number, std::string(unique_ids_->find(number)));
    if (!found) co_return nullptr;  // a full reading says what is wrong
    known_singly_.emplace(number, *found);
    co_return *found;
}

// RFC 1939 s5: numbers are those of the login; a deleted message has none.
auto Transaction::find(MessageNumber number) const -> std::expected<const Message*, Refusal> {
    const auto* message = known(number);
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

// Only an end of the connection tells a client that what it has is not the whole message.
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
