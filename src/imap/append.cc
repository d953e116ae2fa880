// APPEND (RFC 9051 s6.3.12; RFC 3502, RFC 4469, RFC 7889, RFC 9755) and REPLACE (RFC 8508). Messages go to the store as
// they come, and are never whole in memory; all of a command's are stored in one commit.
#include <algorithm>

#include "imap/appending.h"
#include "imap/incoming.h"
#include "quota/room.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kMostMessages = 400;       // of one command: what a commit takes
constexpr std::size_t kMostPieces = 1000;        // literals and URLs of a command; each keeps room for itself
constexpr std::uint64_t kMostInAll = 64u << 20;  // octets of several messages: they are one commit
constexpr std::size_t kLongestHead = 64 * 1024;

}  // namespace

Task<> Incoming::add(std::string_view octets) {
    octets_ += octets.size();
    has_nul_ = has_nul_ || octets.contains('\0');
    encoder_.encode(octets, wire_);
    co_await keep();
}

Task<> Incoming::keep() {
    downgrader_.feed(wire_);
    if (written_) written_ = co_await writer_->write(wire_);
    wire_.clear();
}

Task<Result<mailstore::NewMessage>> Incoming::finish() {
    encoder_.finish(wire_);
    co_await keep();
    downgrader_.finish();
    if (!written_) co_return pass_on(written_);
    const auto octets = encoder_.sizes().octets;
    auto content = co_await writer_->finish(octets, 1);
    if (!content) co_return pass_on(content);
    mailstore::NewMessage message{"", std::move(*content), ""};
    if (downgrader_.needed()) message.ascii_octets = octets + static_cast<std::uint64_t>(downgrader_.growth());
    co_return message;
}

bool Client::is_append_head(std::string_view text) {
    if (text.size() > kLongestHead) return false;
    Cursor in(text);
    auto grammar = parse_append_begin(in);
    return grammar && grammar->read(in.rest(), true);
}

Task<Result<>> Client::append(Cursor in) {
    auto name = mailbox_name(in);
    if (!name) co_return co_await bad_arguments();
    co_return co_await append_messages(Appending(AppendGrammar::Messages::any), std::move(*name),
                                       std::string(in.rest()));
}

// The message that goes need not be where the new one comes to.
Task<Result<>> Client::replace(Cursor in) {
    auto which = in;
    const bool last = which.take('*');
    if ((!last && !which.nonzero()) || !which.space()) co_return co_await bad_arguments();
    auto indexes = parse_messages(in);
    if (!indexes || !in.space()) co_return co_await bad_arguments();
    auto name = mailbox_name(in);
    if (!name) co_return co_await bad_arguments();
    if (selected_->read_only()) co_return co_await no("[CANNOT] the mailbox is open read-only");
    if (indexes->empty()) co_return co_await no("[NONEXISTENT] no such message");
    Appending appending(AppendGrammar::Messages::one);
    const auto uids = uids_at(*indexes);
    appending.replaced = mailstore::MessageAt{selected_->id(), uids.front()};
    auto totals = co_await services_.store.measure(account(), selected_->id(), uids);
    if (!totals) co_return co_await no(totals.error(), "the message can't be read");
    appending.freed = totals->octets;
    co_return co_await append_messages(std::move(appending), std::move(*name), std::string(in.rest()));
}

// While `message_` says that a literal has to be read, a reply alone refuses the command, and execute() passes over it.
Task<Result<>> Client::append_messages(Appending appending, std::string name, std::string text) {
    for (bool first = true;; first = false) {
        const auto steps = appending.grammar.read(text, message_.has_value());
        if (!steps) co_return co_await bad_arguments();
        if (first) {
            if (!may_change()) co_return co_await no("[NOPERM] this device's password is for reading only");
            auto mailbox = co_await find_mailbox(std::move(name));
            // RFC 9051 s6.3.12: the client may make it and try again.
            if (!mailbox && mailbox.error().code() == Errc::not_found)
                co_return co_await no("[TRYCREATE] no such mailbox");
            if (!mailbox) co_return co_await no(mailbox.error(), "the mailbox can't be read");
            appending.mailbox = std::move(*mailbox);
        }
        for (const auto& step : *steps) {
            if (step.kind == AppendStep::Kind::command_end) co_return co_await store_appended(std::move(appending));
            auto refused = co_await take_step(appending, step);
            if (!refused) co_return pass_on(refused);
            if (refused->bad) co_return co_await bad(std::move(refused->text));
            if (!refused->text.empty()) co_return co_await no(std::move(refused->text));
        }
        auto grammar = appending.grammar;
        const auto is_head = [&grammar](std::string_view so_far) {
            auto tried = grammar;
            return so_far.size() <= kLongestHead && tried.read(so_far, true);
        };
        text_.clear();
        auto read = co_await read_text(is_head);
        if (!read) co_return pass_on(read);
        if (!*read) co_return Result<>();
        text = text_;
    }
}

Task<Result<Client::Refused>> Client::take_step(Appending& appending, const AppendStep& step) {
    using Kind = AppendStep::Kind;
    switch (step.kind) {
        case Kind::message: {
            if (appending.messages.size() == kMostMessages)
                co_return Refused{fmt::format("[LIMIT] a command has at most {} messages", kMostMessages)};
            auto& form = appending.form = {};
            form.mailbox = appending.mailbox.id;
            form.received = step.received;
            if (step.flags) {
                auto flags = sort_flags(*step.flags);
                if (!flags) co_return Refused{"no such flag can be set", true};
                form.flags = flags->system;
                form.keywords = std::move(flags->keywords);
            }
            appending.message = std::make_unique<Incoming>(services_.store.stage(message_ ? message_->octets : 0));
            co_return Refused();
        }
        case Kind::octets: co_return co_await take_octets(appending);
        case Kind::url: co_return co_await take_url(appending, step.url);
        case Kind::message_end: break;
        case Kind::command_end: co_return Refused();
    }
    if (appending.message->has_nul()) co_return Refused{"a message has no NUL", true};
    if (appending.message->octets() == 0) co_return Refused{"[CANNOT] a message has at least one octet"};
    auto message = co_await appending.message->finish();
    if (!message) {
        log_failure(message.error(), "the message can't be stored");
        const bool full = message.error().code() == Errc::no_space;
        co_return Refused{full ? "[OVERQUOTA] there is no space" : "[UNAVAILABLE] the message can't be stored"};
    }
    appending.form.content = std::move(message->content);
    appending.form.ascii_octets = message->ascii_octets;
    appending.messages.push_back(std::move(appending.form));
    co_return Refused();
}

// Keeps room in the account for so many octets more of the message.
Task<Result<Client::Refused>> Client::make_room(Appending& appending, std::uint64_t octets) {
    if (octets > options_.append_limit - std::min(options_.append_limit, appending.message->octets()))
        co_return Refused{fmt::format("[TOOBIG] a message has at most {} octets", options_.append_limit)};
    if (appending.room.size() == kMostPieces)
        co_return Refused{fmt::format("[LIMIT] a command appends at most {} pieces", kMostPieces)};
    const bool several = !appending.messages.empty();
    if (several && octets > kMostInAll - std::min(kMostInAll, appending.octets))
        co_return Refused{fmt::format("[LIMIT] several messages have at most {} octets", kMostInAll)};
    appending.octets += octets;
    const auto freed = std::min(appending.freed, octets);
    appending.freed -= freed;
    const std::uint64_t messages = appending.message->octets() == 0 && !appending.replaced ? 1 : 0;
    auto room = co_await quota::room_in(services_.directory, services_.quotas, account(),
                                        {.messages = messages, .octets = octets - freed});
    if (!room && room.error().code() == Errc::no_space) co_return Refused{"[OVERQUOTA] the account is full"};
    if (!room) {
        log_failure(room.error(), "the account can't be read");
        co_return Refused{"[UNAVAILABLE] the account can't be read"};
    }
    appending.room.push_back(std::move(*room));
    co_return Refused();
}

// The octets that `message_` announces. All of them are read, whatever becomes of them.
Task<Result<Client::Refused>> Client::take_octets(Appending& appending) {
    const auto mark = *message_;
    auto refused = co_await make_room(appending, mark.octets);
    if (!refused || !refused->text.empty()) co_return refused;
    // RFC 3502 s6.3.11: the client gives up what it has begun.
    if (mark.octets == 0 && appending.message->octets() == 0)
        co_return Refused{"[CANNOT] a message has at least one octet"};
    if (mark.waits)
        if (auto said = co_await say_continue("go on"); !said) co_return pass_on(said);
    message_.reset();
    for (auto left = mark.octets; left > 0;) {
        auto some = co_await io().read_some(idle_limit());
        if (!some) co_return pass_on(some);
        const auto octets = some->substr(0, left);
        left -= octets.size();
        co_await appending.message->add(octets);
        io().consume(octets.size());
    }
    co_return Refused();
}

Task<Result<>> Client::store_appended(Appending appending) {
    const auto count = appending.messages.size();
    Result<std::vector<mailstore::Message>> stored;
    if (count == 1 && !appending.replaced) {
        auto one = co_await services_.store.append(account(), std::move(appending.messages.front()));
        if (one)
            stored->push_back(std::move(*one));
        else
            stored = pass_on(one);
    } else {
        stored = co_await services_.store.append_together(account(), std::move(appending.messages), appending.replaced);
    }
    if (!stored && stored.error().code() == Errc::not_found && appending.replaced)
        co_return co_await no("[NONEXISTENT] the message or the mailbox is gone");
    if (!stored && stored.error().code() == Errc::not_found) co_return co_await no("[TRYCREATE] no such mailbox");
    if (!stored) co_return co_await no(stored.error(), "the message can't be stored");
    done_.appended += count;
    // An INBOX that was never written to gets its UIDVALIDITY with its first message.
    auto validity = appending.mailbox.uid_validity;
    if (stored->front().order.value == 1)
        if (auto now = co_await services_.store.mailbox(account(), appending.mailbox.name); now)
            validity = now->uid_validity;
    SequenceSet uids;
    for (const auto& message : *stored) uids.append(static_cast<std::uint32_t>(message.order.value));
    // RFC 4315 s3: a new message's UID is its place.
    const auto code = fmt::format("[APPENDUID {} {}]", validity, uids.text());
    if (!appending.replaced) co_return co_await ok(code + " done");
    ++done_.expunged;
    access_->note_deleted({.messages = 1,
                           .begun = access_->visit.now(),
                           .mailbox = appending.replaced->mailbox.value,
                           .before = selected_->count()});
    // RFC 8508 s4.3: before the EXPUNGE.
    untagged("OK {} it is there", code);
    co_return co_await ok("done");
}

}  // namespace poplar::imap
