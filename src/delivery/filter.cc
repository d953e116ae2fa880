#include "delivery/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/ascii.h"
#include "base/log.h"
#include "base/random.h"
#include "mail/downgrade.h"
#include "mail/field_writer.h"
#include "mail/header_walk.h"
#include "mail/tls_required.h"
#include "mail/trace.h"
#include "mail/wire_form.h"
#include "mailstore/keyword_table.h"
#include "mailstore/mailbox_name.h"
#include "quota/quotas.h"
#include "sieve/message.h"

namespace poplar::delivery {

namespace {

constexpr auto kTellEvery = std::chrono::days(1);
constexpr auto kSentRemembered = std::chrono::days(30);  // longer than the queue remembers what it had
constexpr std::string_view kRefused = "Message refused";
constexpr std::size_t kLongestReason = 2000;  // octets of a reason that a sender is told

void set_flags(mailstore::NewMessage& message, const std::vector<std::string>& flags) {
    using mailstore::Flag;
    constexpr std::array<std::pair<std::string_view, Flag>, 5> kSystem = {{{"\\Seen", Flag::seen},
                                                                           {"\\Answered", Flag::answered},
                                                                           {"\\Flagged", Flag::flagged},
                                                                           {"\\Deleted", Flag::deleted},
                                                                           {"\\Draft", Flag::draft}}};
    for (const auto& flag : flags) {
        const auto* known =
            std::ranges::find_if(kSystem, [&](const auto& one) { return ascii::same(one.first, flag); });
        if (known != kSystem.end())
            message.flags |= static_cast<std::uint8_t>(known->second);
        else if (mailstore::is_keyword(flag) && flag.size() <= mailstore::kLongestKeyword)
            message.keywords.push_back(flag);
    }
}

/// A reason as a reply may say it: RFC 5429 s2.1.1 wants ASCII.
std::string reply_text(std::string_view reason) {
    std::string out;
    for (const char c : reason.substr(0, kLongestReason)) {
        if (static_cast<unsigned char>(c) >= 0x80) return std::string(kRefused);
        if (c == '\n' || (c >= 0x20 && c != 0x7f)) out += c;
    }
    while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
    return out.empty() ? std::string(kRefused) : out;
}

}  // namespace

/// The header and, unless it is wanted alone, the body as far as FilterOptions::body_octets go.
Task<Result<Filter::Octets>> Filter::read(Result<std::unique_ptr<engine::BodyReader>> reader, std::uint64_t octets,
                                          bool header_alone) const {
    if (!reader) co_return pass_on(reader);
    Octets out;
    mail::WireDecoder decoder;
    mail::HeaderWalk walk;
    for (;;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) break;
        const auto before = out.text.size();
        decoder.decode(*chunk, out.text);
        walk.feed(std::string_view(out.text).substr(before));
        if (walk.in_body() && (header_alone || out.text.size() >= options_.body_octets)) {
            out.whole = out.text.size() >= octets;
            break;
        }
    }
    co_return out;
}

/// A message that a script has changed, as content of its own. A body that is the same is copied chunk by chunk.
/// `header_octets`: of the content, in front of its body.
Task<Result<Filter::Changed>> Filter::stage(const Filtered& message, const sieve::MessageState& state,
                                            std::uint64_t header_octets) {
    auto writer = store_.stage(message.content.octets);
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    mail::Downgrader downgrader;
    std::string wire;
    auto write = [&](std::string_view text) -> Task<Result<>> {
        wire.clear();
        if (text.empty())
            encoder.finish(wire);
        else
            encoder.encode(text, wire);
        downgrader.feed(wire);
        co_return co_await writer->write(wire);
    };
    constexpr std::size_t kChunk = 64 * 1024;
    for (const auto* part : {state.header.get(), state.body.get()})
        for (auto left = part ? std::string_view(*part) : std::string_view(); !left.empty();
             left.remove_prefix(std::min(kChunk, left.size())))
            if (auto written = co_await write(left.substr(0, kChunk)); !written) co_return pass_on(written);
    if (!state.body) {
        auto reader = store_.read(message.content);
        if (!reader) co_return pass_on(reader);
        mail::WireDecoder decoder;
        std::string plain;
        for (auto skip = header_octets;;) {
            auto chunk = co_await (*reader)->next();
            if (!chunk) co_return pass_on(chunk);
            if (chunk->empty()) break;
            plain.clear();
            decoder.decode(*chunk, plain);
            const auto passed = std::min<std::uint64_t>(skip, plain.size());
            skip -= passed;
            const auto left = std::string_view(plain).substr(static_cast<std::size_t>(passed));
            if (left.empty()) continue;
            if (auto written = co_await write(left); !written) co_return pass_on(written);
        }
    }
    if (auto written = co_await write({}); !written) co_return pass_on(written);
    auto content = co_await writer->finish(encoder.sizes().octets, 1);
    if (!content) co_return pass_on(content);
    downgrader.finish();
    Changed out{std::move(*content), 0};
    if (downgrader.needed()) out.ascii_octets = out.content.octets + static_cast<std::uint64_t>(downgrader.growth());
    co_return out;
}

namespace {

using Kind = sieve::Action::Kind;

bool is_sent(const sieve::Action& one) {
    return one.kind == Kind::redirect || one.kind == Kind::vacation || one.kind == Kind::notify ||
           one.kind == Kind::reject || one.kind == Kind::ereject;
}

/// A composed message as content of its own.
sieve::MessageState state_of(std::string_view text) {
    const auto end = text.find("\r\n\r\n");
    const auto header = text.substr(0, end == text.npos ? end : end + 4);
    sieve::MessageState state;
    state.header = std::make_shared<const std::string>(header);
    state.body = std::make_shared<const std::string>(text.substr(header.size()));
    return state;
}

}  // namespace

Task<Result<FilterOutcome>> Filter::deliver(Filtered message, Scripts::Chain chain) {
    const auto looks = [](const Scripts::Active& one) { return one.script && one.script->looks_into_body; };
    bool header_alone = !looks(chain.active);
    for (const auto* scripts : {&chain.before, &chain.after, &chain.own})
        header_alone = header_alone && std::ranges::none_of(*scripts, looks);
    auto octets = co_await read(store_.read(message.content), message.content.octets, header_alone);
    if (!octets) co_return pass_on(octets);
    std::size_t header_octets = 0;
    const auto fields = sieve::read_fields(octets->text, &header_octets);
    // Our own mark on what went on from here once (as Postfix and qmail have it): it comes back, and goes no further.
    const bool forwarded_before = std::ranges::any_of(fields, [&](const auto& field) {
        return ascii::same(field.name, "delivered-to") && ascii::same(field.unfolded(), message.address);
    });
    const auto no_tls = [](const auto& field) { return mail::says_tls_not_required(field.raw); };
    if (message.tls == queue::TlsWish::usual && std::ranges::any_of(fields, no_tls))
        message.tls = queue::TlsWish::optional;
    const auto sum = [&] {
        return departure_id({std::to_string(message.account.value), message.from, message.to,
                             std::string_view(octets->text).substr(0, header_octets),
                             std::to_string(message.content.octets)});
    };
    auto done = co_await run_all(message, chain, message.head + octets->text);
    if (!done) co_return pass_on(done);
    auto outcome = std::move(*done);
    const auto rewrites = [](const sieve::Action& one) { return one.state.body != nullptr; };
    if (!octets->whole && (outcome.implicit_state.body || std::ranges::any_of(outcome.actions, rewrites))) {
        outcome = sieve::Outcome();
        outcome.error = sieve::Problem{{}, "the message is too large to be changed (sieve.max_body)"};
    }
    auto named = std::ranges::any_of(outcome.actions, is_sent) ? sum() : std::string();
    octets->text.clear();
    if (outcome.error) {
        outcome.implicit.mailbox = mailstore::kInboxName;
        log::warning("delivery.filter_failed",
                     {{"account", message.address},
                      {"detail", fmt::format("line {}, column {}: {}", outcome.error->at.line, outcome.error->at.column,
                                             outcome.error->message)}});
    }
    const auto problem = outcome.error;
    auto told = problem ? message : Filtered();
    auto carried =
        co_await carry_out(std::move(message), std::move(outcome), header_octets, std::move(named), forwarded_before);
    if (carried && problem) co_await tell(std::move(told), *problem);
    co_return carried;
}

Task<Result<bool>> Filter::has_8bit(const mailstore::Content& content) const {
    auto reader = store_.read(content);
    if (!reader) co_return pass_on(reader);
    for (;;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) co_return false;
        if (mail::has_8bit(*chunk)) co_return true;
    }
}

Task<Result<>> Filter::add_departure(const Filtered& message, const sieve::Action& action, std::uint64_t header_octets,
                                     std::vector<Departure>& departures) {
    Departure out;
    out.account = message.address;
    out.tls = message.tls;
    out.action = std::to_string(static_cast<unsigned>(action.kind));
    out.sender = action.envelope_from;
    if (action.kind == Kind::redirect) {
        auto sender = co_await dispatch_.sender_for(action.envelope_from);
        if (!sender) co_return pass_on(sender);
        out.sender = std::move(*sender);
        out.recipients = {action.address};
        const auto wants = [&](std::string_view word) {
            return ascii::to_lower(action.dsn_notify).find(word) != std::string::npos;
        };
        out.notify = {.given = !action.dsn_notify.empty(),
                      .never = wants("never"),
                      .success = wants("success"),
                      .failure = wants("failure"),
                      .delay = wants("delay")};
        if (ascii::same(action.dsn_ret, "full")) out.ret = mail::ReturnContent::full;
        if (ascii::same(action.dsn_ret, "hdrs")) out.ret = mail::ReturnContent::headers;
        out.head = mail::format_delivered_to(message.address);
        if (!action.state.changed()) {
            out.head += message.received;
            out.content = message.content;
            out.utf8 = message.ascii_octets != 0;
        } else {
            // The header that was changed is the stored one; its Return-Path is no part of what goes on (RFC 5321
            // s4.4).
            auto state = action.state;
            if (state.header) {
                std::string header;
                for (const auto& field : sieve::read_fields(*state.header))
                    if (!ascii::same(field.name, "return-path")) header += field.raw;
                state.header = std::make_shared<const std::string>(header + "\r\n");
            } else {
                out.head += message.received;
            }
            auto changed = co_await stage(message, state, header_octets);
            if (!changed) co_return pass_on(changed);
            out.content = std::move(changed->content);
            out.utf8 = changed->ascii_octets != 0;
        }
    } else {
        out.recipients = action.recipients;
        if (out.recipients.empty() || action.message.empty()) co_return Result<>();
        auto composed = co_await stage(message, state_of(action.message), 0);
        if (!composed) co_return pass_on(composed);
        out.content = std::move(composed->content);
        out.utf8 = composed->ascii_octets != 0;
        auto signatures = co_await dispatch_.signatures(message.account, action.message);
        if (!signatures) co_return pass_on(signatures);
        out.head = std::move(*signatures);
    }
    auto eight_bit = co_await has_8bit(out.content);
    if (!eight_bit) co_return pass_on(eight_bit);
    out.eight_bit = *eight_bit;
    // One commit of the queue for all who get the same.
    const auto same = std::ranges::find_if(departures, [&](const Departure& one) {
        return one.content.staged == out.content.staged && one.sender == out.sender && one.notify == out.notify &&
               one.ret == out.ret;
    });
    if (same == departures.end())
        departures.push_back(std::move(out));
    else
        same->recipients.push_back(std::move(out.recipients.front()));
    co_return Result<>();
}

Task<Result<>> Filter::send(const Filtered& message, std::vector<Departure> departures, std::string sum,
                            std::vector<mailstore::NewFact>& facts) {
    const auto fact = "sieve/sent/" + sum;
    auto known = co_await store_.fact(message.account, fact);
    if (!known) co_return pass_on(known);
    const bool again = known->has_value();  // the same octets were delivered before, to the end
    facts.push_back({fact, "", clock_.now() + kSentRemembered, true});
    // Not by its place among them: a repeated delivery may lead to fewer, where an answer was given in between.
    std::map<std::string, std::size_t> named;
    for (auto& departure : departures) {
        departure.id = random_text(queue::kIdLength);
        if (!again) {
            const auto what = fmt::format("{} {}", departure.action, fmt::join(departure.recipients, " "));
            departure.id = departure_id({sum, what, std::to_string(named[what]++)});
            auto sent = co_await dispatch_.knows(departure.id);
            if (!sent) co_return pass_on(sent);
            if (*sent) continue;
        }
        const auto id = departure.id, to = departure.recipients.front();
        auto done = co_await dispatch_.send(std::move(departure));
        if (!done) co_return done;
        log::info("delivery.sent_by_filter", {{"account", message.address}, {"id", id}, {"to", to}});
    }
    co_return Result<>();
}

Task<> Filter::tell(Filtered message, sieve::Problem problem) {
    const auto now = clock_.now();
    auto first = co_await store_.remember(message.account, "sieve/told", "", now + kTellEvery);
    if (!first || !*first) co_return;
    sieve::MessageState notice;
    notice.header = std::make_shared<const std::string>(
        fmt::format("From: Mail filter <postmaster@{0}>\r\nTo: <{1}>\r\nDate: {2}\r\nMessage-ID: <{3}@{0}>\r\n"
                    "Subject: Your mail filter failed\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                    message.host, message.address, mail::format_date(now), random_text(20)));
    notice.body = std::make_shared<const std::string>(fmt::format(
        "Your mail filter failed on a message from {}.\r\nThe message is in your INBOX as it came.\r\n\r\n"
        "Line {}, column {}: {}\r\n\r\nThis is told once a day at most, whatever else the filter fails on.\r\n",
        message.from.empty() ? "nobody" : message.from, problem.at.line, problem.at.column, problem.message));
    auto staged = co_await stage(message, notice, 0);
    Result<> stored;
    if (!staged) stored = pass_on(staged);
    if (staged) {
        mailstore::NewMessage own{"", std::move(staged->content), {}};
        own.ascii_octets = staged->ascii_octets;
        auto appended = co_await store_.append(message.account, std::move(own));
        if (!appended) stored = pass_on(appended);
    }
    if (!stored)
        log::warning("delivery.filter_failure_untold",
                     {{"account", message.address}, {"detail", stored.error().detail()}});
}

namespace {

/// Room was claimed for one copy. If there is none for the others, the first is all that is filed.
void leave_out_copies(const Filtered& message, mailstore::Filing& filing) {
    if (!message.room || filing.items.size() < 2) return;
    std::uint64_t octets = 0;
    for (const auto& item : filing.items) octets += item.message.head.size() + item.message.content.octets;
    if (message.room->claim(octets)) return;
    log::warning("delivery.copies_left_out",
                 {{"account", message.address}, {"from", message.from}, {"copies", filing.items.size() - 1}});
    filing.items.resize(1);
}

}  // namespace

class Filter::Answering {
public:
    Answering(Filter& filter, mailstore::AccountId account) : filter_(filter), account_(account) {}
    Answering(const Answering&) = delete;
    Answering& operator=(const Answering&) = delete;
    ~Answering() {
        const std::scoped_lock lock(filter_.mutex_);
        for (auto& key : keys_) filter_.answering_.erase({account_, std::move(key)});
    }
    bool claim(const std::string& key) {
        const std::scoped_lock lock(filter_.mutex_);
        if (!filter_.answering_.emplace(account_, key).second) return false;
        keys_.push_back(key);
        return true;
    }

private:
    Filter& filter_;
    mailstore::AccountId account_;
    std::vector<std::string> keys_;
};

Task<Result<std::shared_ptr<Filter::Answering>>> Filter::claim_answers(const Filtered& message,
                                                                       sieve::Outcome& outcome) {
    std::shared_ptr<Answering> claims;
    const auto answers = [](const sieve::Action& one) { return one.kind == Kind::vacation; };
    if (std::ranges::none_of(outcome.actions, answers)) co_return claims;
    claims = std::make_shared<Answering>(*this, message.account);
    for (const auto& memory : outcome.memories) {
        if (!memory.key.starts_with("sieve/vacation/")) continue;
        bool answered = !claims->claim(memory.key);
        if (!answered) {
            auto known = co_await store_.fact(message.account, memory.key);
            if (!known) co_return pass_on(known);
            answered = known->has_value();
        }
        if (answered) std::erase_if(outcome.actions, answers);
    }
    co_return claims;
}

/// `staged`: contents that the script changed, by the header of the moment; one that is new is added.
Task<Result<mailstore::Filing::Item>> Filter::item_of(const Filtered& message, const sieve::Filing& wanted,
                                                      const sieve::MessageState& state, std::uint64_t header_octets,
                                                      std::map<const std::string*, Changed>& staged) {
    mailstore::Filing::Item item;
    item.message = {message.head, message.content, {}};
    item.message.ascii_octets = message.ascii_octets;
    if (state.changed()) {
        auto found = staged.find(state.header.get());
        if (found == staged.end()) {
            auto changed = co_await stage(message, state, header_octets);
            if (!changed) co_return pass_on(changed);
            found = staged.emplace(state.header.get(), std::move(*changed)).first;
        }
        item.message.head.clear();
        item.message.content = found->second.content;
        item.message.ascii_octets = found->second.ascii_octets;
    }
    set_flags(item.message, wanted.flags);
    const bool by_default = wanted.mailbox == mailstore::kInboxName && !message.default_mailbox.empty();
    item.mailbox = by_default ? message.default_mailbox : wanted.mailbox;
    item.create = wanted.create || options_.create_mailboxes || (by_default && message.junk);
    if (wanted.special_use.size() > 1)
        item.use = mailstore::parse_special_use(ascii::to_lower(std::string_view(wanted.special_use).substr(1)))
                       .value_or(mailstore::SpecialUse::none);
    if (by_default && message.junk) item.use = mailstore::SpecialUse::junk;
    co_return item;
}

Task<Result<FilterOutcome>> Filter::carry_out(Filtered message, sieve::Outcome outcome, std::uint64_t header_octets,
                                              std::string sum, bool forwarded_before) {
    auto claims = co_await claim_answers(message, outcome);  // until all is filed
    if (!claims) co_return pass_on(claims);
    mailstore::Filing filing;
    bool kept = outcome.implicit_keep, looped = false;
    std::map<const std::string*, Changed> staged;  // by the header of the moment
    auto add = [&](const sieve::Filing& wanted, const sieve::MessageState& state) -> Task<Result<>> {
        auto item = co_await item_of(message, wanted, state, header_octets, staged);
        if (!item) co_return pass_on(item);
        filing.items.push_back(std::move(*item));
        co_return Result<>();
    };

    std::vector<Departure> departures;
    std::vector<sieve::MessageState> composed;  // kept, because `staged` names contents after their headers
    for (const auto& action : outcome.actions) {
        switch (action.kind) {
            case Kind::keep:
            case Kind::fileinto: {
                if (auto added = co_await add(action.filing, action.state); !added) co_return pass_on(added);
                break;
            }
            case Kind::reject:
            case Kind::ereject:
                log::info("delivery.rejected_by_filter", {{"account", message.address}, {"from", message.from}});
                if (message.may_reject) co_return FilterOutcome{reply_text(action.text)};
                if (!dispatch_.sends() || message.from.empty()) {  // nobody can be told, and nothing is to be lost
                    log::warning("delivery.not_rejected", {{"account", message.address}, {"from", message.from}});
                    kept = true;
                    break;
                }
                if (auto added = co_await add_departure(message, action, header_octets, departures); !added)
                    co_return pass_on(added);
                break;
            case Kind::discard: break;
            case Kind::redirect:
                if (forwarded_before) {
                    log::warning("delivery.forward_loop", {{"account", message.address}, {"to", action.address}});
                    looped = true;
                    break;
                }
                if (auto added = co_await add_departure(message, action, header_octets, departures); !added)
                    co_return pass_on(added);
                break;
            case Kind::vacation:
            case Kind::notify:
                if (auto added = co_await add_departure(message, action, header_octets, departures); !added)
                    co_return pass_on(added);
                if (!action.fcc) break;  // RFC 8580
                composed.push_back(state_of(action.message));
                if (auto added = co_await add(*action.fcc, composed.back()); !added) co_return pass_on(added);
                break;
        }
    }
    if (kept || (looped && filing.items.empty())) {
        outcome.implicit.mailbox = mailstore::kInboxName;
        auto added = co_await add(outcome.implicit, outcome.implicit_state);
        if (!added) co_return pass_on(added);
    }
    const auto now = clock_.now();
    for (const auto& memory : outcome.memories)
        filing.facts.push_back({memory.key, "", now + memory.lasts, memory.renew});
    if (filing.items.empty() && departures.empty())
        log::info("delivery.discarded_by_filter", {{"account", message.address}, {"from", message.from}});

    leave_out_copies(message, filing);
    co_return co_await commit(message, std::move(filing), std::move(departures), std::move(sum));
}

/// In the queue first: see deliver(). Where nothing is filed, the fact alone is a commit: a message that only goes on
/// would else go on twice when the server ends between the queue's commit and its reply.
Task<Result<FilterOutcome>> Filter::commit(const Filtered& message, mailstore::Filing filing,
                                           std::vector<Departure> departures, std::string sum) {
    if (!departures.empty()) {
        auto sent = co_await send(message, std::move(departures), std::move(sum), filing.facts);
        if (!sent) co_return pass_on(sent);
    }
    auto stored = co_await store_.file(message.account, filing);
    if (!stored && stored.error().code() == Errc::too_large) {  // flags and mailboxes may be too many; the mail is not
        for (auto& item : filing.items) {
            item.message.keywords.clear();
            item.create = false;
        }
        stored = co_await store_.file(message.account, std::move(filing));
    }
    if (!stored) co_return pass_on(stored);
    co_return FilterOutcome();
}

}  // namespace poplar::delivery
