#include "imap/annotations.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/encoding.h"
#include "imap/words.h"

namespace poplar::imap {

namespace {

constexpr std::uint8_t kVersion = 1;

/// Takes an annotation's name, in lower case (RFC 5464 s3.2). `below`: it has to be below /private and /shared, because
/// these have no value.
enum class Below : std::uint8_t { must_be, may_be };
std::optional<std::string> parse_name(Cursor& in, Below below) {
    auto name = in.astring();
    if (!name || name->size() > Annotations::kLongestName) return std::nullopt;
    for (char& c : *name) {
        if (c < ' ' || c > '~' || c == '*' || c == '%') return std::nullopt;
        c = ascii::lower(c);
    }
    if (name->contains("//") || name->ends_with('/')) return std::nullopt;
    if (below == Below::may_be && (*name == "/private" || *name == "/shared")) return name;
    if (!name->starts_with("/private/") && !name->starts_with("/shared/")) return std::nullopt;
    return name;
}

bool parse_options(Cursor& in, MetadataQuery& query) {
    bool has_depth = false, has_size = false;
    do {
        const auto word = parse_keyword(in);
        if (!word || !in.space()) return false;
        if (*word == "MAXSIZE" && !std::exchange(has_size, true)) {
            const auto octets = in.number();
            if (!octets) return false;
            query.most_octets = *octets;
        } else if (*word == "DEPTH" && !std::exchange(has_depth, true)) {
            const auto depth = parse_keyword(in);
            if (!depth || (*depth != "0" && *depth != "1" && *depth != "INFINITY")) return false;
            using Depth = MetadataQuery::Depth;
            query.depth = *depth == "0" ? Depth::none : *depth == "1" ? Depth::one : Depth::infinity;
        } else {
            return false;
        }
    } while (in.space());
    return in.take(')');
}

}  // namespace

Result<Annotations> Annotations::decode(std::string_view octets) {
    Annotations found;
    if (octets.empty()) return found;
    Decoder in(octets);
    const auto bad = [] { return fail(Errc::corrupt, "the annotations can't be read"); };
    if (in.u8() != kVersion) return bad();
    while (in.ok() && !in.at_end()) {
        const auto mailbox = in.varint();
        const auto name = in.string();
        const auto value = in.string();
        if (!in.ok() || mailbox > std::numeric_limits<std::uint32_t>::max()) return bad();
        found.all_[static_cast<std::uint32_t>(mailbox)].insert_or_assign(std::string(name), std::string(value));
    }
    if (!in.ok()) return bad();
    return found;
}

std::string Annotations::encode() const {
    Encoder out;
    out.u8(kVersion);
    for (const auto& [mailbox, values] : all_)
        for (const auto& [name, value] : values) out.varint(mailbox).string(name).string(value);
    return std::move(out).bytes();
}

const Annotations::Values& Annotations::of(std::uint32_t mailbox) const {
    static const Values none;
    const auto found = all_.find(mailbox);
    return found == all_.end() ? none : found->second;
}

bool Annotations::set(std::uint32_t mailbox, const std::string& name, std::optional<std::string> value) {
    auto& values = all_[mailbox];
    if (!value)
        values.erase(name);
    else
        values.insert_or_assign(name, std::move(*value));
    return values.size() <= kMostOfMailbox;
}

void Annotations::copy(std::uint32_t from, std::uint32_t to) {
    if (const auto& values = of(from); !values.empty()) all_[to] = Values(values);
}

void Annotations::keep_only(const std::vector<std::uint32_t>& mailboxes) {
    std::erase_if(all_, [&](const auto& one) {
        return one.second.empty() || std::ranges::find(mailboxes, one.first) == mailboxes.end();
    });
}

bool MetadataQuery::asks_for(std::string_view name) const {
    return std::ranges::any_of(names, [&](const std::string& wanted) {
        if (name == wanted) return true;
        if (depth == Depth::none || !name.starts_with(wanted) || name[wanted.size()] != '/') return false;
        return depth == Depth::infinity || name.find('/', wanted.size() + 1) == name.npos;
    });
}

// RFC 5464's grammar has the options before the mailbox, and its examples have them behind it. Both are used.
std::optional<MetadataQuery> parse_metadata_query(Cursor& in) {
    MetadataQuery query;
    const bool first = in.take('(');
    if (first && (!parse_options(in, query) || !in.space())) return std::nullopt;
    auto mailbox = parse_mailbox(in);
    if (!mailbox || !in.space()) return std::nullopt;
    query.mailbox = std::move(*mailbox);
    bool list = in.take('(');
    if (list && !first && !in.at('/') && !in.at('"') && !in.at('{')) {
        if (!parse_options(in, query) || !in.space()) return std::nullopt;
        list = in.take('(');
    }
    do {
        auto name = parse_name(in, Below::may_be);
        if (!name || query.names.size() == MetadataQuery::kMostNames) return std::nullopt;
        query.names.push_back(std::move(*name));
    } while (list && in.space());
    if ((list && !in.take(')')) || !in.at_end()) return std::nullopt;
    return query;
}

std::optional<MetadataChange> parse_metadata_change(Cursor& in) {
    MetadataChange change;
    auto mailbox = parse_mailbox(in);
    if (!mailbox || !in.space() || !in.take('(')) return std::nullopt;
    change.mailbox = std::move(*mailbox);
    do {
        auto name = parse_name(in, Below::must_be);
        if (!name || !in.space() || change.values.size() == MetadataQuery::kMostNames) return std::nullopt;
        std::optional<std::string> value;
        if (!in.take_word("NIL")) {
            if (const auto binary = in.literal(Cursor::Literal8::yes))
                value = std::string(*binary);
            else
                value = in.string();
            if (!value) return std::nullopt;
        }
        change.values.emplace_back(std::move(*name), std::move(value));
    } while (in.space());
    if (!in.take(')') || !in.at_end()) return std::nullopt;
    return change;
}

}  // namespace poplar::imap
