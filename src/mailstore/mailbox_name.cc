#include "mailstore/mailbox_name.h"

#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

namespace poplar::mailstore {

namespace {

constexpr auto kUses = std::to_array<std::string_view>({"", "drafts", "sent", "junk", "trash", "archive"});

const std::uint8_t* octets(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

std::optional<std::string> composed(std::string_view text) {
    std::size_t size = 0;
    std::unique_ptr<std::uint8_t, decltype(&std::free)> out(
        u8_normalize(UNINORM_NFC, octets(text), text.size(), nullptr, &size), &std::free);
    if (!out) return std::nullopt;
    return std::string(reinterpret_cast<const char*>(out.get()), size);
}

// U+2028 and U+2029 end lines, too: RFC 9051 s5.1.
bool has_control(std::string_view text) {
    auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    return std::ranges::any_of(text, is_control) || text.contains("\xe2\x80\xa8") || text.contains("\xe2\x80\xa9");
}

bool is_inbox(std::string_view part) {
    return std::ranges::equal(part, kInboxName, {}, [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
}

}  // namespace

Result<std::string> canonical_name(std::string_view name) {
    if (name.size() > kLongestName || u8_check(octets(name), name.size()) != nullptr)
        return fail(Errc::invalid, "a mailbox's name is UTF-8 of at most 512 octets");
    auto canonical = composed(name);
    if (!canonical || canonical->empty() || canonical->size() > kLongestName)
        return fail(Errc::invalid, "a mailbox's name has 1 to 512 octets");
    if (has_control(*canonical) || canonical->find_first_of("*%") != std::string::npos)
        return fail(Errc::invalid, "a mailbox's name has no control characters, no * and no %");
    if (canonical->front() == '/' || canonical->back() == '/' || canonical->contains("//"))
        return fail(Errc::invalid, "a part of the mailbox's name is empty");
    const auto first = std::string_view(*canonical).substr(0, canonical->find('/'));
    if (is_inbox(first)) canonical->replace(0, first.size(), kInboxName);
    return std::move(*canonical);
}

std::string_view parent_of(std::string_view name) {
    const auto slash = name.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

bool is_same_in_any_case(std::string_view a, std::string_view b) {
    int order = 0;
    const int failed = u8_casecmp(octets(a), a.size(), octets(b), b.size(), nullptr, UNINORM_NFC, &order);
    return failed == 0 && order == 0;
}

std::string_view to_string(SpecialUse use) { return kUses[static_cast<std::size_t>(use)]; }

std::optional<SpecialUse> parse_special_use(std::string_view text) {
    const auto* found = std::ranges::find(kUses, text);
    if (found == kUses.end()) return std::nullopt;
    return static_cast<SpecialUse>(found - kUses.begin());
}

Result<DefaultMailbox> parse_default_mailbox(std::string_view text) {
    DefaultMailbox mailbox;
    auto name = text;
    if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
        const auto use = parse_special_use(text.substr(colon + 1));
        if (!use) return fail(Errc::invalid, "a mailbox's use is drafts, sent, junk, trash or archive");
        mailbox.use = *use;
        name = text.substr(0, colon);
    }
    auto canonical = canonical_name(name);
    if (!canonical) return pass_on(canonical);
    if (*canonical == kInboxName) return fail(Errc::invalid, "INBOX is there always");
    mailbox.name = std::move(*canonical);
    return mailbox;
}

}  // namespace poplar::mailstore
