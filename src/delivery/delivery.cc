// Takes a message in, checks it against the limits, and appends it to each recipient's mailbox.
#include "delivery/delivery.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "delivery/gather.h"
#include "mail/downgrade.h"
#include "mail/header_mender.h"

namespace poplar::delivery {

namespace {

constexpr std::uint64_t kMostTrace = 4000;  // octets, about, of what a delivery puts on top, with the longest names
constexpr std::size_t kNoted = 100;         // octets, about, that quota/ notes of a reservation

// A line has at least three octets (".", CRLF) when stuffing adds one to it.
constexpr std::uint64_t most_wire_octets(std::uint64_t octets) { return octets + octets / 3 + 4; }

/// Where one account's copy comes from: the first recipient that leads to it names it in Delivered-To.
struct Copy {
    directory::AccountId account;
    std::size_t recipient;
};

class IncomingMessage final : public Incoming {
public:
    IncomingMessage(std::shared_ptr<Envelope> envelope, std::unique_ptr<mailstore::ContentWriter> writer,
                    mailstore::MailStore& store, const Clock& clock, Limits limits)
        : envelope_(std::move(envelope)), writer_(std::move(writer)), store_(store), clock_(clock), limits_(limits) {
        // RFC 5321 s7.6: `for` would tell one recipient of the others.
        const auto& to = envelope_->recipients;
        envelope_->received.recipient = to.size() == 1 ? to.front().address : "";
    }

    std::span<char> room() override { return writer_->room(); }

    Task<std::expected<void, Verdict>> write(std::string_view wire) override {
        wire_octets_ += wire.size();
        if (wire_octets_ > most_wire_octets(limits_.message_octets)) co_return too_large();
        if (const auto& header = mender_.header(); !header.in_body()) {
            wire = mender_.pass(wire);
            if (header.header_octets() > limits_.header_octets || header.field_count() > limits_.header_fields)
                co_return refuse(Verdict::Kind::bad_header, fmt::format("header of {} fields, {} octets",
                                                                        header.field_count(), header.header_octets()));
        }
        downgrader_.feed(wire);
        if (auto written = co_await writer_->write(wire); !written) co_return failed(written.error());
        co_return std::expected<void, Verdict>();
    }

    Task<std::expected<std::vector<Verdict>, Verdict>> finish(mail::WireSizes sizes) override {
        if (sizes.octets > limits_.message_octets) co_return too_large();
        if (mender_.header().received_count() > limits_.hops)  // RFC 5321 s6.3
            co_return refuse(Verdict::Kind::loop, fmt::format("{} Received fields", mender_.header().received_count()));
        if (const auto rest = mender_.finish(); !rest.empty()) {
            downgrader_.feed(rest);
            if (auto written = co_await writer_->write(rest); !written) co_return failed(written.error());
        }
        auto wanted = copies();
        auto content = co_await writer_->finish(sizes.octets + mender_.added(), wanted.size());
        if (!content) co_return failed(content.error());
        downgrader_.finish();
        envelope_->received.time = clock_.now();
        co_return co_await store(std::move(wanted), std::move(*content));
    }

private:
    static std::unexpected<Verdict> refuse(Verdict::Kind kind, std::string text) {
        return std::unexpected(Verdict{.kind = kind, .text = std::move(text)});
    }
    static std::unexpected<Verdict> failed(const Error& error) { return std::unexpected(verdict_of(error)); }
    std::unexpected<Verdict> too_large() const {
        return refuse(Verdict::Kind::too_large, fmt::format("over {} octets", limits_.message_octets));
    }

    // RFC 5321 s4.4: the Return-Path stands at the very top. A Return-Path that came with the message stays where it
    // is: removing it is only a MAY, and would change octets that the sender may have signed.
    std::string head_for(const Recipient& recipient) const {
        return mail::format_return_path(envelope_->reverse_path) + mail::format_delivered_to(recipient.address) +
               mail::format_received(envelope_->received);
    }

    /// NewMessage::ascii_octets.
    std::uint64_t ascii_octets(std::string_view head, std::uint64_t content_octets) const {
        mail::Downgrader in_head;
        in_head.feed(head);
        in_head.finish();
        if (!in_head.needed() && !downgrader_.needed()) return 0;
        return head.size() + content_octets + static_cast<std::uint64_t>(in_head.growth() + downgrader_.growth());
    }

    std::vector<Copy> copies() const {
        std::vector<Copy> copies;
        std::map<directory::AccountId, std::size_t> seen;
        for (std::size_t i = 0; i < envelope_->recipients.size(); ++i)
            for (auto account : envelope_->accounts_of(envelope_->recipients[i]))
                if (seen.emplace(account, copies.size()).second) copies.push_back({account, i});
        return copies;
    }

    /// The accounts in which the message has no room after all, and why. What was kept for it is enough, unless nobody
    /// knew how large it is, or the sender said less.
    std::map<directory::AccountId, Verdict> without_room(const std::vector<Copy>& wanted,
                                                         std::uint64_t content_octets) const {
        std::map<directory::AccountId, Verdict> refused;
        for (const auto& room : envelope_->room) {
            const auto copy = std::ranges::find(wanted, room->account(), &Copy::account);
            if (copy == wanted.end()) continue;
            const auto octets = head_for(envelope_->recipients[copy->recipient]).size() + content_octets;
            if (auto claimed = room->claim(octets); !claimed)
                refused.emplace(copy->account, verdict_of(claimed.error()));
        }
        return refused;
    }

    Task<std::expected<std::vector<Verdict>, Verdict>> store(std::vector<Copy> wanted, mailstore::Content content) {
        std::map<directory::AccountId, Verdict> refused;
        if (!envelope_->room.empty()) refused = without_room(wanted, content.octets);
        if (!refused.empty()) {
            if (envelope_->replies == Replies::one) co_return std::unexpected(one_verdict(refused));
            leave_out(wanted, refused);
        }
        std::vector<Task<Result<mailstore::Message>>> appends;
        for (const auto& copy : wanted) {
            mailstore::NewMessage message{head_for(envelope_->recipients[copy.recipient]), content, {}};
            message.ascii_octets = ascii_octets(message.head, content.octets);
            auto mailbox = envelope_->mailbox_of(copy.recipient);
            if (mailbox.empty())
                appends.push_back(store_.append(copy.account, std::move(message)));
            else
                appends.push_back(file(copy.account, std::move(message), std::move(mailbox)));
        }
        auto stored = co_await gather(std::move(appends));
        envelope_->room.clear();
        std::map<directory::AccountId, const Error*> failed;
        for (std::size_t i = 0; i < wanted.size(); ++i)
            if (!stored[i]) failed[wanted[i].account] = &stored[i].error();

        std::vector<Verdict> verdicts;
        for (const auto& recipient : envelope_->recipients) {
            const auto* full = refusal_of(recipient, refused);
            verdicts.push_back(full ? *full : verdict_on(recipient, failed));
        }
        co_return verdicts;
    }

    /// Null: none of the recipient's accounts refuses it.
    const Verdict* refusal_of(const Recipient& recipient,
                              const std::map<directory::AccountId, Verdict>& refused) const {
        for (auto account : envelope_->accounts_of(recipient))
            if (auto found = refused.find(account); found != refused.end()) return &found->second;
        return nullptr;
    }

    /// The one for all recipients. If some of them have room, the sender is to come again and not to give up: then RCPT
    /// tells it which have none.
    Verdict one_verdict(const std::map<directory::AccountId, Verdict>& refused) const {
        auto verdict = refused.begin()->second;
        const auto has_room = [&](const Recipient& recipient) { return refusal_of(recipient, refused) == nullptr; };
        if (std::ranges::any_of(envelope_->recipients, has_room)) verdict.kind = Verdict::Kind::full;
        return verdict;
    }

    /// An account that only refused recipients lead to does not get the message: their sender is told so. Another gets
    /// it by the first recipient that is not refused.
    void leave_out(std::vector<Copy>& wanted, const std::map<directory::AccountId, Verdict>& refused) const {
        std::map<directory::AccountId, std::size_t> accepted;
        for (std::size_t i = 0; i < envelope_->recipients.size(); ++i)
            if (!refusal_of(envelope_->recipients[i], refused))
                for (auto account : envelope_->accounts_of(envelope_->recipients[i])) accepted.emplace(account, i);
        std::erase_if(wanted, [&](const Copy& copy) { return !accepted.contains(copy.account); });
        for (auto& copy : wanted) copy.recipient = accepted.at(copy.account);
    }

    /// To the mailbox of this name; to INBOX if there is none, or it goes at this moment.
    Task<Result<mailstore::Message>> file(directory::AccountId account, mailstore::NewMessage message,
                                          std::string name) {
        auto mailbox = co_await store_.mailbox(account, std::move(name));
        const auto missing = [](const auto& result) {
            return !result && (result.error().code() == Errc::not_found || result.error().code() == Errc::invalid);
        };
        if (!mailbox && !missing(mailbox)) co_return pass_on(mailbox);
        if (mailbox && mailbox->id != mailstore::kInbox) {
            message.mailbox = mailbox->id;
            auto filed = co_await store_.append(account, message);
            if (!missing(filed)) co_return filed;
            message.mailbox = mailstore::kInbox;
        }
        co_return co_await store_.append(account, std::move(message));
    }

    // Accounts that were removed since the recipient was resolved are left out of its verdict, unless none is left.
    Verdict verdict_on(const Recipient& recipient, const std::map<directory::AccountId, const Error*>& failed) const {
        Verdict nobody{.kind = Verdict::Kind::gone, .text = "leads to no account"};
        bool stored = false;
        for (auto account : envelope_->accounts_of(recipient)) {
            auto found = failed.find(account);
            if (found == failed.end())
                stored = true;
            else if (found->second->code() == Errc::not_found)
                nobody = verdict_of(*found->second);
            else
                return verdict_of(*found->second);
        }
        return stored ? Verdict() : nobody;
    }

    std::shared_ptr<Envelope> envelope_;
    std::unique_ptr<mailstore::ContentWriter> writer_;
    mailstore::MailStore& store_;
    const Clock& clock_;
    Limits limits_;
    mail::HeaderMender mender_;
    mail::Downgrader downgrader_;
    std::uint64_t wire_octets_ = 0;
};

}  // namespace

void Envelope::add(std::string address, std::span<const directory::AccountId> leads_to, std::string mailbox) {
    address_octets += address.size() + mailbox.size();
    if (!mailbox.empty() && leads_to.size() == 1)
        mailboxes.emplace_back(static_cast<std::uint32_t>(recipients.size()), std::move(mailbox));
    recipients.push_back(
        {std::move(address), static_cast<std::uint32_t>(accounts.size()), static_cast<std::uint32_t>(leads_to.size())});
    accounts.insert(accounts.end(), leads_to.begin(), leads_to.end());
}

std::string Envelope::mailbox_of(std::size_t recipient) const {
    const auto found = std::ranges::lower_bound(mailboxes, recipient, {}, [](const auto& one) { return one.first; });
    return found != mailboxes.end() && found->first == recipient ? found->second : std::string();
}

std::size_t Envelope::memory() const {
    return address_octets + mailboxes.capacity() * sizeof(mailboxes[0]) + recipients.capacity() * sizeof(Recipient) +
           accounts.capacity() * sizeof(accounts[0]) + memory_of(room);
}

bool is_uncertain(const Room& room) {
    return std::ranges::any_of(room, [](const auto& one) { return one->uncertain(); });
}

std::size_t memory_of(const Room& room) {
    return room.capacity() * (sizeof(room[0]) + sizeof(quota::Reservation) + kNoted);
}

Delivery::Delivery(directory::Directory& directory, mailstore::MailStore& store, quota::Quotas& quotas,
                   const Clock& clock, Limits limits)
    : directory_(directory), store_(store), quotas_(quotas), clock_(clock), limits_(limits) {}

Task<Result<directory::Resolution>> Delivery::resolve(mail::Address address) {
    return directory_.resolve(std::move(address));
}

quota::Need Delivery::need(std::optional<std::uint64_t> size) const {
    return {.octets = size, .trace = kMostTrace, .most = limits_.message_octets};
}

Task<std::expected<Room, Verdict>> Delivery::admit(directory::Resolution resolution, std::optional<std::uint64_t> size,
                                                   RoomView kept, quota::Binding binding) {
    Room room;
    std::set<directory::AccountId> have_room;
    for (const auto& one : kept) have_room.insert(one->account());
    for (std::size_t i = 0; i < resolution.bounds.size(); ++i) {
        if (!resolution.bounds[i] || have_room.contains(resolution.accounts[i])) continue;
        auto outcome = co_await quotas_.reserve(resolution.accounts[i], resolution.bounds[i], need(size), binding);
        if (!outcome) co_return std::unexpected(verdict_of(outcome.error()));
        if (!*outcome) co_return std::unexpected(verdict_of(outcome->error()));
        room.push_back(std::make_shared<quota::Reservation>(std::move(**outcome)));
    }
    co_return room;
}

Task<std::expected<void, Verdict>> Delivery::would_admit(directory::Resolution resolution,
                                                         std::optional<std::uint64_t> size) {
    for (std::size_t i = 0; i < resolution.bounds.size(); ++i) {
        if (!resolution.bounds[i]) continue;
        auto full = co_await quotas_.ask(resolution.accounts[i], resolution.bounds[i], need(size));
        if (!full) co_return std::unexpected(verdict_of(full.error()));
        if (*full) co_return std::unexpected(verdict_of(**full));
    }
    co_return std::expected<void, Verdict>();
}

std::unique_ptr<Incoming> Delivery::begin(std::shared_ptr<Envelope> envelope, std::uint64_t size_hint) {
    for (const auto& one : envelope->room) one->begin();
    return std::make_unique<IncomingMessage>(std::move(envelope), store_.stage(size_hint), store_, clock_, limits_);
}

}  // namespace poplar::delivery
