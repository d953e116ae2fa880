#include "moving/imap_response.h"

#include <algorithm>
#include <charconv>

#include "base/ascii.h"
#include "mail/date.h"

namespace poplar::moving {

namespace {

constexpr std::size_t kDeepest = 16;  // lists in lists; LIST, FLAGS and NAMESPACE have two

template <class Number>
std::optional<Number> number_of(std::string_view text) {
    Number number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

class Parser {
public:
    explicit Parser(const ImapResponse& response) : response_(response) {
        if (!response.lines.empty()) line_ = response.lines.front();
    }

    Result<std::vector<ImapValue>> run() {
        std::vector<ImapValue> values;
        if (!list(values, 0) || !line_.empty() || number_ + 1 < response_.lines.size())
            return fail(Errc::invalid, "a response of the other server is no IMAP");
        return values;
    }

private:
    // Up to a ")" that is not its own, or the end.
    bool list(std::vector<ImapValue>& values, std::size_t depth) {
        for (;;) {
            line_ = ascii::trim_left(line_);
            if (line_.empty() || line_.front() == ')') return true;
            ImapValue value;
            if (!one(value, depth)) return false;
            values.push_back(std::move(value));
        }
    }

    bool one(ImapValue& value, std::size_t depth) {
        if (line_.front() == '(') {
            if (depth == kDeepest) return false;
            value.kind = ImapValue::Kind::list;
            line_.remove_prefix(1);
            if (!list(value.list, depth + 1) || line_.empty()) return false;
            line_.remove_prefix(1);
            return true;
        }
        if (line_.front() == '"') return quoted_string(value);
        if (literal_at_end(line_) && line_.front() == (line_.starts_with('~') ? '~' : '{') &&
            line_.find_first_of(" (\"") == std::string_view::npos)
            return literal(value);
        return atom(value);
    }

    bool quoted_string(ImapValue& value) {
        value.kind = ImapValue::Kind::string;
        for (std::size_t at = 1; at < line_.size(); ++at) {
            if (line_[at] == '"') {
                line_.remove_prefix(at + 1);
                return true;
            }
            if (line_[at] == '\\' && ++at == line_.size()) return false;
            value.text += line_[at];
        }
        return false;
    }

    bool literal(ImapValue& value) {
        if (number_ >= response_.literals.size() || number_ + 1 >= response_.lines.size()) return false;
        value.kind = ImapValue::Kind::string;
        value.text = response_.literals[number_];
        line_ = response_.lines[++number_];
        return true;
    }

    // "BODY[HEADER.FIELDS (DATE)]<0>" is one.
    bool atom(ImapValue& value) {
        std::size_t at = 0, brackets = 0;
        const bool is_section = ascii::starts_with(line_, "BODY[") || ascii::starts_with(line_, "BINARY[");
        for (; at < line_.size(); ++at) {
            const char c = line_[at];
            if (c == '[' && is_section) ++brackets;
            if (c == ']' && brackets > 0) --brackets;
            if (brackets == 0 && (c == ' ' || c == '\t' || c == '(' || c == ')' || c == '"')) break;
        }
        if (at == 0) return false;
        value.text = line_.substr(0, at);
        line_.remove_prefix(at);
        return true;
    }

    const ImapResponse& response_;
    std::size_t number_ = 0;  // of the line
    std::string_view line_;
};

std::vector<std::string> flags_of(const std::vector<ImapValue>& values) {
    std::vector<std::string> flags;
    for (const auto& value : values) {
        const auto& name = value.text;
        if (value.kind == ImapValue::Kind::list || name.empty()) continue;
        if (!name.starts_with('\\'))
            flags.push_back(name);
        else
            for (std::string_view known : {"seen", "answered", "flagged", "deleted", "draft"})
                if (ascii::same(std::string_view(name).substr(1), known)) flags.emplace_back(known);
    }
    return flags;
}

bool is_untagged(const std::vector<ImapValue>& values, std::size_t at, std::string_view name) {
    return values.size() > at && values[0].is("*") && values[at].is(name);
}

}  // namespace

bool ImapValue::is(std::string_view atom) const { return kind == Kind::atom && ascii::same(text, atom); }

std::optional<std::uint64_t> literal_at_end(std::string_view line) {
    if (!line.ends_with('}')) return std::nullopt;
    const auto begin = line.rfind('{');
    if (begin == std::string_view::npos) return std::nullopt;
    auto digits = line.substr(begin + 1, line.size() - begin - 2);
    return number_of<std::uint64_t>(digits);
}

Result<std::vector<ImapValue>> parse_imap(const ImapResponse& response) { return Parser(response).run(); }

std::optional<std::uint64_t> response_code(std::string_view line, std::string_view name) {
    if (!line.starts_with("* OK [")) return std::nullopt;
    line.remove_prefix(6);
    const auto end = line.find(']');
    if (end == std::string_view::npos || end <= name.size() || !ascii::starts_with(line, name) ||
        line[name.size()] != ' ')
        return std::nullopt;
    return number_of<std::uint64_t>(line.substr(name.size() + 1, end - name.size() - 1));
}

bool ListedFolder::has(std::string_view attribute) const {
    return std::ranges::any_of(attributes, [&](const auto& one) { return ascii::same(one, attribute); });
}

std::optional<ListedFolder> listed_folder(const std::vector<ImapValue>& values) {
    if (!is_untagged(values, 1, "LIST") || values.size() < 5 || values[2].kind != ImapValue::Kind::list ||
        values[3].kind == ImapValue::Kind::list || values[4].kind == ImapValue::Kind::list || values[4].text.empty())
        return std::nullopt;
    ListedFolder folder;
    folder.name = values[4].text;
    if (!values[3].is("NIL")) folder.delimiter = values[3].text;
    if (folder.delimiter.size() > 1) return std::nullopt;
    for (const auto& one : values[2].list) folder.attributes.push_back(one.text);
    return folder;
}

std::optional<Namespaces> namespaces(const std::vector<ImapValue>& values) {
    if (!is_untagged(values, 1, "NAMESPACE") || values.size() < 5) return std::nullopt;
    Namespaces found;
    for (std::size_t kind = 2; kind < 5; ++kind)
        for (const auto& one : values[kind].list) {
            if (one.kind != ImapValue::Kind::list || one.list.empty()) continue;
            const auto& prefix = one.list.front().text;
            if (kind > 2 && !prefix.empty()) found.foreign.push_back(prefix);
            if (kind == 2 && found.personal.empty()) found.personal = prefix;
        }
    return found;
}

std::optional<FetchedMessage> fetched_message(std::vector<ImapValue> values) {
    if (!is_untagged(values, 2, "FETCH") || values.size() < 4) return std::nullopt;
    FetchedMessage message;
    auto& items = values[3].list;
    for (std::size_t at = 0; at + 1 < items.size(); at += 2) {
        const auto& name = items[at];
        auto& value = items[at + 1];
        if (name.is("UID")) message.uid = number_of<std::uint32_t>(value.text).value_or(0);
        if (name.is("FLAGS")) message.flags = flags_of(value.list);
        if (name.is("INTERNALDATE")) message.received = parse_internal_date(value.text);
        if (name.is("RFC822.SIZE")) message.octets = number_of<std::uint64_t>(value.text);
        if (name.is("BODY[]") || name.is("BODY[HEADER]"))
            if (value.kind == ImapValue::Kind::string) message.text = std::move(value.text);
    }
    if (message.uid == 0) return std::nullopt;
    return message;
}

std::optional<Timestamp> parse_internal_date(std::string_view text) {
    // The same as in a header, with "-" between its parts, and perhaps a space before the day.
    std::string date(ascii::trim_left(text));
    for (char& c : date) {
        if (c == ' ') break;
        if (c == '-') c = ' ';
    }
    auto found = mail::parse_mail_date(date);
    if (!found || found->time.time_since_epoch().count() < 0) return std::nullopt;
    return Timestamp(found->time);
}

std::optional<std::string> imap_quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c < 0x20 || c > 0x7e) return std::nullopt;
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

}  // namespace poplar::moving
