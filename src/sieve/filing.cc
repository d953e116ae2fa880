// Actions that decide where a message goes: keep, fileinto, redirect, reject; and those that change its header.
#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "sieve/compose.h"
#include "sieve/constants.h"
#include "sieve/machine.h"

namespace poplar::sieve {

namespace {

bool is_filed(const Action& action) {
    return action.kind == Action::Kind::keep || action.kind == Action::Kind::fileinto;
}
bool same_mailbox(std::string_view a, std::string_view b) {
    return a == b || (ascii::same(a, "INBOX") && ascii::same(b, "INBOX"));
}

}  // namespace

MessageState Machine::state() {
    if (!message_.changed()) return {};
    if (!state_known_) {
        auto header = message_.header();
        spend(header.size());
        state_.header = std::make_shared<const std::string>(std::move(header));
        state_.body = nullptr;
        if (message_.body_changed()) {
            spend(message_.body().size());
            state_.body = std::make_shared<const std::string>(message_.body());
        }
        state_known_ = true;
    }
    return state_;
}

Action& Machine::add(const Node& node, Action action) {
    action.at = node.at;
    if (action.kind == Action::Kind::discard &&
        std::ranges::any_of(out_.actions, [](const auto& one) { return one.kind == Action::Kind::discard; }))
        return out_.actions.back();
    if (out_.actions.size() >= options_.actions) fail(node, fmt::format("more than {} actions", options_.actions));
    charge(20);
    out_.actions.push_back(std::move(action));
    return out_.actions.back();
}

/// RFC 5228 s2.10.3: once into each mailbox; RFC 5232 s3: the last flags win.
void Machine::file(const Node& node, Action action) {
    for (auto& earlier : out_.actions) {
        if (!is_filed(earlier) || !same_mailbox(earlier.filing.mailbox, action.filing.mailbox)) continue;
        earlier.filing.flags = std::move(action.filing.flags);
        earlier.filing.create |= action.filing.create;
        return;
    }
    action.state = state();
    add(node, std::move(action));
}

void Machine::keep(const Node& node) {
    cancel_keep();
    Action action{.kind = Action::Kind::keep};
    action.filing = {"INBOX", {}, flags_of(node), false};
    file(node, std::move(action));
}

/// The mailbox that is meant, after :mailboxid (RFC 9042) and :specialuse (RFC 8579).
Filing Machine::filing(const Node& node, std::string mailbox) {
    Filing out;
    if (auto wrong = wrong_mailbox(mailbox); !wrong.empty()) fail(node, std::move(wrong));
    out.mailbox = std::move(mailbox);
    out.flags = flags_of(node);
    out.create = node.has(Tag::create);
    if (node.has(Tag::mailboxid)) {
        if (auto found = world_.mailbox_by_id(tag_value(node, Tag::mailboxid))) out.mailbox = std::move(*found);
    } else if (node.has(Tag::specialuse)) {
        const auto use = tag_value(node, Tag::specialuse);
        if (use.size() < 2 || use[0] != '\\' ||
            !std::ranges::all_of(use.substr(1), [](char c) { return ascii::is_alnum(c); }))
            fail(node, fmt::format("\"{}\" is no special use", use));
        const auto found = world_.mailboxes_for(use);
        out.special_use = use;
        if (!found.empty() && std::ranges::find(found, out.mailbox) == found.end()) out.mailbox = found.front();
    }
    if (ascii::same(out.mailbox, "INBOX")) out.mailbox = "INBOX";
    return out;
}

void Machine::fileinto(const Node& node) {
    Action action{.kind = Action::Kind::fileinto};
    action.filing = filing(node, expand_first(node.arguments[0]));
    action.copy = node.has(Tag::copy);
    if (!action.copy) cancel_keep();
    file(node, std::move(action));
}

void Machine::redirect(const Node& node) {
    std::vector<std::string> addresses{expand_first(node.arguments[0])};
    if (node.has(Tag::list)) {
        auto members = world_.list(list_name(addresses.front()));
        if (!members) fail(node, fmt::format("there is no list \"{}\" of addresses", addresses.front()));
        addresses = std::move(*members);
    }
    if (!node.has(Tag::copy) && !addresses.empty()) cancel_keep();  // a list without members takes nobody's mail away
    for (const auto& text : addresses) {
        const auto address = parse_one_address(text);
        if (!address) fail(node, fmt::format("\"{}\" is no address", text));
        Action action{.kind = Action::Kind::redirect};
        action.address = mail::to_string(*address);
        action.copy = node.has(Tag::copy);
        action.envelope_from = job_.envelope.from;
        const bool dsn = node.has(Tag::notify) || node.has(Tag::ret);
        if (dsn && !job_.envelope.from.empty()) action.envelope_from = own_address();  // RFC 6009 s6.1
        action.dsn_notify = tag_value(node, Tag::notify);
        action.dsn_ret = tag_value(node, Tag::ret);
        if (const auto* by = node.tag(Tag::bytimerelative)) action.by_seconds = static_cast<std::int64_t>(by->number);
        if (node.has(Tag::bytimeabsolute)) {
            const auto time = parse_iso8601(tag_value(node, Tag::bytimeabsolute));
            if (!time) fail(node, "\":bytimeabsolute\" is a time of RFC 3339");
            action.by_seconds = (time->time - now().time).count();
        }
        action.by_mode = tag_value(node, Tag::bymode);
        action.by_trace = node.has(Tag::bytrace);
        const auto known = [&](const Action& one) {
            return one.kind == Action::Kind::redirect && ascii::same(one.address, action.address);
        };
        if (std::ranges::any_of(out_.actions, known)) continue;
        if (++redirects_ > options_.redirects)
            fail(node, fmt::format("the message is sent on to more than {} addresses", options_.redirects));
        action.state = state();
        add(node, std::move(action));
    }
}

void Machine::reject(const Node& node) {
    const auto is_reject = [](const Action& one) {
        return one.kind == Action::Kind::reject || one.kind == Action::Kind::ereject;
    };
    if (std::ranges::any_of(out_.actions, is_reject)) fail(node, "the message is rejected twice");
    cancel_keep();
    Action action{.kind = node.op == Op::reject ? Action::Kind::reject : Action::Kind::ereject};
    action.text = expand_first(node.arguments[0]);
    if (!job_.envelope.from.empty()) {  // RFC 5429 s2.2.1
        action.recipients = {job_.envelope.from};
        spend(action.text.size() + job_.message.size() / 8);
        action.message = compose_rejection({.owner = own_address(),
                                            .recipient = job_.envelope.to,
                                            .sender = job_.envelope.from,
                                            .reason = action.text,
                                            .date = format(DatePart::std11, now()),
                                            .id = message_id("reject"),
                                            .host = job_.environment.host},
                                           original_);
    }
    add(node, std::move(action));
}

/// Leaves out what would not be done: a copy in INBOX beside the implicit keep, and `discard` beside what keeps the
/// message, passes it on, or refuses it.
void Machine::settle() {
    using Kind = Action::Kind;
    if (keeps_)
        std::erase_if(out_.actions, [](const Action& one) { return is_filed(one) && one.filing.mailbox == "INBOX"; });
    const auto deals = [](const Action& one) {
        return one.kind != Kind::discard && one.kind != Kind::vacation && one.kind != Kind::notify;
    };
    if (std::ranges::any_of(out_.actions, deals))
        std::erase_if(out_.actions, [](const Action& one) { return one.kind == Kind::discard; });
}

/// RFC 5429 s2.4.
void Machine::check_conflicts() const {
    bool rejected = false, delivered = false;
    Position at;
    for (const auto& action : out_.actions) {
        switch (action.kind) {
            case Action::Kind::reject:
            case Action::Kind::ereject:
                rejected = true;
                at = action.at;
                break;
            case Action::Kind::keep:
            case Action::Kind::fileinto:
            case Action::Kind::redirect: delivered = true; break;
            default: break;
        }
    }
    if (rejected && delivered) throw RunError{{at, "the message is both rejected and delivered"}};
    if (rejected && vacation_ran_) throw RunError{{at, "the message is both rejected and answered by \"vacation\""}};
}

void Machine::addheader(const Node& node) {
    const auto name = expand_first(node.arguments[0]);
    const auto value = expand_first(node.arguments[1]);
    if (!is_field_name(name)) fail(node, fmt::format("\"{}\" is no name of a header field", name));
    if (auto wrong = wrong_header_value(value); !wrong.empty()) fail(node, std::move(wrong));
    if (ascii::same(name, "original-subject") || ascii::same(name, "original-from")) return;  // RFC 5703 s5
    spend(name.size() + value.size());
    charge(5 + value.size() / 32 + message_.fields().size() / 16);
    message_.add(name, value, node.has(Tag::last) ? Message::Place::last : Message::Place::first);
    values_.clear();
    state_known_ = false;
}

void Machine::deleteheader(const Node& node) {
    const auto name = expand_first(node.arguments[0]);
    if (!is_field_name(name)) fail(node, fmt::format("\"{}\" is no name of a header field", name));
    if (ascii::same(name, "received") || ascii::same(name, "auto-submitted")) return;  // RFC 5293 s6
    const auto& fields = message_.fields();
    charge(1 + fields.size() / 8);
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < fields.size(); ++i)
        if (ascii::same(fields[i].name, name)) found.push_back(i);
    if (const auto* index = node.tag(Tag::index)) {
        const auto number = index->number;
        if (number == 0 || number > found.size()) return;
        const auto at = static_cast<std::size_t>(number);
        found = {node.has(Tag::last) ? found[found.size() - at] : found[at - 1]};
    }
    const bool counts = node.match.type == Match::Type::count;
    if (counts && node.arguments[1].given && !match_count(node, found.size(), node.arguments[1].strings)) return;
    std::size_t erased = 0;
    for (const auto at : found) {
        const auto& field = fields[at - erased];
        if (field.fixed) continue;
        charge(4);
        if (!counts && node.arguments[1].given && !match_any(node, {field.value()}, node.arguments[1].strings))
            continue;
        charge(1 + fields.size() / 16);
        message_.erase(at - erased++);
    }
    if (erased == 0) return;
    values_.clear();
    state_known_ = false;
}

}  // namespace poplar::sieve
