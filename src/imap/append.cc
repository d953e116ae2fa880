// APPEND (RFC 9051 s6.3.12; RFC 7889, RFC 9755). A message goes to the store as it comes, and is never whole in memory.
#include "imap/client.h"
#include "mail/downgrade.h"
#include "mail/wire_form.h"
#include "quota/room.h"

namespace poplar::imap {

namespace {

struct Head {
    std::optional<std::vector<std::string>> flags;
    std::optional<Timestamp> received;
    bool utf8 = false;  ///< UTF8 ( in front of the message
};

/// Reads flags and time between the mailbox and the message. Nothing: it is not all that is left of `in`.
std::optional<Head> parse_head(Cursor& in) {
    Head head;
    if (!in.space()) return std::nullopt;
    if (in.at('(')) {
        head.flags = parse_flag_list(in);
        if (!head.flags || !in.space()) return std::nullopt;
    }
    if (in.at('"')) {
        head.received = parse_date_time(in);
        if (!head.received || !in.space()) return std::nullopt;
    }
    if (in.take_word("UTF8 (")) head.utf8 = true;
    if (!in.at_end()) return std::nullopt;
    return head;
}

}  // namespace

bool Client::is_append_head(std::string_view text) {
    Cursor in(text);
    return parse_tag(in) && in.space() && in.take_word("APPEND ") && parse_mailbox(in) && parse_head(in);
}

struct Client::Appending {
    mailstore::Mailbox mailbox;
    NamedFlags flags;
    std::optional<Timestamp> received;
    bool utf8 = false;
};

Task<Result<>> Client::append(Cursor in) {
    auto name = mailbox_name(in);
    if (!name || !message_) co_return co_await bad_arguments();
    auto head = parse_head(in);
    if (!head) co_return co_await bad_arguments();
    Appending appending;
    appending.received = head->received;
    appending.utf8 = head->utf8;
    if (head->flags) {
        auto flags = sort_flags(*head->flags);
        if (!flags) co_return co_await bad("no such flag can be set");
        appending.flags = std::move(*flags);
    }
    if (!may_change()) co_return co_await no("[NOPERM] this device's password is for reading only");
    auto mailbox = co_await find_mailbox(std::move(*name));
    // RFC 9051 s6.3.12: the client may make it and try again.
    if (!mailbox && mailbox.error().code() == Errc::not_found) co_return co_await no("[TRYCREATE] no such mailbox");
    if (!mailbox) co_return co_await no(mailbox.error(), "the mailbox can't be read");
    appending.mailbox = std::move(*mailbox);
    if (message_->octets > options_.append_limit)
        co_return co_await no(fmt::format("[TOOBIG] a message has at most {} octets", options_.append_limit));
    if (message_->octets == 0) co_return co_await no("[CANNOT] a message has at least one octet");
    co_return co_await take_message(std::move(appending));
}

// Until the literal is read, `message_` says that it has to be: then a reply alone refuses it.
Task<Result<>> Client::take_message(Appending appending) {
    const auto mark = *message_;
    auto room = co_await quota::room_in(services_.directory, services_.quotas, account(), {.octets = mark.octets});
    if (!room && room.error().code() == Errc::no_space) co_return co_await no("[OVERQUOTA] the account is full");
    if (!room) co_return co_await no(room.error(), "the account can't be read");
    if (mark.waits)
        if (auto said = co_await say_continue("go on"); !said) co_return said;
    message_.reset();
    auto received = co_await receive_message(mark);
    if (!received) co_return pass_on(received);
    auto line = co_await read_line(limit());
    if (!line && line.error().code() == Errc::too_large)
        co_return co_await bye("[TOOBIG] the command is too long", "too_long");
    if (!line) co_return pass_on(line);
    if (*line != (appending.utf8 ? ")" : "")) {
        const auto more = literal_at_end(*line);
        if (more && !more->waits)
            if (auto skipped = co_await skip_command(more->octets); !skipped) co_return skipped;
        co_return co_await bad("a message ends the command");
    }
    if (received->has_nul) co_return co_await bad("a message has no NUL");
    if (!received->content) co_return co_await no(received->content.error(), "the message can't be stored");
    mailstore::NewMessage message{"", std::move(*received->content), ""};
    message.ascii_octets = received->ascii_octets;
    message.mailbox = appending.mailbox.id;
    message.flags = appending.flags.system;
    message.keywords = std::move(appending.flags.keywords);
    message.received = appending.received;
    auto stored = co_await services_.store.append(account(), std::move(message));
    if (!stored && stored.error().code() == Errc::not_found) co_return co_await no("[TRYCREATE] no such mailbox");
    if (!stored) co_return co_await no(stored.error(), "the message can't be stored");
    ++done_.appended;
    // An INBOX that was never written to gets its UIDVALIDITY with its first message.
    auto validity = appending.mailbox.uid_validity;
    if (stored->order.value == 1)
        if (auto now = co_await services_.store.mailbox(account(), appending.mailbox.name); now)
            validity = now->uid_validity;
    // RFC 4315 s3: a new message's UID is its place.
    co_return co_await ok(fmt::format("[APPENDUID {} {}] done", validity, stored->order.value));
}

// All octets are read, whatever becomes of them. The failure is the connection's.
Task<Result<Client::Received>> Client::receive_message(LiteralMark mark) {
    auto writer = services_.store.stage(mark.octets);
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    mail::Downgrader downgrader;
    Received received;
    Result<> written;
    std::string wire;
    const auto keep = [&]() -> Task<> {
        downgrader.feed(wire);
        if (written) written = co_await writer->write(wire);
        wire.clear();
    };
    for (auto left = mark.octets; left > 0;) {
        auto some = co_await connection_.read_some(idle_limit());
        if (!some) co_return pass_on(some);
        const auto octets = some->substr(0, left);
        received.has_nul = received.has_nul || octets.contains('\0');
        encoder.encode(octets, wire);
        left -= octets.size();
        connection_.consume(octets.size());
        co_await keep();
    }
    encoder.finish(wire);
    co_await keep();
    downgrader.finish();
    if (!written) {
        received.content = pass_on(written);
    } else if (!received.has_nul) {
        const auto octets = encoder.sizes().octets;
        received.content = co_await writer->finish(octets, 1);
        if (downgrader.needed()) received.ascii_octets = octets + static_cast<std::uint64_t>(downgrader.growth());
    }
    co_return received;
}

}  // namespace poplar::imap
