#include "sieve/compose.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "mail/downgrade_field.h"
#include "mail/field_writer.h"
#include "sieve/constants.h"

namespace poplar::sieve {

namespace {

std::string value_of(const std::vector<Field>& fields, std::string_view name) {
    for (const auto& field : fields)
        if (ascii::same(field.name, name)) return field.value();
    return {};
}

/// The value as it stands, for message ids: nothing of it is decoded.
std::string raw_of(const std::vector<Field>& fields, std::string_view name) {
    for (const auto& field : fields)
        if (ascii::same(field.name, name)) return field.unfolded();
    return {};
}

/// A body, whose last line has an end.
std::string body_of(std::string_view text) {
    auto out = with_crlf(text);
    if (!out.ends_with('\n')) out += "\r\n";
    return out;
}

std::string text_part(std::string_view text) {
    return fmt::format("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {}\r\n\r\n{}",
                       mail::has_8bit(text) ? "8bit" : "7bit", body_of(text));
}

/// Ids, folded between them.
std::string write_ids(std::string_view name, std::string_view ids) {
    mail::FieldWriter writer(fmt::format("{}:", name));
    writer.words(fmt::format(" {}", ids));
    return std::move(writer).finish();
}

}  // namespace

std::string memory_key(std::string_view kind, std::initializer_list<std::string_view> parts) {
    std::string counted;
    for (const auto part : parts) counted += fmt::format("{}:{}", part.size(), part);
    std::array<unsigned char, 20> hash;
    crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(counted.data()), counted.size(),
                       nullptr, 0);
    std::string out = fmt::format("sieve/{}/", kind);
    for (const auto octet : hash) out += fmt::format("{:02x}", octet);
    return out;
}

bool is_one_address(std::string_view text) { return parse_one_address(text).has_value(); }

std::string write_address_field(std::string_view name, std::string_view addresses) {
    std::string one_line(addresses);
    std::erase_if(one_line, [](char c) { return c == '\r' || c == '\n'; });
    auto field = fmt::format("{}: {}\r\n", name, one_line);
    return mail::has_8bit(field) ? mail::downgrade_field(field) : field;
}

std::string compose_answer(const Answer& answer, const std::vector<Field>& to_message) {
    std::string out = write_address_field("From", answer.from);
    out += write_address_field("To", answer.to);
    out += fmt::format("Date: {}\r\nMessage-ID: {}\r\n", answer.date, answer.id);
    out += write_field("Subject", answer.subject);
    if (const auto id = raw_of(to_message, "message-id"); !id.empty()) {
        out += write_ids("In-Reply-To", id);
        auto references = raw_of(to_message, "references");
        if (references.empty()) references = raw_of(to_message, "in-reply-to");
        if (!references.empty()) references += ' ';
        constexpr std::size_t kMostReferences = 2000;
        if (references.size() > kMostReferences)
            references.erase(0, std::min(references.find('<', references.size() - kMostReferences), references.size()));
        out += write_ids("References", references + id);
    }
    out += "Auto-Submitted: auto-replied (vacation)\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n";
    out += answer.mime ? body_of(answer.reason) : text_part(answer.reason);
    return out;
}

// RFC 8098 s3: a human part, the disposition, and the header of what was rejected.
std::string compose_rejection(const Rejection& rejection, const std::vector<Field>& rejected) {
    const auto boundary = fmt::format("rejected-{}", memory_key("", {rejection.id}).substr(7, 24));
    std::string out = fmt::format("From: {}\r\n", rejection.owner);
    out += write_address_field("To", rejection.sender);
    out += fmt::format("Date: {}\r\nMessage-ID: {}\r\n", rejection.date, rejection.id);
    out += write_field("Subject", "Automatically rejected mail");
    if (const auto id = raw_of(rejected, "message-id"); !id.empty()) out += write_ids("In-Reply-To", id);
    out += fmt::format(
        "Auto-Submitted: auto-replied (rejected)\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary=\"{}\"\r\n\r\n--{}\r\n",
        boundary, boundary);
    out += text_part(fmt::format("Your message was refused by the recipient's mail filter. The reason given is:\n\n{}",
                                 rejection.reason));
    out += fmt::format(
        "\r\n--{}\r\nContent-Type: message/disposition-notification\r\n\r\n"
        "Reporting-UA: {}; Poplar\r\nFinal-Recipient: rfc822; {}\r\n",
        boundary, rejection.host, rejection.recipient);
    if (const auto id = raw_of(rejected, "message-id"); !id.empty())
        out += fmt::format("Original-Message-ID: {}\r\n", id);
    out += fmt::format(
        "Disposition: automatic-action/MDN-sent-automatically; deleted\r\n\r\n--{}\r\n"
        "Content-Type: text/rfc822-headers\r\n\r\n",
        boundary);
    for (const auto& field : rejected) {
        out += field.raw;
        if (!out.ends_with('\n')) out += "\r\n";
    }
    return out += fmt::format("\r\n--{}--\r\n", boundary);
}

std::string compose_notification(const Notification& notification, const NotifyMethod& method,
                                 const std::vector<Field>& about) {
    const auto list = [](const std::vector<mail::Address>& addresses) {
        std::string out;
        for (const auto& one : addresses) out += (out.empty() ? "" : ", ") + mail::to_string(one);
        return out;
    };
    std::string out = fmt::format("Auto-Submitted: auto-notified; owner-email=\"{}\"\r\n", notification.owner);
    out += write_address_field("From", notification.from);
    if (!method.to.empty()) out += write_address_field("To", list(method.to));
    if (!method.cc.empty()) out += write_address_field("Cc", list(method.cc));
    out += fmt::format("Date: {}\r\nMessage-ID: {}\r\n", notification.date, notification.id);
    const auto subject = !notification.message.empty() ? notification.message
                         : method.has_subject          ? method.subject
                                                       : value_of(about, "subject");
    out += write_field("Subject", subject);
    if (const auto id = raw_of(about, "message-id"); !id.empty()) out += write_ids("References", id);
    if (notification.importance == "1") out += "Importance: high\r\nX-Priority: 1\r\n";
    if (notification.importance == "3") out += "Importance: low\r\nX-Priority: 5\r\n";
    for (const auto& [name, value] : method.fields) out += write_field(name, value);
    out += "MIME-Version: 1.0\r\n";
    return out += text_part(method.body);
}

}  // namespace poplar::sieve
