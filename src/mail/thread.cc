#include "mail/thread.h"

#include <unicase.h>

#include <cstdlib>
#include <memory>

#include "base/ascii.h"
#include "mail/header_walk.h"

namespace poplar::mail {

namespace {

constexpr std::size_t kLongestId = 998;  // RFC 5322 s2.1.1: a line

/// "[...]" at the beginning, with the white space behind it: its octets, or 0. RFC 5256 s5: subj-blob.
std::size_t blob_size(std::string_view text) {
    if (!text.starts_with('[')) return 0;
    const auto end = text.find_first_of("[]", 1);
    if (end == text.npos || text[end] != ']') return 0;
    return text.size() - ascii::trim_left(text.substr(end + 1)).size();
}

/// "re:", "fw:" or "fwd:", with a blob before the colon perhaps: its octets, or 0. subj-refwd.
std::size_t reply_mark_size(std::string_view text) {
    const std::size_t word = ascii::starts_with(text, "fwd")                                    ? 3
                             : ascii::starts_with(text, "re") || ascii::starts_with(text, "fw") ? 2
                                                                                                : 0;
    if (word == 0) return 0;
    auto rest = ascii::trim_left(text.substr(word));
    rest.remove_prefix(blob_size(rest));
    return rest.starts_with(':') ? text.size() - rest.size() + 1 : 0;
}

std::string_view without_trailers(std::string_view text) {
    constexpr std::string_view kForwarded = "(fwd)";
    for (;;) {
        text = ascii::trim(text);
        if (text.size() < kForwarded.size() || !ascii::same(text.substr(text.size() - kForwarded.size()), kForwarded))
            return text;
        text.remove_suffix(kForwarded.size());
    }
}

/// Without subj-leaders, blobs before them included. Blobs that no mark follows go too, but for the last if nothing
/// comes behind it: that is what the message is about.
std::string_view without_leaders(std::string_view text, bool& marked) {
    for (;;) {
        text = ascii::trim_left(text);
        auto last = text, rest = text;
        while (const auto blob = blob_size(rest)) {
            last = rest;
            rest.remove_prefix(blob);
        }
        const auto mark = reply_mark_size(rest);
        if (mark == 0) return rest.empty() ? last : rest;
        marked = true;
        rest.remove_prefix(mark);
        text = rest;
    }
}

std::string with_single_spaces(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (char c : text)
        if (!ascii::is_wsp(c))
            out += c;
        else if (!out.ends_with(' '))
            out += ' ';
    return out;
}

std::string folded(const std::string& text) {
    std::size_t size = 0;
    const std::unique_ptr<std::uint8_t, decltype(&std::free)> octets(
        u8_casefold(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), nullptr, UNINORM_NFC, nullptr,
                    &size),
        &std::free);
    return octets ? std::string(reinterpret_cast<const char*>(octets.get()), size) : text;
}

}  // namespace

std::vector<std::string_view> message_ids(std::string_view value, std::size_t limit) {
    std::vector<std::string_view> ids;
    for (auto begin = value.find('<'); begin != value.npos && limit > 0; begin = value.find('<', begin)) {
        ++begin;
        const auto end = value.find_first_of("<>", begin);
        if (end == value.npos) break;
        const auto id = value.substr(begin, end - begin);
        begin = end;
        if (value[end] == '<' || id.empty() || id.size() > kLongestId) continue;
        if (ids.size() == limit) ids.erase(ids.begin() + (limit > 1 ? 1 : 0));
        ids.push_back(id);
    }
    return ids;
}

// RFC 5256 s2.1, by its steps.
std::string base_subject(std::string_view value, bool* is_reply) {
    constexpr std::string_view kForwardBegins = "[fwd:";
    const auto whole = with_single_spaces(decode_for_display(value));  // (1)
    std::string_view text = whole;
    bool marked = false;
    for (;;) {
        const auto trimmed = without_trailers(text);  // (2)
        marked |= trimmed.size() != ascii::trim(text).size();
        text = without_leaders(trimmed, marked);  // (3) to (5)
        if (!ascii::starts_with(text, kForwardBegins) || !text.ends_with(']')) break;
        marked = true;
        text.remove_prefix(kForwardBegins.size());  // (6)
        text.remove_suffix(1);
    }
    if (is_reply) *is_reply = marked;
    return folded(std::string(text));
}

}  // namespace poplar::mail
