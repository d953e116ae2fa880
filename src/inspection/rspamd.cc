#include "inspection/rspamd.h"

#include <fmt/format.h>

#include <fstream>

#include "base/log.h"
#include "delivery/delivery.h"
#include "mail/wire_form.h"

namespace poplar::inspection {

namespace {

using Action = RspamdReply::Action;
using Judgement = delivery::Judgement;

constexpr std::string_view kScoreField = "X-Spam-Score";
constexpr std::string_view kSpamField = "X-Spam";
constexpr std::size_t kMostRecipients = 1000;  // that rspamd is told of

/// A value in the request: no controls.
std::string told(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
    return out;
}

bool is_user(const delivery::Envelope& envelope) { return envelope.sending && envelope.sending->submitter; }

http::Fields fields_of(const delivery::Envelope& envelope) {
    const auto& received = envelope.received;
    http::Fields fields;
    auto add = [&](const char* name, std::string_view value) {
        if (!value.empty()) fields.emplace_back(name, told(value));
    };
    add("IP", received.peer);
    add("Helo", received.helo);
    add("From", fmt::format("<{}>", envelope.reverse_path));
    for (const auto& recipient : envelope.recipients) {
        if (fields.size() >= kMostRecipients) break;
        add("Rcpt", recipient.address);
    }
    add("Queue-Id", received.id);
    add("MTA-Name", received.by);
    add("TLS-Version", std::string_view(received.tls).substr(0, received.tls.find(' ')));
    if (is_user(envelope)) add("User", envelope.sending->submitter->address);
    return fields;
}

/// Reads wire form and gives plain octets.
struct Unstuffed {
    explicit Unstuffed(std::unique_ptr<engine::BodyReader> r) : reader(std::move(r)) {}
    Task<Result<std::string_view>> next() {
        for (plain.clear(); plain.empty();) {
            auto chunk = co_await reader->next();
            if (!chunk || chunk->empty()) co_return chunk;
            decoder.decode(*chunk, plain);
        }
        co_return std::string_view(plain);
    }
    std::unique_ptr<engine::BodyReader> reader;
    mail::WireDecoder decoder;
    std::string plain;
};

}  // namespace

Judgement judgement_of(const RspamdReply& reply, Sender sender) {
    Judgement judgement;
    const auto said = [&](std::string_view usual) {
        return reply.message.empty() ? std::string(usual) : reply.message;
    };
    if (reply.action == Action::reject) {
        judgement.action = Judgement::Action::reject;
        judgement.text = said("Spam message rejected");
        return judgement;
    }
    if (reply.action == Action::soft_reject) {
        judgement.action = Judgement::Action::defer;
        judgement.text = said("Try again later");
        return judgement;
    }
    judgement.spam_percent = reply.percent();
    if (sender == Sender::stranger) {
        // Fields of that name that came with the message are not ours, and would be believed.
        judgement.removed = {"x-spam-score", "x-spam"};
        judgement.added = fmt::format("{}: {:.2f}\r\n", kScoreField, reply.score);
        const bool spam = reply.action != Action::none && reply.action != Action::greylist;
        const auto mark = reply.spam_header.empty() ? std::string(kSpamField) : reply.spam_header;
        if (spam) judgement.added += fmt::format("{}: Yes\r\n", mark);
    }
    for (const auto& [name, value] : reply.add_headers) judgement.added += fmt::format("{}: {}\r\n", name, value);
    judgement.removed.insert(judgement.removed.end(), reply.remove_headers.begin(), reply.remove_headers.end());
    if (reply.action == Action::rewrite_subject && !reply.subject.empty()) judgement.subject = reply.subject;
    judgement.junk = reply.action == Action::quarantine || reply.action == Action::discard;  // mail is never lost
    return judgement;
}

Result<std::unique_ptr<Rspamd>> Rspamd::make(const RspamdOptions& options) {
    auto url = http::parse_url(options.url);
    if (!url) return pass_on(url);
    auto origin = http::Origin::at_url(*url, "");
    if (!origin) return pass_on(origin);
    auto target = url->target;
    while (target.ends_with('/')) target.pop_back();
    return std::unique_ptr<Rspamd>(new Rspamd(options, std::move(*origin), target + "/checkv2"));
}

Task<Result<RspamdReply>> Rspamd::ask(std::shared_ptr<const delivery::Envelope> envelope,
                                      std::unique_ptr<engine::BodyReader> wire, std::uint64_t octets) {
    http::Client client(co_await asio::this_coro::executor, origin_,
                        {.timeout = options_.timeout, .answer_octets = kReplyOctets});
    Unstuffed plain(std::move(wire));
    http::ClientRequest request;
    request.method = "POST";
    request.target = target_;
    request.fields = fields_of(*envelope);
    request.pieces = [&plain] { return plain.next(); };
    request.pieces_octets = octets;
    auto reply = co_await client.ask(std::move(request));
    if (!reply) co_return pass_on(reply);
    if (reply->status != 200)
        co_return fail(Errc::invalid, fmt::format("rspamd answers with status {}", reply->status));
    co_return parse_rspamd_reply(reply->body);
}

Task<Judgement> Rspamd::judge(std::shared_ptr<const delivery::Envelope> envelope,
                              std::unique_ptr<engine::BodyReader> wire, std::uint64_t octets) {
    const auto id = envelope->received.id;
    auto reply = co_await ask(envelope, std::move(wire), octets);
    if (reply) {
        log::info("inspection.judged", {{"id", id},
                                        {"by", "rspamd"},
                                        {"action", to_string(reply->action)},
                                        {"score", fmt::format("{:.2f}", reply->score)}});
        co_return judgement_of(*reply, is_user(*envelope) ? Sender::user : Sender::stranger);
    }
    const bool accept = options_.on_error == OnError::accept;
    log::warning(
        "inspection.failed",
        {{"id", id}, {"by", "rspamd"}, {"reason", reply.error().detail()}, {"then", accept ? "accept" : "tempfail"}});
    if (accept) co_return Judgement();
    co_return Judgement{.action = Judgement::Action::defer,
                        .text = "The message can't be checked now; try again later"};
}

Result<std::unique_ptr<RspamdTeacher>> RspamdTeacher::make(const RspamdOptions& options) {
    auto url = http::parse_url(options.controller);
    if (!url) return pass_on(url);
    auto origin = http::Origin::at_url(*url, "");
    if (!origin) return pass_on(origin);
    auto target = url->target;
    while (target.ends_with('/')) target.pop_back();
    return std::unique_ptr<RspamdTeacher>(new RspamdTeacher(options, std::move(*origin), std::move(target)));
}

Task<Result<>> RspamdTeacher::teach(Lesson lesson, std::unique_ptr<engine::BodyReader> wire,
                                    std::uint64_t octets) const {
    constexpr unsigned kKnownAlready = 208;
    http::ClientRequest request;
    if (!options_.password_file.empty()) {
        std::ifstream file(options_.password_file);
        std::string password;
        if (!file || !std::getline(file, password)) co_return fail(Errc::io, options_.password_file + " can't be read");
        request.fields.emplace_back("Password", told(password));
    }
    http::Client client(co_await asio::this_coro::executor, origin_,
                        {.timeout = options_.timeout, .answer_octets = kReplyOctets});
    Unstuffed plain(std::move(wire));
    request.method = "POST";
    request.target = target_ + (lesson == Lesson::spam ? "/learnspam" : "/learnham");
    request.pieces = [&plain] { return plain.next(); };
    request.pieces_octets = octets;
    auto reply = co_await client.ask(std::move(request));
    if (!reply) co_return fail(Errc::io, "rspamd: " + reply.error().detail());
    if (reply->status == 200 || reply->status == kKnownAlready) co_return Result<>();
    co_return fail(Errc::io, fmt::format("rspamd answers with status {}: {}", reply->status, reply_text(reply->body)));
}

}  // namespace poplar::inspection
