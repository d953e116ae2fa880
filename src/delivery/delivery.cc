// Takes a message in, checks it against the limits, and appends it to each recipient's mailbox.
#include "delivery/delivery.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/random.h"
#include "delivery/gather.h"
#include "delivery/greylist.h"
#include "delivery/header_edits.h"
#include "delivery/signing.h"
#include "mail/address_list.h"
#include "mail/downgrade.h"
#include "mail/field_writer.h"
#include "mail/header_mender.h"
#include "mail/submission_filter.h"
#include "mail/tls_required.h"
#include "screening/arc.h"
#include "screening/screener.h"
#include "screening/signing.h"

namespace poplar::delivery {

namespace {

constexpr std::uint64_t kMostTrace = 4000;  // octets, about, of what a delivery puts on top, with the longest names
constexpr std::size_t kMostAuthors = 100;   // addresses of From, and of Sender

constexpr std::string_view kJunk = "Junk";

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
                    mailstore::MailStore& store, directory::Directory& directory, Filter& filter, Dispatch& dispatch,
                    const Clock& clock, const Limits& limits, queue::Queue* queue,
                    const std::vector<Inspector*>& inspectors, const screening::KeyRing* ring,
                    const screening::Screener* screener, Greylist* greylist, SentCopies& sent)
        : envelope_(std::move(envelope)),
          writer_(std::move(writer)),
          store_(store),
          directory_(directory),
          filter_(filter),
          dispatch_(dispatch),
          clock_(clock),
          limits_(limits),
          queue_(queue),
          inspectors_(inspectors),
          ring_(ring),
          greylist_(greylist),
          sent_(sent) {
        if (submitter()) submitted_.emplace();
        keeps_copy_ = submitter() && sent_.wants(*submitter());
        // Mail that only passes here is nobody's of ours, whatever its From says.
        if (ring && !ring->empty() && !envelope_->away.empty() && (submitter() || envelope_->ours))
            signer_ = std::make_unique<screening::MessageSigner>(*ring, clock.now());
        if (screener && screener->options().any() && envelope_->stranger && !submitter() &&
            !envelope_->received.peer.empty())
            checks_ = std::make_unique<Checks>(*screener, *envelope_);
        if (!envelope_->away.empty() && envelope_->tls != queue::TlsWish::required) tls_required_.emplace();
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
        if (submitted_ && !submitted_->in_body()) wire = submitted_->pass(wire);
        if (checks_) wire = checks_->pass(wire);
        co_return co_await keep(wire);
    }

    Task<std::expected<std::vector<Verdict>, Verdict>> finish(mail::WireSizes sizes) override {
        if (sizes.octets > limits_.message_octets) co_return too_large();
        if (mender_.header().received_count() > limits_.hops)  // RFC 5321 s6.3
            co_return refuse(Verdict::Kind::loop, fmt::format("{} Received fields", mender_.header().received_count()));
        if (auto rest = mender_.finish(); !rest.empty()) {
            if (submitted_ && !submitted_->in_body()) rest = submitted_->pass(rest);
            if (checks_) rest = checks_->pass(rest);
            if (auto kept = co_await keep(rest); !kept) co_return std::unexpected(std::move(kept.error()));
        }
        if (submitted_)
            if (auto kept = co_await keep(submitted_->finish()); !kept)
                co_return std::unexpected(std::move(kept.error()));
        if (submitted_)
            if (auto good = co_await check_author(); !good) co_return std::unexpected(std::move(good.error()));
        if (checks_)
            if (auto good = co_await check_stranger(); !good) co_return std::unexpected(std::move(good.error()));
        auto wanted = copies();
        auto removed = submitted_ ? submitted_->removed() : 0;
        if (checks_) removed += checks_->forged.removed();
        auto content =
            co_await writer_->finish(sizes.octets + mender_.added() - removed, wanted.size() + other_copies());
        if (!content) co_return failed(content.error());
        downgrader_.finish();
        needs_downgrade_ = downgrader_.needed();
        growth_ = downgrader_.growth();
        envelope_->received.time = clock_.now();
        if (submitted_) complete_header();
        if (wants_inspection())
            for (auto* inspector : inspectors_)
                if (auto passed = co_await inspect(*inspector, *content, wanted.size()); !passed)
                    co_return std::unexpected(std::move(passed.error()));
        co_return co_await store(std::move(wanted), std::move(*content));
    }

private:
    const Submitter* submitter() const {
        const auto& sending = envelope_->sending;
        return sending && sending->submitter ? &*sending->submitter : nullptr;
    }

    /// Beside those of our own recipients: the queue's, and the sender's.
    std::size_t other_copies() const { return (envelope_->away.empty() ? 0u : 1u) + (keeps_copy_ ? 1u : 0u); }

    /// Our own mail, and what a program of this machine brings over a local socket, is nobody's attempt.
    bool wants_inspection() const {
        return !inspectors_.empty() && (submitter() != nullptr || !envelope_->received.peer.empty());
    }

    /// Shows the message to the inspector, and changes in it what that wants.
    Task<std::expected<void, Verdict>> inspect(Inspector& inspector, mailstore::Content& content,
                                               std::size_t accounts) {
        auto wire = store_.read(content);
        if (!wire) co_return failed(wire.error());
        auto judgement = co_await inspector.judge(envelope_, std::move(*wire), content.octets);
        if (judgement.action == Judgement::Action::reject)
            co_return refuse(Verdict::Kind::rejected, std::move(judgement.text));
        if (judgement.action == Judgement::Action::defer)
            co_return std::unexpected(
                Verdict{.kind = Verdict::Kind::deferred, .cause = Errc::busy, .text = std::move(judgement.text)});
        if (judgement.spam_percent) spam_percent_ = judgement.spam_percent;
        junk_ |= judgement.junk;
        eight_bit_ |= (judgement.header && mail::has_8bit(*judgement.header)) ||
                      (judgement.body && mail::has_8bit(*judgement.body));
        const HeaderEdits edits{std::move(judgement.removed), std::move(judgement.subject), std::move(judgement.header),
                                std::move(judgement.body)};
        auto edited = co_await edit_header(store_, content, edits, limits_.header_octets, accounts + other_copies());
        if (!edited) co_return failed(edited.error());
        if (*edited) {
            content = std::move((*edited)->content);
            needs_downgrade_ = (*edited)->needs_downgrade;
            growth_ = (*edited)->growth;
            if (!envelope_->away.empty())
                if (auto read = co_await read_again(content); !read) co_return failed(read.error());
        }
        added_ += judgement.added;
        co_return std::expected<void, Verdict>();
    }

    /// A message as an inspector wants it, for the seal.
    struct Changed final : screening::MessageReader {
        void on_header(std::string text) override { header.emplace(std::move(text)); }
        void on_body(std::string_view plain) override { body.feed(plain); }
        std::optional<screening::Header> header;
        screening::BodyHash body{screening::Canonical::relaxed};
        std::string body_hash;
    };

    /// An inspector's changes break signatures over the message as it came, so the one that leaves is read for them.
    Task<Result<>> read_again(const mailstore::Content& content) {
        if (signer_) signer_ = std::make_unique<screening::MessageSigner>(*ring_, clock_.now());
        if (checks_) changed_ = std::make_unique<Changed>();
        if (!signer_ && !changed_) co_return Result<>();
        auto reader = store_.read(content);
        if (!reader) co_return pass_on(reader);
        for (;;) {
            auto chunk = co_await (*reader)->next();
            if (!chunk) co_return pass_on(chunk);
            if (chunk->empty()) break;
            if (signer_) signer_->feed(*chunk);
            if (changed_) changed_->feed(*chunk);
        }
        if (changed_) {
            changed_->finish();
            changed_->body_hash = changed_->body.finish();
        }
        co_return Result<>();
    }

    Task<std::expected<void, Verdict>> keep(std::string_view wire) {
        if (wire.empty()) co_return std::expected<void, Verdict>();
        downgrader_.feed(wire);
        if (signer_) signer_->feed(wire);
        if (tls_required_ && !tls_required_->done()) tls_required_->feed(wire);
        if (!envelope_->away.empty() && !eight_bit_) eight_bit_ = mail::has_8bit(wire);
        if (auto written = co_await writer_->write(wire); !written) co_return failed(written.error());
        co_return std::expected<void, Verdict>();
    }

    /// SPF, DKIM, DMARC and ARC of one message from outside, and the filter of results that it forges.
    struct Checks {
        Checks(const screening::Screener& checker, const Envelope& envelope)
            : screener(checker),
              examination(checker, {envelope.received.peer, envelope.received.helo}, envelope.reverse_path),
              forged(checker.hostname()) {}
        /// Signatures are checked over what came, before anything is taken out.
        std::string_view pass(std::string_view wire) {
            examination.feed(wire);
            return forged.in_body() ? wire : forged.pass(wire);
        }

        const screening::Screener& screener;
        screening::Examination examination;
        screening::ForgedResultsFilter forged;
        screening::Judgement judgement;
        std::string head;  // the fields that tell of it
    };

    Task<std::expected<void, Verdict>> check_stranger() {
        if (auto kept = co_await keep(checks_->forged.finish()); !kept) co_return kept;
        checks_->examination.finish();
        auto& judgement = checks_->judgement;
        judgement = co_await checks_->examination.judge();
        checks_->head = fmt::format("Authentication-Results: {}\r\n{}", judgement.results, judgement.received_spf);
        using Action = screening::Judgement::Action;
        if (judgement.action == Action::reject) co_return refuse(Verdict::Kind::rejected, judgement.reason);
        junk_ = judgement.action == Action::quarantine;
        if (greylist_ && !envelope_->known_client) co_return co_await check_greylist();
        co_return std::expected<void, Verdict>();
    }

    // Only now, because what SPF or a signature vouches for need not wait.
    Task<std::expected<void, Verdict>> check_greylist() {
        const auto& peer = envelope_->received.peer;
        const bool authenticated = checks_->judgement.authenticated;
        if (!authenticated && co_await checks_->screener.is_allowed(peer)) co_return std::expected<void, Verdict>();
        auto admits = co_await greylist_->admits(peer, envelope_->reverse_path, authenticated);
        if (!admits) co_return failed(admits.error());
        if (!*admits) co_return refuse(Verdict::Kind::later, "greylisted");
        co_return std::expected<void, Verdict>();
    }

    std::string seal_with(const screening::Signer& signer) const {
        const auto& judgement = checks_->judgement;
        if (!changed_) return checks_->examination.seal(judgement, signer);
        if (!checks_->screener.options().arc) return {};
        return screening::seal_arc(*changed_->header, judgement.arc, signer, judgement.results, changed_->body_hash,
                                   clock_.now());
    }

    /// Mail that an alias sends on takes along what was found here, sealed by the alias's domain (RFC 8617).
    std::string sealed_head() const {
        if (!checks_) return {};
        std::string seal;
        const auto forwards = std::ranges::find_if(envelope_->recipients, &Recipient::away);
        if (ring_ && !ring_->empty() && forwards != envelope_->recipients.end()) {
            const auto domain = mail::canonical_domain(forwards->address.substr(forwards->address.rfind('@') + 1));
            if (const auto signer = domain ? ring_->signer(*domain, clock_.now()) : std::nullopt)
                seal = seal_with(*signer);
        }
        return seal + checks_->head;
    }

    // RFC 6409 s6.1: the reader believes that From names the author, and Sender the one who sent it for him.
    Task<std::expected<void, Verdict>> check_author() {
        const auto& from = submitted_->from();
        const auto& sender = submitted_->sender();
        if (from.fields != 1)
            co_return refuse(Verdict::Kind::rejected,
                             fmt::format("The message has {} From fields, not one", from.fields));
        if (sender.fields > 1)
            co_return refuse(Verdict::Kind::rejected, fmt::format("The message has {} Sender fields", sender.fields));
        auto authors = co_await check_originator("From", from);
        if (!authors) co_return std::unexpected(std::move(authors.error()));
        more_than_one_author_ = *authors > 1;
        if (sender.fields == 1)
            if (auto good = co_await check_originator("Sender", sender); !good)
                co_return std::unexpected(std::move(good.error()));
        co_return std::expected<void, Verdict>();
    }

    /// How many addresses the field has; the submitter may send as each.
    Task<std::expected<std::size_t, Verdict>> check_originator(std::string name,
                                                               mail::SubmissionFilter::Originator field) {
        const auto rejected = [](std::string text) { return refuse(Verdict::Kind::rejected, std::move(text)); };
        if (field.too_long) co_return rejected(fmt::format("The {} field is too long", name));
        const auto colon = field.text.find(':');
        const auto listed = mail::parse_address_list(std::string_view(field.text).substr(colon + 1), kMostAuthors + 1);
        if (listed.empty() || listed.size() > kMostAuthors)
            co_return rejected(fmt::format("The {} field can't be read", name));
        for (const auto& one : listed) {
            auto address = mail::to_address(one);
            if (!address) co_return rejected(fmt::format("The {} field can't be read", name));
            auto may = co_await may_send_as(directory_, *submitter(), *address);
            if (!may) co_return failed(may.error());
            if (!*may)
                co_return rejected(fmt::format("You may not send as <{}> in {}", mail::to_string(*address), name));
        }
        co_return listed.size();
    }

    // RFC 6409 s8.1, s8.2, s8.5: what a message needs and this one has not.
    void complete_header() {
        if (!submitted_->has_date()) added_ += fmt::format("Date: {}\r\n", mail::format_date(clock_.now()));
        if (!submitted_->has_message_id())
            added_ += fmt::format("Message-ID: <{}@{}>\r\n", random_text(26), envelope_->received.by);
        if (more_than_one_author_ && submitted_->sender().fields == 0)  // RFC 5322 s3.6.2
            added_ += fmt::format("Sender: <{}>\r\n", submitter()->address);
    }

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
               (checks_ ? checks_->head : std::string()) + mail::format_received(envelope_->received) + added_;
    }

    /// NewMessage::ascii_octets.
    std::uint64_t ascii_octets(std::string_view head, std::uint64_t content_octets) const {
        mail::Downgrader in_head;
        in_head.feed(head);
        in_head.finish();
        if (!in_head.needed() && !needs_downgrade_) return 0;
        return head.size() + content_octets + static_cast<std::uint64_t>(in_head.growth() + growth_);
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
            // A copy that leaves by an alias of a refused recipient must not leave again when its sender tries again.
            if (envelope_->replies == Replies::one || !envelope_->away.empty())
                co_return std::unexpected(one_verdict(refused));
            leave_out(wanted, refused);
        }
        std::vector<Task<Result<Delivered>>> appends;
        for (const auto& copy : wanted) {
            mailstore::NewMessage message{head_for(envelope_->recipients[copy.recipient]), content, {}};
            message.ascii_octets = ascii_octets(message.head, content.octets);
            appends.push_back(deliver(copy, std::move(message)));
        }
        // The queue's entry first: if it fails, nobody has the message twice when the client sends it again.
        std::optional<Error> not_queued;
        if (!envelope_->away.empty())
            if (auto queued = co_await enqueue(content); !queued) not_queued = std::move(queued.error());
        if (not_queued) co_return std::vector<Verdict>(envelope_->recipients.size(), verdict_of(*not_queued));
        auto stored = co_await gather(std::move(appends));
        envelope_->room.clear();
        if (submitter() && envelope_->sending->limits) envelope_->sending->limits->commit();
        std::map<directory::AccountId, const Error*> failed;
        std::map<std::size_t, std::string> rejected;  // by recipient: such a one leads to no other account
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            if (!stored[i]) failed[wanted[i].account] = &stored[i].error();
            if (stored[i] && stored[i]->rejected) rejected[wanted[i].recipient] = std::move(*stored[i]->rejected);
        }

        std::vector<Verdict> verdicts;
        for (const auto& recipient : envelope_->recipients) {
            const auto* full = refusal_of(recipient, refused);
            verdicts.push_back(full ? *full : verdict_on(recipient, failed));
        }
        for (auto& [recipient, reason] : rejected)
            verdicts[recipient] = {.kind = Verdict::Kind::rejected, .text = std::move(reason)};
        if (keeps_copy_ && std::ranges::any_of(verdicts, &Verdict::stored)) co_await keep_copy(std::move(content));
        co_return verdicts;
    }

    Task<> keep_copy(mailstore::Content content) {
        mailstore::NewMessage message{mail::format_received(envelope_->received) + added_, std::move(content), {}};
        message.ascii_octets = ascii_octets(message.head, message.content.octets);
        co_await sent_.keep(*submitter(), std::move(message));
    }

    struct Delivered {
        std::optional<std::string> rejected;  ///< by the account's filter: its reason
    };

    /// Whether a sender who is told that one recipient refused does not take it for all of them. LMTP has a reply for
    /// each (RFC 2033 s4.2).
    bool may_reject(const Recipient& recipient) const {
        const bool told_alone = envelope_->recipients.size() == 1 || envelope_->replies == Replies::each;
        if (recipient.count != 1 || recipient.away || !told_alone) return false;
        const auto account = envelope_->accounts_of(recipient).front();
        return std::ranges::count(envelope_->accounts, account) == 1;
    }

    /// By the account's filter, if it has one.
    Task<Result<Delivered>> deliver(Copy copy, mailstore::NewMessage message) {
        auto mailbox = envelope_->mailbox_of(copy.recipient);
        if (junk_ && mailbox.empty()) {
            auto junk = co_await junk_mailbox(copy.account);
            if (!junk) co_return pass_on(junk);
            mailbox = std::move(*junk);
        }
        if (!filter_.has_none(copy.account)) {
            auto chain = co_await filter_.scripts_of(copy.account);
            if (!chain) co_return pass_on(chain);
            if (!chain->empty())
                co_return co_await filter(copy, std::move(message), std::move(mailbox), std::move(*chain));
        }
        auto stored = co_await append(copy.account, std::move(message), std::move(mailbox));
        if (!stored) co_return pass_on(stored);
        co_return Delivered();
    }

    /// Its name. It is made if there is none; "": the account has as many mailboxes as it may.
    Task<Result<std::string>> junk_mailbox(directory::AccountId account) {
        auto mailboxes = co_await store_.mailboxes(account);
        if (!mailboxes) co_return pass_on(mailboxes);
        for (const auto& one : *mailboxes)
            if (one.use == mailstore::SpecialUse::junk) co_return one.name;
        auto made = co_await store_.add_mailbox(account, std::string(kJunk), mailstore::SpecialUse::junk);
        if (made || made.error().code() == Errc::exists) co_return std::string(kJunk);
        if (made.error().code() == Errc::too_large) co_return std::string();
        co_return pass_on(made);
    }

    Task<Result<Delivered>> filter(Copy copy, mailstore::NewMessage message, std::string mailbox,
                                   Scripts::Chain chain) {
        const auto& recipient = envelope_->recipients[copy.recipient];
        Filtered filtered{.account = copy.account,
                          .head = std::move(message.head),
                          .content = std::move(message.content),
                          .ascii_octets = message.ascii_octets,
                          .from = envelope_->reverse_path,
                          .to = recipient.address,
                          .address = recipient.address,
                          .helo = envelope_->received.helo,
                          .peer = envelope_->received.peer,
                          .host = envelope_->received.by,
                          .default_mailbox = std::move(mailbox),
                          .received = mail::format_received(envelope_->received) + added_,
                          .may_reject = may_reject(recipient),
                          .spam_percent = spam_percent_,
                          .tls = envelope_->tls,
                          .junk = junk_};
        for (const auto& room : envelope_->room)
            if (room->account() == copy.account) filtered.room = room;
        auto account = co_await directory_.account(copy.account);
        if (account) filtered.address = account->address;
        auto done = co_await filter_.deliver(std::move(filtered), std::move(chain));
        if (!done) co_return pass_on(done);
        co_return Delivered{std::move(done->rejected)};
    }

    Task<Result<mailstore::Message>> append(directory::AccountId account, mailstore::NewMessage message,
                                            std::string mailbox) {
        if (mailbox.empty()) return store_.append(account, std::move(message));
        return file(account, std::move(message), std::move(mailbox));
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

    Task<Result<>> enqueue(const mailstore::Content& content) {
        if (queue_ == nullptr) co_return fail(Errc::io, "there is no queue for mail that leaves");
        if (content.key) co_return fail(Errc::io, "mail that leaves can't be stored encoded");
        queue::NewMessage entry;
        auto& message = entry.message;
        const auto& sending = envelope_->sending;
        message.id = envelope_->received.id;
        auto sender = co_await dispatch_.sender_for(envelope_->reverse_path);
        if (!sender) co_return pass_on(sender);
        message.sender = std::move(*sender);
        if (const auto* who = submitter()) message.account = who->address;
        if (sending) {
            message.envelope_id = sending->envelope_id;
            message.ret = sending->ret;
            entry.due = clock_.now() + sending->hold;
            if (sending->limits) entry.beside = sending->limits->entries();
        }
        if (signer_) {
            signer_->finish();
            entry.head = signer_->fields(added_);
        }
        entry.head += sealed_head() + mail::format_received(envelope_->received) + added_;
        entry.content = content.staged;
        message.octets = entry.head.size() + content.octets;
        message.eight_bit = eight_bit_;
        message.tls = tls_required_ && tls_required_->says_no() ? queue::TlsWish::optional : envelope_->tls;
        message.utf8 = needs_downgrade_ || mail::has_8bit(message.sender) || mail::has_8bit(entry.head);
        for (const auto& away : envelope_->away) {
            message.utf8 |= mail::has_8bit(away.address);
            entry.recipients.push_back({.address = away.address, .notify = away.notify, .orcpt = away.orcpt});
        }
        co_return co_await queue_->add(std::move(entry));
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

    std::shared_ptr<Envelope> envelope_;
    std::unique_ptr<mailstore::ContentWriter> writer_;
    mailstore::MailStore& store_;
    directory::Directory& directory_;
    Filter& filter_;
    Dispatch& dispatch_;
    const Clock& clock_;
    const Limits& limits_;
    queue::Queue* queue_;
    const std::vector<Inspector*>& inspectors_;
    std::optional<unsigned> spam_percent_;
    bool junk_ = false;
    const screening::KeyRing* ring_;
    Greylist* greylist_;
    SentCopies& sent_;
    bool keeps_copy_ = false;                           // among the submitter's sent mail
    std::unique_ptr<screening::MessageSigner> signer_;  // of what leaves in our own name
    std::unique_ptr<Checks> checks_;                    // of what comes from outside, if it is checked
    std::unique_ptr<Changed> changed_;                  // what came of it, if an inspector changed what leaves
    mail::HeaderMender mender_;
    std::optional<mail::SubmissionFilter> submitted_;      // of mail that somebody submits
    std::string added_;                                    // fields that it lacked
    std::optional<mail::TlsRequiredFinder> tls_required_;  // of mail that leaves
    bool more_than_one_author_ = false, eight_bit_ = false;
    mail::Downgrader downgrader_;
    bool needs_downgrade_ = false;  // what came of it, or of the message as an inspector wants it
    std::int64_t growth_ = 0;
    std::uint64_t wire_octets_ = 0;
};

}  // namespace

Delivery::Delivery(directory::Directory& directory, mailstore::MailStore& store, quota::Quotas& quotas,
                   const Clock& clock, Limits limits, queue::Queue* queue, queue::SendingLimits* sending_limits)
    : directory_(directory),
      store_(store),
      quotas_(quotas),
      clock_(clock),
      limits_(limits),
      queue_(queue),
      sending_limits_(sending_limits),
      srs_(limits_.forward),
      sent_(store, directory, quotas, limits_.copy_to_sent),
      dispatch_(directory, queue, clock, srs_),
      filter_(store, clock, limits_.filter, dispatch_) {}

void Delivery::sign_with(SigningStore& keys) {
    signing_ = &keys;
    dispatch_.sign_with(keys.ring());
}

bool Delivery::refuses_clients() const { return screener_ && !screener_->options().dnsbl.empty(); }

Task<std::string> Delivery::refusal_of_client(std::string address) const {
    if (!refuses_clients()) co_return std::string();
    auto listing = co_await screener_->listing_of(std::move(address));
    if (listing.zone.empty()) co_return std::string();
    co_return listing.text.empty() ? listing.zone : fmt::format("{}: {}", listing.zone, listing.text);
}

Task<Result<bool>> Delivery::begin_sending(Sending& sending) {
    if (!sending_limits_) co_return true;
    auto begun = co_await sending_limits_->begin(sending.submitter->account);
    if (!begun) co_return pass_on(begun);
    if (!*begun) co_return false;
    sending.limits.emplace(std::move(**begun));
    co_return true;
}

Task<Result<bool>> Delivery::add_recipient(Sending& sending, mail::Address address, Where where) {
    if (!sending.limits) co_return true;
    auto known = mail::canonical(address);
    co_return co_await sending.limits->add(mail::to_string(known ? *known : address), where);
}

Task<Result<directory::Resolution>> Delivery::resolve(mail::Address address) {
    if (srs_.is_wrapped(address)) return resolve_wrapped(std::move(address));
    return directory_.resolve(std::move(address));
}

std::optional<directory::Resolution> Delivery::resolve_at_hand(const mail::Address& address) {
    return directory_.resolve_at_hand(address);
}

Task<Result<directory::Resolution>> Delivery::resolve_wrapped(mail::Address address) {
    directory::Resolution unknown;
    auto sender = srs_.unwrap(address, clock_.now());
    if (!sender) co_return unknown;
    auto real = mail::parse_address(*sender, mail::Grammar::tolerant);
    if (!real) co_return unknown;
    auto resolution = co_await directory_.resolve(*real);
    if (resolution && resolution->kind == directory::Resolution::Kind::unknown_domain) {
        resolution->kind = directory::Resolution::Kind::accounts;
        resolution->elsewhere = {address_elsewhere(*real)};
    }
    co_return resolution;
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
    return std::make_unique<IncomingMessage>(std::move(envelope), store_.stage(size_hint), store_, directory_, filter_,
                                             dispatch_, clock_, limits_, queue_, inspectors_,
                                             signing_ ? &signing_->ring() : nullptr, screener_, greylist_, sent_);
}

}  // namespace poplar::delivery
