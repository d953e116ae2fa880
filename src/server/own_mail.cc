#include "server/own_mail.h"

#include <fmt/format.h>

#include <array>

#include "admin/names.h"
#include "auth/device_password.h"
#include "auth/device_uses.h"
#include "auth/second_code.h"
#include "base/random.h"
#include "mail/trace.h"
#include "mail/wire_form.h"

namespace poplar::server {

namespace {

/// RFC 5322; RFC 3834 s5: Auto-Submitted, so that nobody's vacation message answers.
std::string compose(const auth::NewSite& site, const std::string& hostname, const std::string& id) {
    const auto domain = site.address.substr(site.address.rfind('@') + 1);
    const auto date = mail::format_date(site.time);
    return fmt::format(
        "Date: {date}\n"
        "From: Mail server <postmaster@{domain}>\n"
        "To: <{address}>\n"
        "Message-ID: <{id}@{hostname}>\n"
        "Subject: Login from a new network: {network}\n"
        "Auto-Submitted: auto-generated\n"
        "MIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\n"
        "\n"
        "Somebody with the right password wanted to log in to {address}\n"
        "by {protocol}, from {peer} (network {network}),\n"
        "at {date}. The login was refused, because nobody\n"
        "has accepted this network yet.\n"
        "\n"
        "If it was you: type this behind your password, once, in the mail program\n"
        "that was refused:\n"
        "\n"
        "    {code}\n"
        "\n"
        "For example, the password \"secret\" is typed as \"secret{code}\". After that\n"
        "the password alone is enough there. The code is good for a day.\n"
        "\n"
        "If it was not you: somebody knows your password. Do not use the code, change\n"
        "the password, and tell the administrator of this server.\n",
        fmt::arg("date", date), fmt::arg("hostname", hostname), fmt::arg("domain", domain),
        fmt::arg("address", site.address), fmt::arg("id", id), fmt::arg("network", site.network),
        fmt::arg("protocol", auth::to_string(site.service)), fmt::arg("peer", site.peer),
        fmt::arg("code", auth::grouped_code(site.code)));
}

/// The same, about a deletion.
std::string compose(const activity::Deletion& deletion, std::uint64_t kept_twice, const std::string& hostname,
                    const std::string& id) {
    const auto& origin = deletion.origin;
    const auto device = origin.device ? auth::to_text(*origin.device) : std::string("none");
    const auto by = origin.device ? fmt::format("the device \"{}\" ({})", origin.device_name, device)
                                  : std::string("somebody with the account's own password");
    return fmt::format(
        "Date: {date}\n"
        "From: Mail server <postmaster@{domain}>\n"
        "To: <{address}>\n"
        "Message-ID: <{id}@{hostname}>\n"
        "Subject: {messages} messages were deleted from your mailbox\n"
        "Auto-Submitted: auto-generated\n"
        "MIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\n"
        "\n"
        "{messages} of {before} messages were deleted from the mailbox of\n"
        "{address}\n"
        "by {by},\n"
        "from {peer}, until {date}.\n"
        "More than half of the mailbox went within an hour, and that never\n"
        "happened from there before.\n"
        "\n"
        "If it was you, there is nothing to do.\n"
        "\n"
        "If it was not you, nothing is lost yet: {kept} deleted messages are kept,\n"
        "twice as long as usual. Ask the administrator of this server to bring them\n"
        "back, and to revoke the device or set a new password. The commands are:\n"
        "\n"
        "    poplar mail restore {address} \\\n"
        "        --since {since} --until {until} --device {device}\n"
        "    poplar activity {address}\n",
        fmt::arg("messages", deletion.messages), fmt::arg("before", deletion.before),
        fmt::arg("address", deletion.address), fmt::arg("by", by), fmt::arg("peer", origin.peer),
        fmt::arg("date", mail::format_date(deletion.ended)),
        fmt::arg("domain", deletion.address.substr(deletion.address.rfind('@') + 1)), fmt::arg("hostname", hostname),
        fmt::arg("id", id), fmt::arg("kept", kept_twice), fmt::arg("since", admin::time_text(deletion.begun)),
        fmt::arg("until", admin::time_text(deletion.ended)), fmt::arg("device", device));
}

Task<Result<>> deliver(delivery::Delivery& delivery, std::string hostname, directory::AccountId account,
                       std::string address, std::string text) {
    auto envelope = std::make_shared<delivery::Envelope>();
    const std::array accounts{account};
    envelope->add(address, accounts);
    envelope->received.by = std::move(hostname);
    envelope->received.with = "LMTP";  // the same path; a server's own mail has no name among the keywords
    envelope->received.id = random_text(12);
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    std::string wire;
    encoder.encode(text, wire);
    encoder.finish(wire);
    // Limits don't stop it, but it counts, and brings the account up to the next warning perhaps.
    auto parsed = mail::parse_address(address);
    if (parsed) {
        auto resolution = co_await delivery.resolve(std::move(*parsed));
        if (resolution && resolution->accounts == std::vector{account}) {
            auto room = co_await delivery.admit(std::move(*resolution), wire.size(), {}, quota::Binding::none);
            if (room) envelope->room = std::move(*room);
        }
    }
    auto incoming = delivery.begin(std::move(envelope), wire.size());
    if (auto written = co_await incoming->write(wire); !written)
        co_return std::unexpected(delivery::error_of(written.error()));
    auto verdicts = co_await incoming->finish(encoder.sizes());
    if (!verdicts) co_return std::unexpected(delivery::error_of(verdicts.error()));
    if (!verdicts->front().stored()) co_return std::unexpected(delivery::error_of(verdicts->front()));
    co_return Result<>();
}

}  // namespace

Task<Result<>> deliver_new_site_mail(delivery::Delivery& delivery, std::string hostname, auth::NewSite site) {
    auto text = compose(site, hostname, random_text(20));
    return deliver(delivery, std::move(hostname), site.account, site.address, std::move(text));
}

Task<Result<>> deliver_quota_mail(delivery::Delivery& delivery, quota::Notice notice) {
    notice.id = random_text(20);
    auto text = quota::compose(notice);
    return deliver(delivery, notice.hostname, notice.reached.account, notice.address, std::move(text));
}

Task<Result<>> deliver_unusual_deletion_mail(delivery::Delivery& delivery, std::string hostname,
                                             activity::Deletion deletion, std::uint64_t kept_twice) {
    auto text = compose(deletion, kept_twice, hostname, random_text(20));
    return deliver(delivery, std::move(hostname), deletion.account, deletion.address, std::move(text));
}

}  // namespace poplar::server
