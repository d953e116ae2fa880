#include "moving/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>

namespace poplar::moving {

namespace {
constexpr std::size_t kPart = 64 << 10;
constexpr std::size_t kLongestUniqueId = 70;
}  // namespace

Result<> read(const SourceMessage& message, const std::function<Result<>(std::string_view)>& take) {
    std::ifstream in(message.file, std::ios::binary);
    if (!in) return fail(Errc::not_found, fmt::format("{} can't be opened", message.file.string()));
    std::string part(kPart, '\0');
    for (const auto& range : message.content) {
        in.seekg(static_cast<std::streamoff>(range.offset));
        for (auto left = range.size; left > 0;) {
            const auto wanted = std::min<std::uint64_t>(left, part.size());
            in.read(part.data(), static_cast<std::streamsize>(wanted));
            const auto got = static_cast<std::uint64_t>(in.gcount());
            if (got == 0) return fail(Errc::io, fmt::format("{} ends too early", message.file.string()));
            if (auto done = take(std::string_view(part).substr(0, got)); !done) return done;
            left -= got;
        }
    }
    return {};
}

bool is_unique_id(std::string_view text) {
    return !text.empty() && text.size() <= kLongestUniqueId &&
           std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e; });
}

void settle_unique_ids(std::vector<SourceMessage>& messages) {
    std::set<std::string> seen;
    for (auto& message : messages) {
        auto& id = message.unique_id;
        if (id.empty()) continue;
        std::string_view why;
        if (id.size() > kLongestUniqueId)
            why = "is longer than 70 octets";
        else if (!is_unique_id(id))
            why = "has octets that no unique-id may have";
        else if (!seen.insert(id).second)
            why = "is an earlier message's, too";
        if (why.empty()) continue;
        message.not_kept = fmt::format("{} {}", printable_key(id), why);
        id.clear();
    }
}

std::string printable_key(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c > 0x20 && c < 0x7f && c != '%')
            out += c;
        else
            out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace poplar::moving
