#include "imap/selected.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace poplar::imap {

namespace {

constexpr std::array<std::string_view, kSystemFlags> kFlags = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
                                                               "\\Draft"};

std::uint32_t set_of(const ListedMessage& message) { return message.flags >> 8; }

}  // namespace

std::string_view flag_name(std::size_t bit) { return kFlags[bit]; }

std::optional<NamedFlags> sort_flags(const std::vector<std::string>& names) {
    NamedFlags flags;
    for (const auto& name : names) {
        if (!name.starts_with('\\')) {
            flags.keywords.push_back(name);
            continue;
        }
        const auto known = std::ranges::find_if(kFlags, [&](std::string_view flag) { return ascii::same(flag, name); });
        if (known == kFlags.end()) return std::nullopt;
        flags.system = static_cast<std::uint8_t>(flags.system | 1u << (known - kFlags.begin()));
    }
    return flags;
}

Differences compare(const MessageList& before, const MessageList& after) {
    Differences found;
    const auto &a = before.messages, &b = after.messages;
    std::size_t i = 0, j = 0;
    while (i < a.size() && j < b.size()) {
        if (a[i].uid == b[j].uid) {
            if (a[i].changed != b[j].changed) found.changed.push_back(static_cast<std::uint32_t>(j));
            ++i, ++j;
        } else if (a[i].uid < b[j].uid) {
            found.gone.push_back(static_cast<std::uint32_t>(i++));
        } else {
            ++j;  // can't be: a UID is given once, and ascends
        }
    }
    for (; i < a.size(); ++i) found.gone.push_back(static_cast<std::uint32_t>(i));
    found.fresh = b.size() - j;
    return found;
}

std::optional<Differences> compare_at(const MessageList& before, const MessageList& after,
                                      std::span<const std::uint32_t> uids) {
    Differences found;
    const auto find = [](const std::vector<ListedMessage>& in, std::vector<ListedMessage>::const_iterator from,
                         std::uint32_t uid) {
        return std::ranges::lower_bound(from, in.end(), uid, {}, &ListedMessage::uid);
    };
    const auto &a = before.messages, &b = after.messages;
    auto i = a.begin(), j = b.begin();
    for (const auto uid : uids) {
        i = find(a, i, uid);
        j = find(b, j, uid);
        const bool was = i != a.end() && i->uid == uid, is = j != b.end() && j->uid == uid;
        if (was && !is) found.gone.push_back(static_cast<std::uint32_t>(i - a.begin()));
        if (is && !was) ++found.fresh;
        if (was && is && i->changed != j->changed) found.changed.push_back(static_cast<std::uint32_t>(j - b.begin()));
    }
    if (a.size() - found.gone.size() + found.fresh != b.size()) return std::nullopt;
    return found;
}

std::shared_ptr<const MessageList> with_gone(const MessageList& before, std::span<const std::uint32_t> gone,
                                             const MessageList& after) {
    auto joined = std::make_shared<MessageList>();
    joined->keyword_sets = after.keyword_sets;
    std::vector<ListedMessage> ghosts;
    ghosts.reserve(gone.size());
    for (auto at : gone) {
        auto ghost = before.messages[at];
        ghost.flags &= 0xff;
        ghosts.push_back(ghost);
    }
    joined->messages.reserve(after.messages.size() + ghosts.size());
    std::ranges::merge(after.messages, ghosts, std::back_inserter(joined->messages), {}, &ListedMessage::uid,
                       &ListedMessage::uid);
    return joined;
}

std::shared_ptr<const MessageList> frozen(const MessageList& before, const MessageList& after) {
    auto list = std::make_shared<MessageList>();
    list->keyword_sets = after.keyword_sets;
    list->messages.reserve(before.messages.size());
    auto at = after.messages.begin();
    for (auto message : before.messages) {
        at = std::ranges::lower_bound(at, after.messages.end(), message.uid, {}, &ListedMessage::uid);
        message.flags &= 0xff;
        const bool is_there = at != after.messages.end() && at->uid == message.uid;
        list->messages.push_back(is_there ? *at : message);
    }
    return list;
}

std::vector<SequenceSet::Range> without_messages(const std::vector<SequenceSet::Range>& uids, const MessageList& list) {
    std::vector<SequenceSet::Range> free;
    const auto& messages = list.messages;
    auto at = messages.begin();
    for (const auto& range : uids) {
        std::uint64_t next = range.first;
        at = std::ranges::lower_bound(at, messages.end(), range.first, {}, &ListedMessage::uid);
        for (; at != messages.end() && at->uid <= range.last; ++at) {
            if (at->uid > next) free.push_back({static_cast<std::uint32_t>(next), at->uid - 1});
            next = std::uint64_t(at->uid) + 1;
        }
        if (next <= range.last) free.push_back({static_cast<std::uint32_t>(next), range.last});
    }
    return free;
}

std::vector<SequenceSet::Range> common(const std::vector<SequenceSet::Range>& a,
                                       const std::vector<SequenceSet::Range>& b) {
    std::vector<SequenceSet::Range> both;
    for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
        const auto first = std::max(i->first, j->first), last = std::min(i->last, j->last);
        if (first <= last) both.push_back({first, last});
        if (i->last < j->last)
            ++i;
        else
            ++j;
    }
    return both;
}

Selected::Selected(const mailstore::Mailbox& mailbox, bool read_only, std::shared_ptr<const MessageList> list,
                   std::vector<std::string> keywords)
    : id_(mailbox.id),
      read_only_(read_only),
      last_uid_(static_cast<std::uint32_t>(mailbox.uid_next.value - 1)),
      list_(std::move(list)),
      keywords_(std::move(keywords)) {
    seen = mailbox.changed;
    last_uid_ = std::max(last_uid_, greatest_uid());
    name_sets();
}

void Selected::replace(std::shared_ptr<const MessageList> list, bool holds_gone) {
    list_ = std::move(list);
    holds_gone_ = holds_gone;
    last_uid_ = std::max(last_uid_, greatest_uid());
    name_sets();
}

void Selected::set_keywords(std::vector<std::string> keywords) {
    keywords_ = std::move(keywords);
    name_sets();
}

bool Selected::lacks_keywords() const {
    const auto longest = (keywords_.size() + 7) / 8;
    for (const auto& bits : list_->keyword_sets) {
        if (bits.size() > longest) return true;
        for (std::size_t n = keywords_.size(); n < bits.size() * 8; ++n)
            if ((static_cast<unsigned char>(bits[n / 8]) >> n % 8 & 1) != 0) return true;
    }
    return false;
}

void Selected::name_sets() {
    sets_.clear();
    sets_.reserve(list_->keyword_sets.size());
    for (const auto& bits : list_->keyword_sets) {
        auto& names = sets_.emplace_back();
        for (std::size_t n = 0; n < bits.size() * 8 && n < keywords_.size(); ++n)
            if ((static_cast<unsigned char>(bits[n / 8]) >> n % 8 & 1) != 0) names.push_back(keywords_[n]);
    }
}

std::optional<std::uint32_t> Selected::find(std::uint32_t uid) const {
    const auto& messages = list_->messages;
    const auto at = std::ranges::lower_bound(messages, uid, {}, &ListedMessage::uid);
    if (at == messages.end() || at->uid != uid) return std::nullopt;
    return static_cast<std::uint32_t>(at - messages.begin());
}

std::vector<std::uint32_t> Selected::indexes_of_numbers(const SequenceSet& set) const {
    std::vector<std::uint32_t> indexes;
    for (const auto& range : set.ranges())
        for (std::uint64_t number = range.first; number <= range.last && number <= count(); ++number)
            indexes.push_back(static_cast<std::uint32_t>(number - 1));
    return indexes;
}

std::vector<std::uint32_t> Selected::indexes_of_uids(const SequenceSet& set) const {
    std::vector<std::uint32_t> indexes;
    const auto& messages = list_->messages;
    auto at = messages.begin();
    for (const auto& range : set.ranges()) {
        at = std::ranges::lower_bound(at, messages.end(), range.first, {}, &ListedMessage::uid);
        for (; at != messages.end() && at->uid <= range.last; ++at)
            indexes.push_back(static_cast<std::uint32_t>(at - messages.begin()));
    }
    return indexes;
}

const std::vector<std::string>& Selected::keywords_of(const ListedMessage& message) const {
    static const std::vector<std::string> none;
    return set_of(message) < sets_.size() ? sets_[set_of(message)] : none;
}

std::string Selected::flags_of(const ListedMessage& message) const {
    std::string text;
    const auto add = [&](std::string_view name) {
        if (!text.empty()) text += ' ';
        text += name;
    };
    for (std::size_t bit = 0; bit < kSystemFlags; ++bit)
        if ((message.flags >> bit & 1) != 0) add(kFlags[bit]);
    for (const auto& name : keywords_of(message)) add(name);
    return text;
}

}  // namespace poplar::imap
