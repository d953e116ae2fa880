#include "delivery/dispatch.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>
#include <cstring>

#include "base/random.h"
#include "delivery/delivery.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/field_writer.h"
#include "mail/wire_form.h"
#include "screening/signing.h"

namespace poplar::delivery {

namespace {

constexpr std::size_t kMostAuthors = 10;  // addresses in From of what a filter writes

}  // namespace

std::string departure_id(std::initializer_list<std::string_view> parts) {
    crypto_generichash_state state;
    std::array<unsigned char, 16> hash{};
    crypto_generichash_init(&state, nullptr, 0, hash.size());
    const auto add = [&](std::string_view text) {
        crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    };
    for (const auto part : parts) {
        add(fmt::format("{}:", part.size()));
        add(part);
    }
    crypto_generichash_final(&state, hash.data(), hash.size());
    std::uint64_t number = 0;
    std::memcpy(&number, hash.data(), sizeof number);
    return base32_text(number | std::uint64_t(1) << 63).substr(1, queue::kIdLength);
}

Task<Result<bool>> Dispatch::knows(std::string id) {
    auto found = co_await queue_->message(std::move(id));
    if (found) co_return true;
    if (found.error().code() == Errc::not_found) co_return false;
    co_return pass_on(found);
}

Task<Result<>> Dispatch::send(Departure departure) {
    if (!queue_) co_return fail(Errc::io, "there is no queue for mail that leaves");
    if (departure.content.key) co_return fail(Errc::io, "mail that leaves can't be stored encoded");
    queue::NewMessage entry;
    auto& message = entry.message;
    message.id = std::move(departure.id);
    message.sender = std::move(departure.sender);
    message.account = std::move(departure.account);
    message.ret = departure.ret;
    message.utf8 = departure.utf8 || mail::has_8bit(message.sender) || mail::has_8bit(departure.head);
    message.eight_bit = departure.eight_bit;
    message.tls = departure.tls;
    message.octets = departure.head.size() + departure.content.octets;
    entry.head = std::move(departure.head);
    entry.content = departure.content.staged;
    for (auto& address : departure.recipients) {
        if (auto parsed = mail::parse_address(address, mail::Grammar::tolerant)) address = address_elsewhere(*parsed);
        message.utf8 |= mail::has_8bit(address);
        queue::Recipient recipient;
        recipient.address = std::move(address);
        recipient.notify = departure.notify;
        entry.recipients.push_back(std::move(recipient));
    }
    co_return co_await queue_->add(std::move(entry));
}

Task<Result<std::string>> Dispatch::signatures(directory::AccountId account, std::string text) {
    if (!keys_ || keys_->empty()) co_return std::string();
    auto found = co_await directory_.account(account);
    if (!found && found.error().code() == Errc::not_found) co_return std::string();
    if (!found) co_return pass_on(found);
    const Submitter submitter{account, found->address, found->settings.may_send_as};
    const screening::Header header(text.substr(0, text.find("\r\n\r\n") + 2));
    const auto* from = header.only("from");
    const auto authors =
        from ? mail::parse_address_list(from->value(), kMostAuthors) : std::vector<mail::ListedAddress>();
    if (authors.empty()) co_return std::string();
    for (const auto& one : authors) {
        auto address = mail::to_address(one);
        if (!address) co_return std::string();
        auto may = co_await may_send_as(directory_, submitter, std::move(*address));
        if (!may) co_return pass_on(may);
        if (!*may) co_return std::string();
    }
    screening::MessageSigner signer(*keys_, clock_.now());
    std::string wire;
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    encoder.encode(text, wire);
    encoder.finish(wire);
    signer.feed(wire);
    signer.finish();
    co_return signer.fields("");
}

Task<Result<std::string>> Dispatch::sender_for(std::string sender) {
    // A domain has a form in ASCII (RFC 5891), which needs no SMTPUTF8 at the next server.
    if (mail::has_8bit(sender))
        if (auto address = mail::parse_address(sender, mail::Grammar::tolerant)) sender = address_elsewhere(*address);
    if (!srs_.enabled() || sender.empty()) co_return sender;
    auto address = mail::parse_address(sender, mail::Grammar::tolerant);
    if (!address) co_return sender;
    auto resolution = co_await directory_.resolve(*address);
    if (!resolution && resolution.error().code() != Errc::invalid) co_return pass_on(resolution);
    if (resolution && resolution->kind != directory::Resolution::Kind::unknown_domain) co_return sender;
    co_return srs_.wrap(sender, clock_.now());
}

}  // namespace poplar::delivery
