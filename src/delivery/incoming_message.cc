// Counts, filters and checks a message as it comes in; at its end the inspector sees it, and it goes into the queue if
// it leaves.
#include "delivery/incoming_message.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "delivery/header_edits.h"
#include "delivery/originators.h"
#include "mail/field_writer.h"

namespace poplar::delivery {

namespace {

// A line has at least three octets (".", CRLF) when stuffing adds one to it.
constexpr std::uint64_t most_wire_octets(std::uint64_t octets) { return octets + octets / 3 + 4; }

}  // namespace

IncomingMessage::IncomingMessage(std::shared_ptr<Envelope> envelope, std::unique_ptr<mailstore::ContentWriter> writer,
                                 const IncomingServices& services)
    : envelope_(std::move(envelope)), writer_(std::move(writer)), services_(services) {
    if (submitter()) submitted_.emplace();
    keeps_copy_ = submitter() && services_.sent.wants(*submitter());
    // Mail that only passes here is nobody's of ours, whatever its From says.
    const auto* ring = services_.ring;
    if (ring && !ring->empty() && !envelope_->away.empty() && (submitter() || envelope_->ours))
        signer_ = std::make_unique<screening::MessageSigner>(*ring, services_.clock.now());
    const auto* screener = services_.screener;
    if (screener && screener->options().any() && envelope_->stranger && !submitter() &&
        !envelope_->received.peer.empty())
        checks_ = std::make_unique<StrangerChecks>(*screener, *envelope_);
    if (!envelope_->away.empty() && envelope_->tls != queue::TlsWish::required) tls_required_.emplace();
    // RFC 5321 s7.6: `for` would tell one recipient of the others.
    const auto& to = envelope_->recipients;
    envelope_->received.recipient = to.size() == 1 ? to.front().address : "";
}

const Submitter* IncomingMessage::submitter() const {
    const auto& sending = envelope_->sending;
    return sending && sending->submitter ? &*sending->submitter : nullptr;
}

std::unexpected<Verdict> IncomingMessage::too_large() const {
    return refuse(Verdict::Kind::too_large, fmt::format("over {} octets", services_.limits.message_octets));
}

// The octets

Task<std::expected<void, Verdict>> IncomingMessage::write(std::string_view wire) {
    const auto& limits = services_.limits;
    wire_octets_ += wire.size();
    if (wire_octets_ > most_wire_octets(limits.message_octets)) co_return too_large();
    if (const auto& header = mender_.header(); !header.in_body()) {
        wire = mender_.pass(wire);
        if (header.header_octets() > limits.header_octets || header.field_count() > limits.header_fields)
            co_return refuse(Verdict::Kind::bad_header, fmt::format("header of {} fields, {} octets",
                                                                    header.field_count(), header.header_octets()));
    }
    auto kept = filtered(wire);
    co_return co_await keep(kept);
}

/// Without what is taken out of the header of a user's mail, or of a stranger's.
std::string_view IncomingMessage::filtered(std::string_view wire) {
    if (submitted_ && !submitted_->in_body()) wire = submitted_->pass(wire);
    return checks_ ? checks_->pass(wire) : wire;
}

Task<std::expected<void, Verdict>> IncomingMessage::keep(std::string_view wire) {
    if (wire.empty()) co_return std::expected<void, Verdict>();
    downgrader_.feed(wire);
    if (signer_) signer_->feed(wire);
    if (tls_required_ && !tls_required_->done()) tls_required_->feed(wire);
    if (!envelope_->away.empty() && !eight_bit_) eight_bit_ = mail::has_8bit(wire);
    if (auto written = co_await writer_->write(wire); !written) co_return failed(written.error());
    co_return std::expected<void, Verdict>();
}

// The end

Task<std::expected<std::vector<Verdict>, Verdict>> IncomingMessage::finish(mail::WireSizes sizes) {
    if (sizes.octets > services_.limits.message_octets) co_return too_large();
    if (mender_.header().received_count() > services_.limits.hops)  // RFC 5321 s6.3
        co_return refuse(Verdict::Kind::loop, fmt::format("{} Received fields", mender_.header().received_count()));
    if (auto finished = co_await finish_header(); !finished) co_return std::unexpected(std::move(finished.error()));
    if (auto good = co_await check_header(); !good) co_return std::unexpected(std::move(good.error()));
    auto wanted = copies_of(*envelope_);
    const auto removed = (submitted_ ? submitted_->removed() : 0) + (checks_ ? checks_->removed() : 0);
    auto content = co_await writer_->finish(sizes.octets + mender_.added() - removed, wanted.size() + other_copies());
    if (!content) co_return failed(content.error());
    downgrader_.finish();
    message_.needs_downgrade = downgrader_.needed();
    message_.growth = downgrader_.growth();
    envelope_->received.time = services_.clock.now();
    if (submitted_) complete_header();
    if (wants_inspection())
        for (auto* inspector : services_.inspectors)
            if (auto passed = co_await inspect(*inspector, *content, wanted.size()); !passed)
                co_return std::unexpected(std::move(passed.error()));

    message_.content = std::move(*content);
    Copies copies(envelope_, std::move(wanted), std::move(message_), services_.store, services_.directory,
                  services_.filter);
    if (auto claimed = copies.claim_room(); !claimed) co_return std::unexpected(std::move(claimed.error()));
    // The queue's entry first: if it fails, nobody has the message twice when the client sends it again.
    if (!envelope_->away.empty())
        if (auto queued = co_await enqueue(copies.message()); !queued)
            co_return std::vector<Verdict>(envelope_->recipients.size(), verdict_of(queued.error()));
    auto verdicts = co_await copies.store();
    if (submitter() && envelope_->sending->limits) envelope_->sending->limits->commit();
    if (keeps_copy_ && std::ranges::any_of(verdicts, &Verdict::stored)) co_await keep_copy(copies.message());
    co_return verdicts;
}

/// Keeps what the filters of the header still hold back.
Task<std::expected<void, Verdict>> IncomingMessage::finish_header() {
    if (auto remaining = mender_.finish(); !remaining.empty()) {
        remaining = filtered(remaining);
        if (auto kept = co_await keep(remaining); !kept) co_return kept;
    }
    if (submitted_)
        if (auto kept = co_await keep(submitted_->finish()); !kept) co_return kept;
    co_return std::expected<void, Verdict>();
}

Task<std::expected<void, Verdict>> IncomingMessage::check_header() {
    if (submitted_)
        if (auto good = co_await check_author(); !good) co_return good;
    if (checks_) co_return co_await check_stranger();
    co_return std::expected<void, Verdict>();
}

Task<std::expected<void, Verdict>> IncomingMessage::check_author() {
    auto authors = co_await check_originators(services_.directory, *submitter(), *submitted_);
    if (!authors) co_return std::unexpected(std::move(authors.error()));
    more_than_one_author_ = *authors > 1;
    co_return std::expected<void, Verdict>();
}

Task<std::expected<void, Verdict>> IncomingMessage::check_stranger() {
    if (auto kept = co_await keep(checks_->finish()); !kept) co_return kept;
    if (auto good = co_await checks_->judge(); !good) co_return good;
    message_.results = checks_->results();
    message_.junk = checks_->quarantined();
    if (services_.greylist && !envelope_->known_client) co_return co_await check_greylist();
    co_return std::expected<void, Verdict>();
}

// Only now, because what SPF or a signature vouches for need not wait.
Task<std::expected<void, Verdict>> IncomingMessage::check_greylist() {
    const auto& peer = envelope_->received.peer;
    const bool authenticated = checks_->authenticated();
    if (!authenticated && co_await services_.screener->is_allowed(peer)) co_return std::expected<void, Verdict>();
    auto admits = co_await services_.greylist->admits(peer, envelope_->reverse_path, authenticated);
    if (!admits) co_return failed(admits.error());
    if (!*admits) co_return refuse(Verdict::Kind::later, "greylisted");
    co_return std::expected<void, Verdict>();
}

// RFC 6409 s8.1, s8.2, s8.5: what a message needs and this one has not.
void IncomingMessage::complete_header() {
    auto& added = message_.added;
    if (!submitted_->has_date()) added += fmt::format("Date: {}\r\n", mail::format_date(services_.clock.now()));
    if (!submitted_->has_message_id())
        added += fmt::format("Message-ID: <{}@{}>\r\n", random_text(26), envelope_->received.by);
    if (more_than_one_author_ && submitted_->sender().fields == 0)  // RFC 5322 s3.6.2
        added += fmt::format("Sender: <{}>\r\n", submitter()->address);
}

/// Beside those of our own recipients: the queue's, and the sender's.
std::size_t IncomingMessage::other_copies() const {
    return (envelope_->away.empty() ? 0u : 1u) + (keeps_copy_ ? 1u : 0u);
}

// The inspector

/// Our own mail, and what a program of this machine brings over a local socket, is nobody's attempt.
bool IncomingMessage::wants_inspection() const {
    return !services_.inspectors.empty() && (submitter() != nullptr || !envelope_->received.peer.empty());
}

/// Shows the message to the inspector, and changes in it what that wants.
Task<std::expected<void, Verdict>> IncomingMessage::inspect(Inspector& inspector, mailstore::Content& content,
                                                            std::size_t accounts) {
    auto wire = services_.store.read(content);
    if (!wire) co_return failed(wire.error());
    auto judgement = co_await inspector.judge(envelope_, std::move(*wire), content.octets);
    if (judgement.action == Judgement::Action::reject)
        co_return refuse(Verdict::Kind::rejected, std::move(judgement.text));
    if (judgement.action == Judgement::Action::defer)
        co_return std::unexpected(
            Verdict{.kind = Verdict::Kind::deferred, .cause = Errc::busy, .text = std::move(judgement.text)});
    if (judgement.spam_percent) message_.spam_percent = judgement.spam_percent;
    message_.junk |= judgement.junk;
    eight_bit_ |=
        (judgement.header && mail::has_8bit(*judgement.header)) || (judgement.body && mail::has_8bit(*judgement.body));
    const HeaderEdits edits{std::move(judgement.removed), std::move(judgement.subject), std::move(judgement.header),
                            std::move(judgement.body)};
    auto edited = co_await edit_header(services_.store, content, edits, services_.limits.header_octets,
                                       accounts + other_copies());
    if (!edited) co_return failed(edited.error());
    if (*edited) {
        content = std::move((*edited)->content);
        message_.needs_downgrade = (*edited)->needs_downgrade;
        message_.growth = (*edited)->growth;
        if (!envelope_->away.empty())
            if (auto read = co_await read_again(content); !read) co_return failed(read.error());
    }
    message_.added += judgement.added;
    co_return std::expected<void, Verdict>();
}

/// An inspector's changes break signatures over the message as it came, so the one that leaves is read for them.
Task<Result<>> IncomingMessage::read_again(const mailstore::Content& content) {
    if (signer_) signer_ = std::make_unique<screening::MessageSigner>(*services_.ring, services_.clock.now());
    if (checks_) checks_->begin_changed();
    if (!signer_ && !checks_) co_return Result<>();
    auto reader = services_.store.read(content);
    if (!reader) co_return pass_on(reader);
    for (;;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) break;
        if (signer_) signer_->feed(*chunk);
        if (checks_) checks_->feed_changed(*chunk);
    }
    if (checks_) checks_->finish_changed();
    co_return Result<>();
}

// Leaving

/// Mail that an alias sends on takes along what was found here, sealed by the alias's domain (RFC 8617).
std::string IncomingMessage::sealed_head() const {
    if (!checks_) return {};
    std::string seal;
    const auto* ring = services_.ring;
    const auto now = services_.clock.now();
    const auto forwards = std::ranges::find_if(envelope_->recipients, &Recipient::away);
    if (ring && !ring->empty() && forwards != envelope_->recipients.end()) {
        const auto domain = mail::canonical_domain(forwards->address.substr(forwards->address.rfind('@') + 1));
        if (const auto signer = domain ? ring->signer(*domain, now) : std::nullopt) seal = checks_->seal(*signer, now);
    }
    return seal + checks_->results();
}

Task<Result<>> IncomingMessage::enqueue(const CheckedMessage& checked) {
    if (services_.queue == nullptr) co_return fail(Errc::io, "there is no queue for mail that leaves");
    if (checked.content.key) co_return fail(Errc::io, "mail that leaves can't be stored encoded");
    queue::NewMessage entry;
    auto& message = entry.message;
    const auto& sending = envelope_->sending;
    message.id = envelope_->received.id;
    auto sender = co_await services_.dispatch.sender_for(envelope_->reverse_path);
    if (!sender) co_return pass_on(sender);
    message.sender = std::move(*sender);
    if (const auto* who = submitter()) message.account = who->address;
    if (sending) {
        message.envelope_id = sending->envelope_id;
        message.ret = sending->ret;
        entry.due = services_.clock.now() + sending->hold;
        if (sending->limits) entry.beside = sending->limits->entries();
    }
    if (signer_) {
        signer_->finish();
        entry.head = signer_->fields(checked.added);
    }
    entry.head += sealed_head() + mail::format_received(envelope_->received) + checked.added;
    entry.content = checked.content.staged;
    message.octets = entry.head.size() + checked.content.octets;
    message.eight_bit = eight_bit_;
    message.tls = tls_required_ && tls_required_->says_no() ? queue::TlsWish::optional : envelope_->tls;
    message.utf8 = checked.needs_downgrade || mail::has_8bit(message.sender) || mail::has_8bit(entry.head);
    for (const auto& away : envelope_->away) {
        message.utf8 |= mail::has_8bit(away.address);
        entry.recipients.push_back({.address = away.address, .notify = away.notify, .orcpt = away.orcpt});
    }
    co_return co_await services_.queue->add(std::move(entry));
}

Task<> IncomingMessage::keep_copy(const CheckedMessage& checked) {
    mailstore::NewMessage message{mail::format_received(envelope_->received) + checked.added, checked.content, {}};
    message.ascii_octets = ascii_octets(message.head, checked);
    co_await services_.sent.keep(*submitter(), std::move(message));
}

}  // namespace poplar::delivery
