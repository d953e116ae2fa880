// RFC 5232: flags in variables, and those of the message.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/ascii.h"
#include "sieve/machine.h"

namespace poplar::sieve {

namespace {

/// Flags that can be stored: IMAP's own, and keywords (RFC 9051 s2.3.2).
bool can_be_stored(std::string_view flag) {
    if (flag.starts_with('\\')) {
        for (const auto known : {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"})
            if (ascii::same(flag, known)) return true;
        return false;
    }
    return std::ranges::all_of(flag, [](char c) {
        return c > 0x20 && c < 0x7f && std::string_view("(){%*\"\\]").find(c) == std::string_view::npos;
    });
}

template <class Each>
void each_word(std::string_view text, Each each) {
    constexpr std::string_view kSpace = " \t\r\n";
    for (;;) {
        const auto begin = text.find_first_not_of(kSpace);
        if (begin == std::string_view::npos) return;
        text.remove_prefix(begin);
        const auto end = std::min(text.find_first_of(kSpace), text.size());
        each(text.substr(0, end));
        text.remove_prefix(end);
    }
}

std::string joined(const std::vector<std::string>& flags) {
    std::string out;
    for (const auto& flag : flags) {
        if (!out.empty()) out += ' ';
        out += flag;
    }
    return out;
}

}  // namespace

/// Flags over the limit are left out, as all flags are that can't be stored (RFC 5232 s5).
void Machine::add_flags(Flags& flags, std::string_view words) const {
    each_word(words, [&](std::string_view word) {
        if (flags.size() >= options_.flags || word.size() > 200) return;
        const bool known = std::ranges::any_of(flags, [&](const auto& flag) { return ascii::same(flag, word); });
        if (!known) flags.emplace_back(word);
    });
}

void Machine::change_flags(const Node& node) {
    const bool own = !node.arguments[0].given;
    const auto name = own ? std::string() : expand_first(node.arguments[0]);
    const auto plain = ascii::starts_with(name, "global.") ? std::string_view(name).substr(7) : std::string_view(name);
    if (!own && !is_variable_name(plain)) fail(node, fmt::format("no variable can be called \"{}\"", name));
    Flags flags;
    if (node.op != Op::setflag) {
        if (own)
            flags = flags_;
        else
            add_flags(flags,
                      plain.size() == name.size() ? variable(ascii::to_lower(name)) : shared_[ascii::to_lower(plain)]);
    }
    for (const auto& words : expand(node.arguments[1].strings)) {
        charge(1 + words.size() / 4);
        if (node.op != Op::removeflag) {
            charge(words.size() / 8 * (1 + flags.size() / 16));
            add_flags(flags, words);
            continue;
        }
        each_word(words, [&](std::string_view word) {
            charge(1 + flags.size() / 8);
            std::erase_if(flags, [&](const auto& flag) { return ascii::same(flag, word); });
        });
    }
    if (own)
        flags_ = std::move(flags);
    else
        assign(node, name, joined(flags));
}

bool Machine::hasflag(const Node& node) {
    std::vector<std::string> values;
    const auto& keys = node.arguments[1].strings;
    if (!node.arguments[0].given) {
        values = flags_;
    } else {
        for (const auto& name : expand(node.arguments[0].strings)) {
            const auto lower = ascii::to_lower(name);
            Flags flags;
            if (lower.starts_with("global.")) {
                const auto found = shared_.find(lower.substr(7));
                if (found != shared_.end()) add_flags(flags, found->second);
            } else {
                const auto words = variable(lower);
                charge(words.size() / 8 * (1 + options_.flags / 16));
                add_flags(flags, words);
            }
            charge(1 + flags.size());
            for (const auto& flag : flags) spend(flag.size() + sizeof flag);
            std::ranges::move(flags, std::back_inserter(values));
        }
    }
    if (node.match.type == Match::Type::count) return match_count(node, values.size(), keys);
    if (node.match.type == Match::Type::regex) return match_any(node, values, keys);
    // Each key is a list of flags itself.
    std::vector<Text> words;
    for (const auto& key : expand(keys))
        each_word(key, [&](std::string_view word) { words.emplace_back(std::string(word)); });
    charge(words.size());
    return match_any(node, values, words);
}

Machine::Flags Machine::flags_of(const Node& node) {
    Flags flags;
    if (const auto* given = node.tag(Tag::flags)) {
        for (const auto& words : expand(given->strings)) {
            charge(1 + words.size() / 4);
            add_flags(flags, words);
        }
    } else if (node.op == Op::keep || node.op == Op::fileinto) {
        flags = flags_;
    }
    return storable(std::move(flags));
}

Machine::Flags Machine::storable(Flags flags) {
    std::erase_if(flags, [](const auto& flag) { return !can_be_stored(flag); });
    return flags;
}

}  // namespace poplar::sieve
