#include "imap/notify_words.h"

#include <algorithm>
#include <array>
#include <utility>

#include "imap/words.h"

namespace poplar::imap {

namespace {

using Filter = EventGroup::Filter;

constexpr std::array<std::pair<std::string_view, std::uint8_t>, 7> kEvents = {{
    {"MESSAGENEW", events::kMessageNew},
    {"MESSAGEEXPUNGE", events::kMessageExpunge},
    {"FLAGCHANGE", events::kFlagChange},
    {"MAILBOXNAME", events::kMailboxName},
    {"SUBSCRIPTIONCHANGE", events::kSubscription},
    {"MAILBOXMETADATACHANGE", events::kMailboxMetadata},
    {"SERVERMETADATACHANGE", events::kServerMetadata},
}};

// All mailboxes may get mail, so INBOXES is PERSONAL (RFC 5465 s6.3).
constexpr std::array<std::pair<std::string_view, Filter>, 7> kFilters = {{
    {"SELECTED", Filter::selected},
    {"SELECTED-DELAYED", Filter::selected_delayed},
    {"INBOXES", Filter::personal},
    {"PERSONAL", Filter::personal},
    {"SUBSCRIBED", Filter::subscribed},
    {"SUBTREE", Filter::subtree},
    {"MAILBOXES", Filter::mailboxes},
}};

bool parse_names(Cursor& in, EventGroup& group, std::size_t& count) {
    const bool list = in.take('(');
    do {
        auto name = parse_mailbox(in);
        if (!name || ++count > NotifyRequest::kMostNames) return false;
        group.names.push_back(std::move(*name));
    } while (list && in.space());
    return !list || in.take(')');
}

bool parse_events(Cursor& in, EventGroup& group, bool& unknown) {
    do {
        const auto word = parse_keyword(in);
        if (!word) return false;
        const auto* const known = std::ranges::find(kEvents, *word, &decltype(kEvents)::value_type::first);
        if (known == kEvents.end()) {
            unknown = true;
            continue;
        }
        group.events |= known->second;
        auto items = in;
        if (known->second == events::kMessageNew && items.space() && items.at('(')) {
            auto parsed = parse_fetch_items(items);
            if (!parsed || !group.is_selected()) return false;
            group.items = std::move(*parsed);
            in = items;
        }
    } while (in.space());
    return true;
}

/// RFC 5465 s5, s6.1.
bool is_sound(const EventGroup& group) {
    const bool fresh = (group.events & events::kMessageNew) != 0, gone = (group.events & events::kMessageExpunge) != 0;
    if (fresh != gone || ((group.events & events::kFlagChange) != 0 && !fresh)) return false;
    return !group.is_selected() || (group.events & ~events::kOfMessages) == 0;
}

}  // namespace

bool EventGroup::covers(std::string_view name, bool subscribed) const {
    const auto is = [&](const std::string& one) { return name == one; };
    const auto is_below = [&](const std::string& one) {
        return name == one || (name.starts_with(one) && name.substr(one.size()).starts_with('/'));
    };
    switch (filter) {
        case Filter::selected:
        case Filter::selected_delayed: return false;
        case Filter::personal: return true;
        case Filter::subscribed: return subscribed;
        case Filter::subtree: return std::ranges::any_of(names, is_below);
        case Filter::mailboxes: return std::ranges::any_of(names, is);
    }
    return false;
}

std::optional<NotifyRequest> parse_notify(Cursor& in) {
    NotifyRequest request;
    const auto word = parse_keyword(in);
    if (word && *word == "NONE" && in.at_end()) {
        request.none = true;
        return request;
    }
    if (!word || *word != "SET" || !in.space()) return std::nullopt;
    request.status = in.take_word("STATUS ");
    std::size_t names = 0;
    bool has_selected = false;
    do {
        EventGroup group;
        if (!in.take('(') || request.groups.size() == NotifyRequest::kMostGroups) return std::nullopt;
        const auto filter = parse_keyword(in);
        if (!filter || !in.space()) return std::nullopt;
        const auto* const known = std::ranges::find(kFilters, *filter, &decltype(kFilters)::value_type::first);
        if (known == kFilters.end()) return std::nullopt;
        group.filter = known->second;
        if (group.is_selected() && std::exchange(has_selected, true)) return std::nullopt;
        if (group.filter == Filter::subtree || group.filter == Filter::mailboxes)
            if (!parse_names(in, group, names) || !in.space()) return std::nullopt;
        // RFC 5465's grammar has a list of events, and an example has them without its parentheses.
        if (!in.take_word("NONE")) {
            const bool list = in.take('(');
            if (!parse_events(in, group, request.unknown) || (list && !in.take(')'))) return std::nullopt;
        }
        if (!in.take(')') || !is_sound(group)) return std::nullopt;
        request.groups.push_back(std::move(group));
    } while (in.space());
    if (!in.at_end()) return std::nullopt;
    return request;
}

}  // namespace poplar::imap
