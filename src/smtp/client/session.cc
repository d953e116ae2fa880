// Speaks to a server, and tells what its answers mean for each recipient.
#include "smtp/client/session.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

namespace poplar::smtp::client {

namespace {

constexpr std::chrono::seconds kGoodbye{5};

std::string base64(std::string_view text) {
    std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
    const int size =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

std::string notify_words(const mail::Notify& notify) {
    if (notify.never) return "NEVER";
    std::string words;
    auto add = [&](bool wanted, std::string_view word) {
        if (wanted) words.append(words.empty() ? "" : ",").append(word);
    };
    add(notify.success, "SUCCESS");
    add(notify.failure, "FAILURE");
    add(notify.delay, "DELAY");
    return words;
}

Reply refusal(int code, std::string_view status, std::string_view text) {
    return {code, std::string(status), std::string(text), {}};
}

/// The reason why the server can't be given the message at all; nothing if it can.
std::optional<Reply> unfit(const Envelope& envelope, const Extensions& extensions) {
    // RFC 6531 s3.6, RFC 6152 s3: it is not sent to a server that does not say it understands it.
    if (envelope.utf8 && !extensions.utf8)
        return refusal(550, "5.6.7", "the next server does not take UTF-8 in headers and addresses (SMTPUTF8)");
    if (envelope.eight_bit && !extensions.eight_bit && !extensions.utf8)
        return refusal(554, "5.6.3", "the next server takes no 8-bit text (8BITMIME), and the message has some");
    if (extensions.size && envelope.octets > *extensions.size)  // RFC 1870 s6.1
        return refusal(552, "5.3.4", fmt::format("the next server takes at most {} octets", *extensions.size));
    return std::nullopt;
}

}  // namespace

Task<Result<Reply>> Session::read(std::chrono::milliseconds within) {
    ReplyParser parser;
    for (;;) {
        auto line = co_await connection_->read_line(kReplyLine, within);
        if (!line) co_return pass_on(line);
        auto last = parser.add(*line);
        if (!last) co_return pass_on(last);
        if (*last) co_return parser.take();
    }
}

Task<Result<Reply>> Session::ask(std::string command) {
    command += "\r\n";
    if (auto sent = co_await connection_->write(command, timeouts_.reply); !sent) co_return pass_on(sent);
    co_return co_await read(timeouts_.reply);
}

Task<Result<Reply>> Session::greeting() { return read(timeouts_.reply); }

Task<Result<Reply>> Session::hello() {
    extensions_ = {};
    auto reply = co_await ask("EHLO " + hostname_);
    if (!reply) co_return reply;
    if (reply->positive()) {
        extensions_ = parse_extensions(reply->lines);
        co_return reply;
    }
    if (!reply->permanent()) co_return reply;
    co_return co_await ask("HELO " + hostname_);  // RFC 5321 s3.2
}

Task<Result<Session::Secured>> Session::start_tls(std::shared_ptr<const net::ClientTls> context,
                                                  net::ExpectedPeer peer) {
    auto reply = co_await ask("STARTTLS");
    if (!reply) co_return pass_on(reply);
    Secured secured{std::move(*reply), {}};
    if (!secured.reply.positive()) co_return secured;
    auto shaken = co_await connection_->start_tls(std::move(context), std::move(peer), timeouts_.reply);
    if (!shaken) co_return pass_on(shaken);
    secured.tls = std::move(*shaken);
    extensions_ = {};  // RFC 3207 s4.2
    co_return secured;
}

Task<Result<Reply>> Session::log_in(std::string name, std::string password) {
    const auto& offered = extensions_.mechanisms;
    if (std::ranges::find(offered, "PLAIN") != offered.end())  // RFC 4616
        co_return co_await ask("AUTH PLAIN " + base64(std::string(1, '\0') + name + '\0' + password));
    if (std::ranges::find(offered, "LOGIN") == offered.end())
        co_return fail(Errc::denied, "the server offers neither AUTH PLAIN nor AUTH LOGIN");
    auto reply = co_await ask("AUTH LOGIN");
    if (!reply || !reply->intermediate()) co_return reply;
    reply = co_await ask(base64(name));
    if (!reply || !reply->intermediate()) co_return reply;
    co_return co_await ask(base64(password));
}

std::string Session::mail_command(const Envelope& envelope) const {
    auto command = fmt::format("MAIL FROM:<{}>", envelope.sender);
    if (extensions_.size) command += fmt::format(" SIZE={}", envelope.octets);
    if (envelope.eight_bit && extensions_.eight_bit) command += " BODY=8BITMIME";
    if (envelope.utf8) command += " SMTPUTF8";
    if (envelope.require_tls && extensions_.require_tls) command += " REQUIRETLS";
    if (extensions_.dsn) {  // RFC 3461 s4
        if (envelope.ret == mail::ReturnContent::full) command += " RET=FULL";
        if (envelope.ret == mail::ReturnContent::headers) command += " RET=HDRS";
        if (!envelope.envelope_id.empty()) command += " ENVID=" + xtext(envelope.envelope_id);
    }
    return command + "\r\n";
}

std::string Session::rcpt_command(const Envelope::Recipient& recipient) const {
    auto command = fmt::format("RCPT TO:<{}>", recipient.address);
    if (extensions_.dsn && recipient.notify.given) command += " NOTIFY=" + notify_words(recipient.notify);
    if (const auto type = recipient.orcpt.find(';'); extensions_.dsn && type != recipient.orcpt.npos)
        command +=
            fmt::format(" ORCPT={};{}", recipient.orcpt.substr(0, type), xtext(recipient.orcpt.substr(type + 1)));
    return command + "\r\n";
}

/// `unreadable`: why the message's own octets could not be had; the connection has to be cut then, since the server
/// must not take a part of the message for all of it.
Task<Result<Reply>> Session::send_body(Body& body, std::optional<Error>& unreadable) {
    for (;;) {
        auto block = co_await body.next();
        if (!block) {
            unreadable = block.error();
            co_return pass_on(block);
        }
        if (block->empty()) break;
        if (auto sent = co_await connection_->write(*block, timeouts_.block); !sent) co_return pass_on(sent);
    }
    if (auto sent = co_await connection_->write(".\r\n", timeouts_.block); !sent) co_return pass_on(sent);
    co_return co_await read(timeouts_.end);
}

namespace {

/// A positive reply to RCPT promises nothing yet: without the one behind the message's last octet nobody has it
/// (RFC 5321 s4.1.1.4, s4.2.5).
void note_broken(Outcome& outcome, Error why) {
    outcome.broken = std::move(why);
    for (auto& one : outcome.replies)
        if (one && one->positive()) one.reset();
}

/// A reply to the message as a whole goes to the recipients that were not refused before.
void reply_to_accepted(Outcome& outcome, const Reply& reply) {
    for (auto& one : outcome.replies)
        if (one && one->positive()) one = reply;
    if (reply.code == 421) outcome.broken = Error(Errc::closed, reply.shown());  // RFC 5321 s3.8
}

/// RFC 5321 s4.5.3.1.10: a 552 that has no other meaning is an old way to say 452, too many recipients.
bool is_surplus(const Reply& reply) {
    return (reply.code == 452 && (reply.status.empty() || reply.status == "4.5.3")) ||
           (reply.code == 552 && (reply.status.empty() || reply.status == "5.5.3"));
}

Error out_of_step(const Reply& reply) {
    return Error(Errc::invalid, "a reply that has no meaning at this point: " + reply.shown());
}

}  // namespace

/// Sends the message behind a positive reply to DATA, and gives its own reply to those who were accepted.
Task<> Session::finish_message(Body& body, std::size_t accepted, Outcome& outcome) {
    std::optional<Error> unreadable;
    Result<Reply> last;
    if (accepted == 0) {  // the server wants a message for nobody: an empty one ends this
        auto sent = co_await connection_->write(".\r\n", timeouts_.block);
        if (sent)
            last = co_await read(timeouts_.end);
        else
            last = pass_on(sent);
    } else {
        last = co_await send_body(body, unreadable);
    }
    if (!last) {
        note_broken(outcome, last.error());
        if (unreadable) connection_->cut();
    } else if (last->intermediate()) {
        note_broken(outcome, out_of_step(*last));
        connection_->cut();
    } else {
        reply_to_accepted(outcome, *last);
    }
}

// RFC 2920 s3.1: MAIL, RCPT and DATA go together where the server allows it. The replies come in the same order.
Task<Outcome> Session::send(const Envelope& envelope, Body& body) {
    Outcome outcome;
    outcome.replies.resize(envelope.recipients.size());
    outcome.relayed = extensions_.dsn;
    if (auto why = unfit(envelope, extensions_)) {
        std::ranges::fill(outcome.replies, why);
        co_return outcome;
    }
    std::vector<std::string> commands{mail_command(envelope)};
    for (const auto& recipient : envelope.recipients) commands.push_back(rcpt_command(recipient));
    commands.push_back("DATA\r\n");
    if (extensions_.pipelining) {
        std::string all;
        for (const auto& command : commands) all += command;
        if (auto sent = co_await connection_->write(all, timeouts_.reply); !sent) {
            note_broken(outcome, sent.error());
            co_return outcome;
        }
    }
    std::optional<Reply> sender_refused;
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < commands.size(); ++i) {
        const bool is_data = i + 1 == commands.size();
        if (!extensions_.pipelining) {
            if (is_data && accepted == 0) break;
            if (auto sent = co_await connection_->write(commands[i], timeouts_.reply); !sent) {
                note_broken(outcome, sent.error());
                co_return outcome;
            }
        }
        auto reply = co_await read(timeouts_.reply);
        if (!reply) {
            note_broken(outcome, reply.error());
            co_return outcome;
        }
        if (is_data) {
            if (reply->intermediate()) {
                co_await finish_message(body, accepted, outcome);
            } else if (reply->positive()) {  // it has not seen a message, so it can't have taken one
                note_broken(outcome, out_of_step(*reply));
                connection_->cut();
            } else {
                reply_to_accepted(outcome, *reply);
            }
            break;
        }
        const bool leaves = reply->code == 421;
        const auto shown = leaves ? reply->shown() : std::string();
        if (i == 0) {
            if (!reply->positive()) sender_refused = std::move(*reply);
        } else {
            accepted += reply->positive() && !sender_refused;
            if (is_surplus(*reply)) {
                reply->code = 452;
                if (!reply->status.empty()) reply->status = "4.5.3";
                if (accepted > 0) outcome.surplus.push_back(i - 1);
            }
            outcome.replies[i - 1] = sender_refused ? *sender_refused : std::move(*reply);
        }
        if (leaves) {  // RFC 5321 s3.8: after 421 nothing more is said
            note_broken(outcome, Error(Errc::closed, shown));
            co_return outcome;
        }
        if (sender_refused && !extensions_.pipelining) break;
    }
    if (sender_refused) std::ranges::fill(outcome.replies, sender_refused);
    // A transaction that came to nothing must not be in the way of the next one.
    const bool taken = std::ranges::any_of(outcome.replies, [](const auto& one) { return one && one->positive(); });
    if (!taken && !outcome.broken) {
        auto reset = co_await ask("RSET");
        if (!reset)
            outcome.broken = reset.error();
        else if (!reset->positive())
            outcome.broken = Error(Errc::closed, reset->shown());
    }
    co_return outcome;
}

Task<> Session::quit() {
    if (auto sent = co_await connection_->write("QUIT\r\n", kGoodbye); sent) (void)co_await read(kGoodbye);
    connection_->cut();
}

}  // namespace poplar::smtp::client
