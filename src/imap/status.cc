#include "imap/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "imap/words.h"

namespace poplar::imap {

namespace {

constexpr std::array<std::string_view, 6> kUses = {"", "\\Drafts", "\\Sent", "\\Junk", "\\Trash", "\\Archive"};

struct Row {
    std::string_view name;
    bool StatusItems::* item;
};
constexpr Row kItems[] = {
    {"MESSAGES", &StatusItems::messages},
    {"RECENT", &StatusItems::recent},
    {"UIDNEXT", &StatusItems::uid_next},
    {"UIDVALIDITY", &StatusItems::uid_validity},
    {"UNSEEN", &StatusItems::unseen},
    {"DELETED", &StatusItems::deleted},
    {"SIZE", &StatusItems::size},
    {"HIGHESTMODSEQ", &StatusItems::highest_mod_sequence},
    {"MAILBOXID", &StatusItems::mailbox_id},
    {"APPENDLIMIT", &StatusItems::append_limit},
    {"DELETED-STORAGE", &StatusItems::deleted_storage},
};

}  // namespace

std::optional<StatusItems> parse_status_items(Cursor& in) {
    const auto words = parse_words(in);
    if (!words) return std::nullopt;
    StatusItems items;
    for (const auto& word : *words) {
        const auto* const known = std::ranges::find(kItems, word, &Row::name);
        if (known == std::end(kItems)) return std::nullopt;
        items.*known->item = true;
    }
    return items;
}

std::string status_of(const mailstore::Mailbox& mailbox, const StatusItems& items, std::uint64_t append_limit,
                      std::uint64_t deleted_octets) {
    std::string out;
    const auto add = [&](bool wanted, std::string_view name, std::uint64_t value) {
        if (wanted) fmt::format_to(std::back_inserter(out), "{}{} {}", out.empty() ? "" : " ", name, value);
    };
    const auto& totals = mailbox.totals;
    add(items.messages, "MESSAGES", totals.messages);
    add(items.recent, "RECENT", 0);
    add(items.uid_next, "UIDNEXT", mailbox.uid_next.value);
    add(items.uid_validity, "UIDVALIDITY", mailbox.uid_validity);
    add(items.unseen, "UNSEEN", totals.unseen());
    add(items.deleted, "DELETED", totals.deleted);
    add(items.size, "SIZE", totals.octets);
    add(items.highest_mod_sequence, "HIGHESTMODSEQ", std::max<std::uint64_t>(mailbox.changed.value, 1));
    add(items.append_limit, "APPENDLIMIT", append_limit);
    add(items.deleted_storage, "DELETED-STORAGE", deleted_octets);
    if (items.mailbox_id)
        fmt::format_to(std::back_inserter(out), "{}MAILBOXID (M{})", out.empty() ? "" : " ", mailbox.id.value);
    return out;
}

std::string_view name_of(mailstore::SpecialUse use) { return kUses.at(static_cast<std::size_t>(use)); }

std::optional<mailstore::SpecialUse> use_named(std::string_view name) {
    const auto* const known =
        std::find_if(kUses.begin() + 1, kUses.end(), [&](std::string_view use) { return ascii::same(use, name); });
    if (known == kUses.end()) return std::nullopt;
    return static_cast<mailstore::SpecialUse>(known - kUses.begin());
}

}  // namespace poplar::imap
