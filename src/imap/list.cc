// LIST with its options (RFC 9051 s6.3.9; RFC 5258, RFC 5819, RFC 6154), and LSUB (RFC 3501 s6.3.9).
#include <algorithm>
#include <map>

#include "base/turn.h"
#include "imap/client.h"
#include "imap/mailbox_name.h"
#include "mailstore/mailbox_name.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kMostPatterns = 100;
constexpr std::size_t kLongestPattern = 4096;  // octets, with the reference; no name is so long

/// A name that LIST may show: a mailbox, what stands above one and is none, or a subscription whose mailbox was
/// removed.
struct Entry {
    const mailstore::Mailbox* mailbox = nullptr;
    bool is_lost = false;
    bool has_children = false, has_subscribed_children = false, has_used_children = false;
};

}  // namespace

struct Client::Listing {
    std::string reference;
    std::vector<std::string> patterns;
    bool only_subscribed = false, only_special = false, recursive = false;
    bool say_subscribed = false, say_children = false, say_special = false;
    std::optional<StatusItems> status;
    std::string_view word = "LIST";  ///< or LSUB
};

std::optional<Client::Listing> Client::parse_list(Cursor& in) {
    Listing listing;
    bool extended = false;
    if (in.take('(')) {
        extended = true;
        for (bool first = true; !in.take(')'); first = false) {
            if (!first && !in.space()) return std::nullopt;
            const auto word = parse_keyword(in);
            if (!word) return std::nullopt;
            if (*word == "SUBSCRIBED")
                listing.only_subscribed = listing.say_subscribed = true;
            else if (*word == "SPECIAL-USE")
                listing.only_special = listing.say_special = true;
            else if (*word == "RECURSIVEMATCH")
                listing.recursive = true;
            else if (*word != "REMOTE")
                return std::nullopt;
        }
        // RFC 5258 s3: it is about what others choose.
        if (listing.recursive && !listing.only_subscribed && !listing.only_special) return std::nullopt;
        if (!in.space()) return std::nullopt;
    }
    auto reference = parse_mailbox(in);
    if (!reference || !in.space()) return std::nullopt;
    listing.reference = std::move(*reference);
    if (in.take('(')) {
        do {
            auto pattern = parse_pattern(in);
            if (!pattern || listing.patterns.size() == kMostPatterns) return std::nullopt;
            listing.patterns.push_back(std::move(*pattern));
        } while (in.space());
        if (!in.take(')')) return std::nullopt;
    } else {
        auto pattern = parse_pattern(in);
        if (!pattern) return std::nullopt;
        listing.patterns.push_back(std::move(*pattern));
    }
    if (in.space()) {
        extended = true;
        if (!in.take_word("RETURN (")) return std::nullopt;
        for (bool first = true; !in.take(')'); first = false) {
            if (!first && !in.space()) return std::nullopt;
            const auto word = parse_keyword(in);
            if (!word) return std::nullopt;
            if (*word == "SUBSCRIBED") {
                listing.say_subscribed = true;
            } else if (*word == "CHILDREN") {
                listing.say_children = true;
            } else if (*word == "SPECIAL-USE") {
                listing.say_special = true;
            } else if (*word == "STATUS" && in.space()) {
                listing.status = parse_status_items(in);
                if (!listing.status) return std::nullopt;
            } else {
                return std::nullopt;
            }
        }
    }
    // RFC 6154 s2: servers may say these to who has not asked, and clients have come to wait for it (RFC 3348, too).
    if (!extended) listing.say_special = listing.say_children = true;
    if (!in.at_end()) return std::nullopt;
    return listing;
}

Task<Result<>> Client::list(Cursor in) {
    auto listing = parse_list(in);
    if (!listing) co_return co_await bad_arguments();
    // RFC 9051 s6.3.9: no pattern asks for the separator.
    if (listing->patterns.size() == 1 && listing->patterns.front().empty()) {
        untagged("LIST (\\Noselect) \"/\" \"\"");
        co_return co_await ok("done");
    }
    co_return co_await say_list(std::move(*listing));
}

Task<Result<>> Client::lsub(Cursor in) {
    auto reference = parse_mailbox(in);
    if (!reference || !in.space()) co_return co_await bad_arguments();
    auto pattern = parse_pattern(in);
    if (!pattern || !in.at_end()) co_return co_await bad_arguments();
    Listing listing;
    listing.reference = std::move(*reference);
    listing.patterns.push_back(std::move(*pattern));
    // RFC 3501 s6.3.9: of `a/b`, pattern "%" shows "a" with \Noselect.
    listing.only_subscribed = listing.recursive = true;
    listing.word = "LSUB";
    co_return co_await say_list(std::move(listing));
}

Task<Result<>> Client::say_list(Listing listing) {
    auto mailboxes = co_await services_.store.mailboxes(account());
    if (!mailboxes) co_return co_await no(mailboxes.error(), "the mailboxes can't be read");
    std::map<std::string_view, Entry> entries;
    for (const auto& mailbox : *mailboxes) {
        if (!may_see(mailbox.id)) continue;
        entries[mailbox.name].mailbox = &mailbox;
        for (auto above = mailstore::parent_of(mailbox.name); !above.empty(); above = mailstore::parent_of(above)) {
            auto& entry = entries[above];
            entry.has_children = true;
            entry.has_subscribed_children = entry.has_subscribed_children || mailbox.subscribed;
            entry.has_used_children = entry.has_used_children || mailbox.use != mailstore::SpecialUse::none;
        }
    }
    // RFC 9051 s6.3.5: a subscription outlives its mailbox. A device that sees only some never had it.
    std::vector<std::string> lost;
    if ((listing.only_subscribed || listing.say_subscribed) && sees_all()) {
        auto names = co_await services_.store.lost_subscriptions(account());
        if (!names) co_return co_await no(names.error(), "the subscriptions can't be read");
        lost = std::move(*names);
    }
    for (const auto& name : lost) {
        entries[name].is_lost = true;
        for (auto above = mailstore::parent_of(name); !above.empty(); above = mailstore::parent_of(above))
            entries[above].has_subscribed_children = true;
    }
    // INBOX is shown first, as people expect.
    std::vector<std::pair<std::string_view, const Entry*>> order;
    const auto inbox = entries.find(mailstore::kInboxName);
    if (inbox != entries.end()) order.emplace_back(inbox->first, &inbox->second);
    for (const auto& [name, entry] : entries)
        if (name != mailstore::kInboxName) order.emplace_back(name, &entry);

    std::vector<std::string> patterns;
    for (const auto& pattern : listing.patterns)
        if (listing.reference.size() + pattern.size() <= kLongestPattern)
            patterns.push_back(listing.reference + pattern);
    const bool is_lsub = listing.word == "LSUB";
    for (const auto& [name, entry] : order) {
        if (turn::over()) co_await turn::let_others();
        const auto shown = utf8_ ? std::string(name) : to_utf7(name);
        const auto fits = [&](const std::string& pattern) { return fits_pattern(shown, pattern); };
        if (!std::ranges::any_of(patterns, fits)) continue;
        const auto* mailbox = entry->mailbox;
        const bool subscribed = mailbox ? mailbox->subscribed : entry->is_lost;
        const bool special = mailbox && mailbox->use != mailstore::SpecialUse::none;
        const bool chosen = (!listing.only_subscribed || subscribed) && (!listing.only_special || special) &&
                            (mailbox || entry->has_children || listing.only_subscribed);
        // RFC 5258 s3.5: what was not chosen itself is shown for what is below it.
        const bool below = listing.recursive && (!listing.only_subscribed || entry->has_subscribed_children) &&
                           (!listing.only_special || entry->has_used_children);
        if (!chosen && !below) continue;
        std::string attributes;
        const auto add = [&](std::string_view attribute) {
            attributes.append(attributes.empty() ? "" : " ").append(attribute);
        };
        if (is_lsub) {
            if (!chosen) add("\\Noselect");
        } else {
            if (!mailbox) add(rev2_ || listing.only_subscribed ? "\\NonExistent" : "\\Noselect");
            if (subscribed && listing.say_subscribed) add("\\Subscribed");
            if (listing.say_children || !mailbox) add(entry->has_children ? "\\HasChildren" : "\\HasNoChildren");
            if (special && listing.say_special) add(name_of(mailbox->use));
        }
        fmt::format_to(std::back_inserter(out_), "* {} ({}) \"/\" ", listing.word, attributes);
        write_mailbox(out_, name);
        if (!is_lsub && listing.recursive && listing.only_subscribed && entry->has_subscribed_children)
            out_.append(" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
        out_.append("\r\n");
        if (listing.status && mailbox)
            if (auto written = co_await write_status(*mailbox, *listing.status); !written)
                co_return co_await no(written.error(), "a mailbox can't be read");
        if (auto sent = co_await send_some(); !sent) co_return sent;
    }
    co_return co_await ok("done");
}

}  // namespace poplar::imap
