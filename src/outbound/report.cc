#include "outbound/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/random.h"
#include "base/units.h"
#include "mail/address.h"
#include "mail/trace.h"
#include "mail/wire_form.h"

namespace poplar::outbound {

namespace {

using queue::Recipient;

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string_view subject_of(ReportKind kind) {
    switch (kind) {
        case ReportKind::failed: return "Your message could not be delivered";
        case ReportKind::delayed: return "Your message is not delivered yet";
        case ReportKind::relayed: return "Your message was handed on";
    }
    return "";
}

std::string first_words(const Report& report) {
    switch (report.kind) {
        case ReportKind::failed:
            return "Your message was not delivered to the addresses below.\r\n"
                   "They will not get it unless you send it again.\r\n";
        case ReportKind::delayed:
            return fmt::format(
                "Your message has not arrived at the addresses below yet. You need not\r\n"
                "send it again: this server goes on trying until\r\n"
                "{}.\r\n",
                mail::format_date(report.next_attempt_until));
        case ReportKind::relayed:
            return "Your message was handed to the next mail server for the addresses\r\n"
                   "below. That server sends no reports, so you will not hear of its arrival.\r\n";
    }
    return "";
}

/// RFC 3464 s2.3.3, RFC 3461 s5.
std::string_view action_of(ReportKind kind) {
    switch (kind) {
        case ReportKind::failed: return "failed";
        case ReportKind::delayed: return "delayed";
        case ReportKind::relayed: return "relayed";
    }
    return "";
}

std::string status_of(const Report& report, const Recipient& recipient) {
    const char wanted = report.kind == ReportKind::failed ? '5' : report.kind == ReportKind::delayed ? '4' : '2';
    // A message that was tried for days and failed each time has failed for good; RFC 3463 s3.5 has a code for it.
    if (recipient.status.size() >= 5 && recipient.status[0] == wanted) return recipient.status;
    if (report.kind == ReportKind::failed && recipient.status.starts_with('4')) return "5.4.7";
    return fmt::format("{}.0.0", wanted);
}

/// A line of a text for people, and of a field: no line ends in it.
std::string_view reply_of(const Recipient& recipient) {
    return recipient.reply.empty() ? std::string_view("no reply") : std::string_view(recipient.reply);
}

std::string text_part(const Report& report, const std::string& hostname) {
    auto text = fmt::format("This is the mail server {}.\r\n\r\n{}\r\n", hostname, first_words(report));
    for (const auto& one : report.recipients) {
        text += fmt::format("  {}\r\n", one.address);
        if (report.kind == ReportKind::relayed) continue;
        text += fmt::format("    {}{}{}\r\n", one.host, one.host.empty() ? "" : " said: ", reply_of(one));
    }
    return text + "\r\nBelow is the same for programs, and what your message was.\r\n";
}

std::string status_part(const Report& report, const std::string& hostname, bool utf8) {
    std::string text;
    const auto& message = report.message;
    if (!message.envelope_id.empty()) text += fmt::format("Original-Envelope-Id: {}\r\n", message.envelope_id);
    text += fmt::format("Reporting-MTA: dns; {}\r\n", hostname);
    text += fmt::format("Arrival-Date: {}\r\n", mail::format_date(message.arrived));
    for (const auto& one : report.recipients) {
        text += "\r\n";
        if (!one.orcpt.empty()) text += fmt::format("Original-Recipient: {}\r\n", one.orcpt);
        // RFC 6533 s3: an address in UTF-8 has a type of its own.
        const bool plain = is_ascii(one.address);
        text += fmt::format("Final-Recipient: {}; {}\r\n", plain || !utf8 ? "rfc822" : "utf-8", one.address);
        text += fmt::format("Action: {}\r\n", action_of(report.kind));
        text += fmt::format("Status: {}\r\n", status_of(report, one));
        if (!one.host.empty()) {
            text += fmt::format("Remote-MTA: dns; {}\r\n", one.host);
            text += fmt::format("Diagnostic-Code: smtp; {}\r\n", reply_of(one));
        } else if (!one.reply.empty()) {
            text += fmt::format("Diagnostic-Code: x-poplar; {}\r\n", one.reply);
        }
        if (report.kind == ReportKind::delayed)
            text += fmt::format("Will-Retry-Until: {}\r\n", mail::format_date(report.next_attempt_until));
    }
    return text;
}

bool needs_utf8(const Report& report) {
    return !is_ascii(report.message.sender) || std::ranges::any_of(report.recipients, [](const auto& one) {
        return !is_ascii(one.address) || !is_ascii(one.reply) || !is_ascii(one.orcpt);
    });
}

}  // namespace

// RFC 6522: for people, for programs, and the message. RFC 6533 has names of their own for parts with UTF-8.
std::string compose(const Report& report, const std::string& hostname, const std::string& id, Timestamp now) {
    const bool utf8 = needs_utf8(report);
    const bool content_utf8 = !is_ascii(report.content);
    const auto boundary = fmt::format("report-{}", id);  // its octets are random: no line of a message begins with them
    std::string_view returned = report.whole ? "message/rfc822" : "text/rfc822-headers";
    if (report.message.utf8) returned = report.whole ? "message/global" : "message/global-headers";
    auto text = fmt::format(
        "Date: {date}\r\n"
        "From: Mail server <postmaster@{hostname}>\r\n"
        "To: <{to}>\r\n"
        "Subject: {subject}\r\n"
        "Message-ID: <{id}@{hostname}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type={type};\r\n\tboundary=\"{boundary}\"\r\n"
        "\r\n",
        fmt::arg("date", mail::format_date(now)), fmt::arg("hostname", hostname), fmt::arg("to", report.message.sender),
        fmt::arg("subject", subject_of(report.kind)), fmt::arg("id", id),
        fmt::arg("type", utf8 ? "global-delivery-status" : "delivery-status"), fmt::arg("boundary", boundary));
    text += fmt::format("--{}\r\nContent-Type: text/plain; charset=utf-8\r\n{}\r\n{}\r\n", boundary,
                        utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "", text_part(report, hostname));
    text += fmt::format("--{}\r\nContent-Type: message/{}\r\n{}\r\n{}\r\n", boundary,
                        utf8 ? "global-delivery-status" : "delivery-status",
                        utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "", status_part(report, hostname, utf8));
    text += fmt::format("--{}\r\nContent-Type: {}\r\n{}\r\n", boundary, returned,
                        content_utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
    text += report.content;
    return text + fmt::format("\r\n--{}--\r\n", boundary);
}

namespace {

/// To the sender's mailbox, or to the queue.
Task<std::expected<void, delivery::Verdict>> hand_over(delivery::Delivery& delivery,
                                                       std::shared_ptr<delivery::Envelope> envelope, std::string text) {
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    std::string wire;
    encoder.encode(text, wire);
    encoder.finish(wire);
    auto incoming = delivery.begin(std::move(envelope), wire.size());
    if (auto written = co_await incoming->write(wire); !written) co_return std::unexpected(std::move(written.error()));
    auto verdicts = co_await incoming->finish(encoder.sizes());
    if (!verdicts) co_return std::unexpected(std::move(verdicts.error()));
    if (!verdicts->front().stored()) co_return std::unexpected(std::move(verdicts->front()));
    co_return std::expected<void, delivery::Verdict>();
}

}  // namespace

Task<Result<>> send(delivery::Delivery& delivery, std::string hostname, Report report, Timestamp now) {
    const auto original = report.message.id;
    auto& to = report.message.sender;
    auto dropped = [&](std::string_view why) {
        log::warning("outbound.report_dropped", {{"id", original}, {"to", to}, {"reason", why}});
        return Result<>();
    };
    auto address = mail::parse_address(to, mail::Grammar::tolerant);
    if (!address) co_return dropped("the sender is no address");
    auto resolution = co_await delivery.resolve(*address);
    if (!resolution && resolution.error().code() == Errc::invalid) co_return dropped("the sender is no address");
    if (!resolution) co_return pass_on(resolution);
    auto envelope = std::make_shared<delivery::Envelope>();
    using Kind = directory::Resolution::Kind;
    switch (resolution->kind) {
        case Kind::accounts: envelope->add(to, *resolution, delivery.mailbox_in(*resolution)); break;
        case Kind::unknown_domain:
            to = delivery::address_elsewhere(*address);
            envelope->add_away(to, {.address = to});
            break;
        case Kind::unknown_user: co_return dropped("there is no such user here");
        case Kind::disabled: co_return dropped("the sender's account is disabled");
        case Kind::loop: co_return dropped("the sender's aliases lead in a circle");
    }
    const auto id = random_text(queue::kIdLength);
    envelope->ours = true;
    envelope->tls = report.message.tls;  // RFC 8689 s5
    envelope->received.by = hostname;
    envelope->received.with = "LMTP";  // the same path; a server's own mail has no name among the keywords
    envelope->received.id = id;
    auto sent = co_await hand_over(delivery, envelope, compose(report, hostname, id, now));
    const auto is_refused = [&] { return !sent && sent.error().kind != delivery::Verdict::Kind::deferred; };
    if (is_refused() && !report.content.empty()) {  // too large, perhaps: what became of the message matters more
        report.content.clear();
        report.whole = false;
        sent = co_await hand_over(delivery, envelope, compose(report, hostname, id, now));
    }
    if (is_refused()) co_return dropped(sent.error().text);
    if (!sent) co_return std::unexpected(delivery::error_of(sent.error()));
    log::info("outbound.reported", {{"id", original}, {"to", to}, {"report", id}, {"action", action_of(report.kind)}});
    co_return Result<>();
}

}  // namespace poplar::outbound
