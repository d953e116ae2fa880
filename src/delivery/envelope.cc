// The envelope of a message: its recipients, and where each leads.
#include <algorithm>

#include "delivery/delivery.h"

namespace poplar::delivery {

namespace {

constexpr std::size_t kNoted = 100;  // octets, about, that quota/ notes of a reservation

}  // namespace

void Envelope::add(std::string address, std::span<const directory::AccountId> leads_to, std::string mailbox) {
    address_octets += address.size() + mailbox.size();
    if (!mailbox.empty() && leads_to.size() == 1)
        mailboxes.emplace_back(static_cast<std::uint32_t>(recipients.size()), std::move(mailbox));
    recipients.push_back(
        {std::move(address), static_cast<std::uint32_t>(accounts.size()), static_cast<std::uint32_t>(leads_to.size())});
    accounts.insert(accounts.end(), leads_to.begin(), leads_to.end());
}

void Envelope::add(std::string address, const directory::Resolution& resolution, std::string mailbox,
                   const Away& asked) {
    for (const auto& elsewhere : resolution.elsewhere) bring_away({elsewhere, asked.notify, asked.orcpt});
    add(std::move(address), resolution.accounts, std::move(mailbox));
    recipients.back().away = !resolution.elsewhere.empty();
}

void Envelope::add_away(std::string address, Away one) {
    bring_away(std::move(one));
    add(std::move(address), std::span<const directory::AccountId>());
    recipients.back().away = true;
}

// Many recipients may be aliases that lead to the same addresses: each gets the message once, as an account does.
void Envelope::bring_away(Away one) {
    const auto address_of = [this](std::uint32_t i) -> const std::string& { return away[i].address; };
    const auto place = std::ranges::lower_bound(away_order, one.address, {}, address_of);
    if (place != away_order.end() && away[*place].address == one.address) return;
    away_order.insert(place, static_cast<std::uint32_t>(away.size()));
    address_octets += one.address.size() + one.orcpt.size();
    away.push_back(std::move(one));
}

std::string Envelope::mailbox_of(std::size_t recipient) const {
    const auto found = std::ranges::lower_bound(mailboxes, recipient, {}, [](const auto& one) { return one.first; });
    return found != mailboxes.end() && found->first == recipient ? found->second : std::string();
}

std::size_t Envelope::memory() const {
    return address_octets + mailboxes.capacity() * sizeof(mailboxes[0]) + recipients.capacity() * sizeof(Recipient) +
           accounts.capacity() * sizeof(accounts[0]) + away.capacity() * sizeof(Away) +
           away_order.capacity() * sizeof(away_order[0]) + memory_of(room);
}

std::string address_elsewhere(const mail::Address& address) {
    const auto domain = mail::canonical_domain(address.domain);
    return mail::to_string({address.local, domain ? *domain : address.domain});
}

bool is_uncertain(const Room& room) {
    return std::ranges::any_of(room, [](const auto& one) { return one->uncertain(); });
}

std::size_t memory_of(const Room& room) {
    return room.capacity() * (sizeof(room[0]) + sizeof(quota::Reservation) + kNoted);
}

}  // namespace poplar::delivery
