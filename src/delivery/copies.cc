// Files each account's copy by its filter, into the mailbox for junk, or where the recipient says, and makes the
// recipients' verdicts of what came of it.
#include "delivery/copies.h"

#include <algorithm>

#include "base/log.h"
#include "delivery/gather.h"
#include "delivery/junk_release.h"
#include "mail/downgrade.h"
#include "mail/release_address.h"
#include "mail/trace.h"

namespace poplar::delivery {

namespace {

constexpr std::string_view kJunk = "Junk";

}  // namespace

std::uint64_t ascii_octets(std::string_view head, const CheckedMessage& message) {
    mail::Downgrader in_head;
    in_head.feed(head);
    in_head.finish();
    if (!in_head.needed() && !message.needs_downgrade) return 0;
    return head.size() + message.content.octets + static_cast<std::uint64_t>(in_head.growth() + message.growth);
}

std::vector<Copy> copies_of(const Envelope& envelope) {
    std::vector<Copy> copies;
    std::map<directory::AccountId, std::size_t> seen;
    for (std::size_t i = 0; i < envelope.recipients.size(); ++i)
        for (auto account : envelope.accounts_of(envelope.recipients[i]))
            if (seen.emplace(account, copies.size()).second) copies.push_back({account, i});
    return copies;
}

// The head

// RFC 5321 s4.4: the Return-Path stands at the very top. A Return-Path that came with the message stays where it
// is: removing it is only a MAY, and would change octets that the sender may have signed.
std::string Copies::head_for(const Recipient& recipient) const {
    return mail::format_return_path(envelope_->reverse_path) + mail::format_delivered_to(recipient.address) +
           message_.results + mail::format_received(envelope_->received) + message_.added;
}

// Room

std::expected<void, Verdict> Copies::claim_room() {
    if (!envelope_->room.empty()) find_refused();
    if (refused_.empty()) return {};
    // A copy that leaves by an alias of a refused recipient must not leave again when its sender tries again.
    if (envelope_->replies == Replies::one || !envelope_->away.empty()) return std::unexpected(one_verdict());
    leave_out_refused();
    return {};
}

/// The accounts in which the message has no room after all, and why. What was kept for it is enough, unless nobody
/// knew how large it is, or the sender said less.
void Copies::find_refused() {
    for (const auto& room : envelope_->room) {
        const auto copy = std::ranges::find(wanted_, room->account(), &Copy::account);
        if (copy == wanted_.end()) continue;
        const auto octets = head_for(envelope_->recipients[copy->recipient]).size() + message_.content.octets;
        if (auto claimed = room->claim(octets); !claimed) refused_.emplace(copy->account, verdict_of(claimed.error()));
    }
}

/// Null: none of the recipient's accounts refuses it.
const Verdict* Copies::refusal_of(const Recipient& recipient) const {
    for (auto account : envelope_->accounts_of(recipient))
        if (auto found = refused_.find(account); found != refused_.end()) return &found->second;
    return nullptr;
}

/// The one for all recipients. If some of them have room, the sender is to come again and not to give up: then RCPT
/// tells it which have none.
Verdict Copies::one_verdict() const {
    auto verdict = refused_.begin()->second;
    const auto has_room = [&](const Recipient& recipient) { return refusal_of(recipient) == nullptr; };
    if (std::ranges::any_of(envelope_->recipients, has_room)) verdict.kind = Verdict::Kind::full;
    return verdict;
}

/// An account that only refused recipients lead to does not get the message: their sender is told so. Another gets
/// it by the first recipient that is not refused.
void Copies::leave_out_refused() {
    std::map<directory::AccountId, std::size_t> accepted;
    for (std::size_t i = 0; i < envelope_->recipients.size(); ++i)
        if (!refusal_of(envelope_->recipients[i]))
            for (auto account : envelope_->accounts_of(envelope_->recipients[i])) accepted.emplace(account, i);
    std::erase_if(wanted_, [&](const Copy& copy) { return !accepted.contains(copy.account); });
    for (auto& copy : wanted_) copy.recipient = accepted.at(copy.account);
}

// Storing

Task<std::vector<Verdict>> Copies::store() {
    std::vector<Task<Result<Delivered>>> appends;
    for (const auto& copy : wanted_) appends.push_back(deliver(copy));
    auto stored = co_await gather(std::move(appends));
    envelope_->room.clear();
    std::map<directory::AccountId, const Error*> failed;
    std::map<std::size_t, std::string> rejected;  // by recipient: such a one leads to no other account
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
        if (!stored[i]) failed[wanted_[i].account] = &stored[i].error();
        if (stored[i] && stored[i]->rejected) rejected[wanted_[i].recipient] = std::move(*stored[i]->rejected);
    }

    std::vector<Verdict> verdicts;
    for (const auto& recipient : envelope_->recipients) {
        const auto* full = refusal_of(recipient);
        verdicts.push_back(full ? *full : verdict_on(recipient, failed));
    }
    for (auto& [recipient, reason] : rejected)
        verdicts[recipient] = {.kind = Verdict::Kind::rejected, .text = std::move(reason)};
    co_return verdicts;
}

/// Whether a sender who is told that one recipient refused does not take it for all of them. LMTP has a reply for
/// each (RFC 2033 s4.2).
bool Copies::may_reject(const Recipient& recipient) const {
    const bool told_alone = envelope_->recipients.size() == 1 || envelope_->replies == Replies::each;
    if (recipient.count != 1 || recipient.away || !told_alone) return false;
    const auto account = envelope_->accounts_of(recipient).front();
    return std::ranges::count(envelope_->accounts, account) == 1;
}

/// By the account's filter, if it has one.
Task<Result<Copies::Delivered>> Copies::deliver(Copy copy) {
    if (const auto& to = envelope_->recipients[copy.recipient].address; mail::parse_release_address(to)) {
        auto released = co_await release_junk(store_, copy.account, to);
        if (!released) co_return pass_on(released);
        if (*released) {  // what was written to it says nothing more
            log::info("delivery.junk_released", {{"recipient", to}, {"messages", **released}});
            co_return Delivered();
        }
    }
    mailstore::NewMessage message{head_for(envelope_->recipients[copy.recipient]), message_.content, {}};
    message.ascii_octets = ascii_octets(message.head, message_);
    auto mailbox = envelope_->mailbox_of(copy.recipient);
    if (message_.junk && mailbox.empty()) {
        auto junk = co_await junk_mailbox(copy.account);
        if (!junk) co_return pass_on(junk);
        mailbox = std::move(*junk);
    }
    // What our own users submit is no junk by its score alone, as it gets no marks either.
    const bool submitted = envelope_->sending && envelope_->sending->submitter;
    if (const bool scored = message_.spam_percent && !submitted; !filter_.has_none(copy.account, scored)) {
        const auto address = co_await address_of(copy);
        auto chain = co_await filter_.scripts_of(copy.account, address.substr(address.rfind('@') + 1), scored);
        if (!chain) co_return pass_on(chain);
        if (!chain->empty())
            co_return co_await filter(copy, std::move(message), std::move(mailbox), std::move(*chain), address);
    }
    auto stored = co_await append(copy.account, std::move(message), std::move(mailbox));
    if (!stored) co_return pass_on(stored);
    co_return Delivered();
}

/// The account's own; if it was removed meanwhile, the recipient's.
Task<std::string> Copies::address_of(Copy copy) {
    auto account = co_await directory_.account(copy.account);
    if (account) co_return std::move(account->address);
    co_return envelope_->recipients[copy.recipient].address;
}

/// Its name. It is made if there is none; "": the account has as many mailboxes as it may.
Task<Result<std::string>> Copies::junk_mailbox(directory::AccountId account) {
    auto mailboxes = co_await store_.mailboxes(account);
    if (!mailboxes) co_return pass_on(mailboxes);
    for (const auto& one : *mailboxes)
        if (one.use == mailstore::SpecialUse::junk) co_return one.name;
    auto made = co_await store_.add_mailbox(account, std::string(kJunk), mailstore::SpecialUse::junk);
    if (made || made.error().code() == Errc::exists) co_return std::string(kJunk);
    if (made.error().code() == Errc::too_large) co_return std::string();
    co_return pass_on(made);
}

Task<Result<Copies::Delivered>> Copies::filter(Copy copy, mailstore::NewMessage message, std::string mailbox,
                                               Scripts::Chain chain, std::string address) {
    const auto& recipient = envelope_->recipients[copy.recipient];
    Filtered filtered{.account = copy.account,
                      .head = std::move(message.head),
                      .content = std::move(message.content),
                      .ascii_octets = message.ascii_octets,
                      .from = envelope_->reverse_path,
                      .to = recipient.address,
                      .address = std::move(address),
                      .helo = envelope_->received.helo,
                      .peer = envelope_->received.peer,
                      .host = envelope_->received.by,
                      .default_mailbox = std::move(mailbox),
                      .received = mail::format_received(envelope_->received) + message_.added,
                      .may_reject = may_reject(recipient),
                      .spam_percent = message_.spam_percent,
                      .tls = envelope_->tls,
                      .junk = message_.junk};
    for (const auto& room : envelope_->room)
        if (room->account() == copy.account) filtered.room = room;
    auto done = co_await filter_.deliver(std::move(filtered), std::move(chain));
    if (!done) co_return pass_on(done);
    co_return Delivered{std::move(done->rejected)};
}

Task<Result<mailstore::Message>> Copies::append(directory::AccountId account, mailstore::NewMessage message,
                                                std::string mailbox) {
    if (mailbox.empty()) return store_.append(account, std::move(message));
    return file(account, std::move(message), std::move(mailbox));
}

/// To the mailbox of this name; to INBOX if there is none, or it goes at this moment.
Task<Result<mailstore::Message>> Copies::file(directory::AccountId account, mailstore::NewMessage message,
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
Verdict Copies::verdict_on(const Recipient& recipient,
                           const std::map<directory::AccountId, const Error*>& failed) const {
    Verdict nobody{.kind = Verdict::Kind::gone, .text = "leads to no account"};
    bool stored = recipient.away;  // that is in the queue by now
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

}  // namespace poplar::delivery
