#include "pop3/transaction.h"

#include "base/log.h"
#include "mail/downgrade.h"
#include "mail/wire_form.h"

namespace poplar::pop3 {

namespace {

constexpr std::size_t kListingBlock = 8 * 1024;  // octets of a listing that are written at once
constexpr std::size_t kTopGathered = 64 * 1024;  // octets of a TOP that are read before it is answered
constexpr std::string_view kEnd = ".\r\n";

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

Task<> Transaction::run() {
    while (!conversation_.over()) {
        auto command = co_await conversation_.next_command(conversation_.options().transaction_idle);
        if (!command) break;
        auto act = [this](auto& known) { return on(known); };
        co_await std::visit(act, *command);
    }
    maildrop_.reset();
}

Task<> Transaction::on(Stat) {
    auto octets = conversation_.downgrades() ? maildrop_->ascii_octets() : maildrop_->octets();
    return conversation_.say("+OK {} {}\r\n", maildrop_->message_count() - deleted_count_, octets - deleted_octets_);
}

// Both sizes are the same in nearly every maildrop, and then one listing is kept for all.
Transaction::Kind Transaction::octets_kind() const {
    const bool ascii = conversation_.downgrades() && maildrop_->ascii_octets() != maildrop_->octets();
    return ascii ? Kind::ascii_octets : Kind::octets;
}

Task<> Transaction::on(List list) {
    if (list.message) return list_one(*list.message, octets_kind());
    return list_all(octets_kind(), "number and octets follow");
}

Task<> Transaction::on(Uidl uidl) {
    if (uidl.message) return list_one(*uidl.message, Kind::unique_ids);
    return list_all(Kind::unique_ids, "number and unique-id follow");
}

void Transaction::append_line(std::string& listing, MessageNumber number, Kind kind) const {
    const auto& message = (*messages_)[number - 1];
    fmt::format_int digits(number);
    listing.append(digits.data(), digits.size());
    listing.push_back(' ');
    if (kind != Kind::unique_ids) {
        fmt::format_int octets(octets_of(message));
        listing.append(octets.data(), octets.size());
    } else {
        listing.append(message.unique_id);
    }
    listing.append("\r\n");
}

Task<> Transaction::list_one(MessageNumber number, Kind kind) {
    if (!messages_ && !co_await load()) co_return;
    if (auto found = find(number); !found) co_return co_await refuse(found.error());
    std::string line = "+OK ";
    append_line(line, number, kind);
    co_await conversation_.say(line);
}

// A poll that finds nothing new is sent what the last one was, and the messages are not even read.
Task<> Transaction::list_all(Kind kind, Text first_line) {
    if (deleted_count_ == 0 && services_.listings) {
        auto version = co_await maildrop_->version();
        if (version)
            if (auto text = services_.listings->find(id_, kind, *version)) {
                co_await conversation_.say_ok(first_line);
                if (!conversation_.over()) co_await conversation_.say(*text);
                co_return;
            }
    }
    if (!messages_ && !co_await load()) co_return;
    co_await conversation_.say_ok(first_line);
    if (!conversation_.over()) co_await make_listing(kind);
}

Task<> Transaction::make_listing(Kind kind) {
    const bool keep = deleted_count_ == 0 && !messages_->empty() && services_.listings;
    std::string kept, block;
    for (MessageNumber number = 1; number <= messages_->size(); ++number) {
        if (is_deleted(number)) continue;
        append_line(block, number, kind);
        if (block.size() < kListingBlock) continue;
        co_await conversation_.say(block);
        if (conversation_.over()) co_return;
        if (keep && kept.size() <= services_.listings->longest()) kept.append(block);
        block.clear();
    }
    block.append(kEnd);
    co_await conversation_.say(block);
    if (!keep || kept.size() + block.size() > services_.listings->longest()) co_return;
    kept.append(block);
    kept.shrink_to_fit();
    if (auto version = co_await maildrop_->version())
        services_.listings->keep(id_, kind, *version, std::make_shared<const std::string>(std::move(kept)));
}

// Damage must show before +OK is said: there is no way to take back half a message.
Task<> Transaction::on(Retr retr) {
    if (!messages_ && !co_await load()) co_return;
    auto found = find_content(retr.message);
    if (!found) co_return co_await refuse(found.error());
    const auto* message = *found;
    auto reader = co_await maildrop_->open(*message);
    Result<> whole;
    if (reader)
        whole = co_await (*reader)->verify();
    else
        whole = pass_on(reader);
    if (!whole) {
        log_failure(whole.error(), message->unique_id);
        co_await conversation_.say_failure(whole.error(), "the message can't be read");
        co_return;
    }
    if (auto pieces = (*reader)->whole(); !pieces.empty() && !downgrades(*message)) {
        pieces_.assign({conversation_.ok_line("{} octets", octets_of(*message))});
        pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
        pieces_.push_back(kEnd);
        co_await conversation_.say_all(pieces_);
        done_.octets += (*reader)->size();
        ++done_.retrieved;
        note_retrieved(retr.message);
        co_return;
    }
    co_await conversation_.say_ok("{} octets", octets_of(*message));
    Outgoing outgoing(**reader, downgrades(*message));
    while (!conversation_.over()) {
        auto chunk = co_await outgoing.next();
        if (!chunk) {
            co_await cut(*message, chunk.error());
            co_return;
        }
        if (chunk->empty()) {
            co_await conversation_.say(kEnd);
            ++done_.retrieved;
            note_retrieved(retr.message);
            co_return;
        }
        done_.octets += chunk->size();
        co_await conversation_.say(*chunk);
    }
}

// RFC 1939 s7. Usually the first two chunks are all that is read: trace fields, then the beginning of the message. As
// for RETR, damage must show before +OK is said, so they are gathered first; who asks for much has the message checked.
Task<> Transaction::on(Top top) {
    if (!messages_ && !co_await load()) co_return;
    auto found = find_content(top.message);
    if (!found) co_return co_await refuse(found.error());
    const auto* message = *found;
    auto reader = co_await maildrop_->open(*message);
    Result<> readable;
    std::string gathered;
    bool all = false;
    if (reader) {
        auto begun = co_await gather_top(**reader, top.lines, downgrades(*message), gathered);
        all = begun && *begun;
        if (!begun)
            readable = pass_on(begun);
        else if (!all)
            readable = co_await (*reader)->verify();
    } else {
        readable = pass_on(reader);
    }
    if (!readable) {
        log_failure(readable.error(), message->unique_id);
        co_await conversation_.say_failure(readable.error(), "the message can't be read");
        co_return;
    }
    co_await conversation_.say_ok("top of message follows");
    if (all) {
        done_.octets += gathered.size();
        if (!conversation_.over()) co_await conversation_.say(gathered);
    } else if (!co_await send_top(*message, **reader, top.lines)) {
        co_return;
    }
    if (!conversation_.over()) co_await conversation_.say(kEnd);
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

// False: the connection was cut.
Task<bool> Transaction::send_top(const Message& message, engine::BodyReader& reader, std::uint64_t lines) {
    Outgoing outgoing(reader, downgrades(message));
    mail::TopLimiter limiter(lines);
    while (!conversation_.over() && !limiter.done()) {
        auto chunk = co_await outgoing.next();
        if (!chunk) {
            co_await cut(message, chunk.error());
            co_return false;
        }
        if (chunk->empty()) break;
        auto wanted = chunk->substr(0, limiter.take(*chunk));
        done_.octets += wanted.size();
        co_await conversation_.say(wanted);
    }
    co_return true;
}

Task<> Transaction::on(Dele dele) {
    if (!messages_ && !co_await load()) co_return;
    auto found = find(dele.message);
    if (!found) co_return co_await refuse(found.error());
    if (deleted_.empty()) deleted_.resize(messages_->size());
    deleted_[dele.message - 1] = true;
    ++deleted_count_;
    deleted_octets_ += octets_of(**found);
    co_await conversation_.say_ok("deleted");
}

Task<> Transaction::on(Rset) {
    deleted_.clear();
    deleted_count_ = deleted_octets_ = 0;
    return conversation_.say_ok("nothing is deleted");
}

// RFC 1957: old clients want a space behind "+OK", so every reply has a text.
Task<> Transaction::on(Noop) { return conversation_.say_ok("still here"); }

Task<> Transaction::on(Capa) {
    return conversation_.say_capabilities(Conversation::State::transaction, services_.announced.lines(policy_));
}

Task<> Transaction::on(Lang lang) { return conversation_.change_language(lang.range); }

// The UPDATE state: all deletions are durable, or none has happened, before the reply; and the maildrop is free for
// the client's next session by then (RFC 1939 s6).
Task<> Transaction::on(Quit) {
    Result<> removed;
    auto numbers = to_remove();
    auto count = numbers.size();
    if (count != 0) removed = co_await maildrop_->remove(std::move(numbers));
    maildrop_.reset();
    if (removed) {
        done_.deleted = count;
        if (count == 0)
            co_await conversation_.say_ok("goodbye");
        else
            co_await conversation_.say_ok("goodbye, messages deleted: {}", count);
        conversation_.end(kQuit);
    } else {
        log_failure(removed.error(), "");
        co_await conversation_.say_error("[SYS/TEMP]", "the deletions could not be saved, try again later");
        conversation_.end("update_failed");
    }
}

std::vector<MessageNumber> Transaction::to_remove() const {
    std::vector<MessageNumber> numbers;
    if (deleted_count_ == 0 && retrieved_.empty()) return numbers;
    for (MessageNumber number = 1; number <= messages_->size(); ++number)
        if (is_deleted(number) || (!retrieved_.empty() && retrieved_[number - 1])) numbers.push_back(number);
    return numbers;
}

// RFC 2449 s6.7, EXPIRE 0: at the end of the session it counts as deleted, whatever RSET says.
void Transaction::note_retrieved(MessageNumber number) {
    if (policy_.expire_days != 0) return;
    if (retrieved_.empty()) retrieved_.resize(messages_->size());
    retrieved_[number - 1] = true;
}

Task<bool> Transaction::load() {
    auto loaded = co_await maildrop_->messages();
    if (!loaded) {
        log_failure(loaded.error(), "");
        co_await conversation_.say_failure(loaded.error(), "the maildrop can't be read");
        co_return false;
    }
    messages_ = *loaded;
    co_return true;
}

// RFC 1939 s5: numbers are those of the login; a deleted message has none.
auto Transaction::find(MessageNumber number) const -> std::expected<const Message*, Refusal> {
    if (number == 0 || number > messages_->size()) return std::unexpected(Refusal{"", "no such message"});
    if (is_deleted(number)) return std::unexpected(Refusal{"", "the message is deleted"});
    return &(*messages_)[number - 1];
}

// As find, for what is sent of a message: RFC 6856 s5.
auto Transaction::find_content(MessageNumber number) const -> std::expected<const Message*, Refusal> {
    auto found = find(number);
    if (found && (*found)->ascii_octets != 0 && conversation_.refuses_utf8())
        return std::unexpected(Refusal{"[UTF8]", "the message has UTF-8 in its header: use UTF8 before the login"});
    return found;
}

Task<> Transaction::refuse(Refusal why) {
    return why.code.empty() ? conversation_.say_error(why.text) : conversation_.say_error(why.code, why.text);
}

// Only an end of the connection tells a client that what it has is not the whole message.
Task<> Transaction::cut(const Message& message, const Error& why) {
    log_failure(why, message.unique_id);
    conversation_.end("message_cut");
    co_return;
}

void Transaction::log_failure(const Error& why, std::string_view message) {
    log::error("pop3.store_failed", {{"session", conversation_.session_id()},
                                     {"account", account_},
                                     {"message", message},
                                     {"error", to_string(why.code())},
                                     {"reason", why.detail()}});
}

}  // namespace poplar::pop3
