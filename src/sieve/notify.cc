// RFC 5435 with its one method, mailto (RFC 5436).
#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "sieve/compose.h"
#include "sieve/constants.h"
#include "sieve/machine.h"

namespace poplar::sieve {

void Machine::notify(const Node& node) {
    charge(50);
    const auto uri = expand_first(node.arguments[0]);
    auto method = parse_notify_method(uri);
    if (!method) fail(node, std::move(method.error()));
    auto importance = node.has(Tag::importance) ? tag_value(node, Tag::importance) : "2";
    if (auto wrong = wrong_importance(importance); !wrong.empty()) fail(node, std::move(wrong));
    Action action{.kind = Action::Kind::notify};
    if (const auto* options = node.tag(Tag::options)) action.options = expand(options->strings);
    for (const auto& option : action.options)
        if (auto wrong = wrong_option(option); !wrong.empty()) fail(node, std::move(wrong));
    auto copy = fcc(node);
    // RFC 5436 s2.7: what a program sent leads to no notification, so that two filters never write to each other.
    for (const auto& field : original_)
        if (ascii::same(field.name, "auto-submitted")) {
            const auto value = field.unfolded();
            if (!ascii::same(ascii::trim(std::string_view(value).substr(0, value.find_first_of(";("))), "no")) return;
        }
    const auto from = tag_value(node, Tag::from);
    action.from = node.has(Tag::from) && is_one_address(from) ? from : job_.envelope.to;
    for (const auto* list : {&method->to, &method->cc, &method->bcc})
        for (const auto& address : *list) {
            auto text = mail::to_string(address);
            const auto told = [&](const Action& one) {
                return one.kind == Action::Kind::notify &&
                       std::ranges::find(one.recipients, text) != one.recipients.end();
            };
            if (std::ranges::none_of(out_.actions, told)) action.recipients.push_back(std::move(text));
        }
    if (action.recipients.empty()) return;  // they are notified already
    if (++notifications_ > options_.notifications)
        fail(node, fmt::format("more than {} notifications", options_.notifications));
    action.method = uri;
    action.importance = importance;
    action.text = tag_value(node, Tag::message);
    if (!job_.envelope.from.empty()) {
        const auto address = parse_one_address(action.from);
        action.envelope_from = address ? mail::to_string(*address) : job_.envelope.to;
    }
    action.fcc = std::move(copy);
    spend(method->body.size() + action.text.size());
    action.message = compose_notification({.owner = own_address(),
                                           .from = action.from,
                                           .message = action.text,
                                           .importance = importance,
                                           .date = format(DatePart::std11, now()),
                                           .id = message_id("notify")},
                                          *method, message_.fields());
    add(node, std::move(action));
}

}  // namespace poplar::sieve
