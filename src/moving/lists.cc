#include "moving/lists.h"

#include <fmt/format.h>

#include <charconv>

namespace poplar::moving {

namespace {

std::string_view take_line(std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

std::string_view take_word(std::string_view& line) {
    const auto end = std::min(line.find(' '), line.size());
    auto word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

template <class Number>
bool parse(std::string_view text, Number& number) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

// "V1275660208 N25022 G3085f0...": a letter before each value.
Result<std::uint32_t> uid_validity_of(std::string_view header) {
    while (!header.empty()) {
        auto word = take_word(header);
        std::uint32_t value = 0;
        if (word.starts_with('V') && parse(word.substr(1), value) && value > 0) return value;
    }
    return fail(Errc::invalid, "dovecot-uidlist has no UIDVALIDITY");
}

// "25006 P0000001f O12 :1276528487.M364837P9451.host,S=1355:2,S"; in version 1 the name stands behind one space.
bool add_entry(DovecotList& list, std::string_view line, bool has_fields) {
    DovecotList::Entry entry;
    if (!parse(take_word(line), entry.uid) || entry.uid == 0) return false;
    while (has_fields && !line.starts_with(':')) {
        if (line.empty()) return false;
        const auto field = take_word(line);
        if (field.empty()) continue;
        const auto value = field.substr(1);
        std::uint32_t order = 0;
        switch (field.front()) {
            case 'G': entry.guid = value; break;
            case 'P': entry.pop3_uid = value; break;
            case 'O':
                if (parse(value, order)) entry.order = order;
                break;
            default: break;
        }
    }
    if (has_fields) line.remove_prefix(1);
    const auto base = base_of(line);
    if (base.empty()) return false;
    list.entries.insert_or_assign(std::string(base), std::move(entry));  // the later line is the newer
    return true;
}

}  // namespace

std::string_view base_of(std::string_view file_name) {
    if (const auto slash = file_name.rfind('/'); slash != std::string_view::npos) file_name.remove_prefix(slash + 1);
    return file_name.substr(0, file_name.find(':'));
}

Result<DovecotList> parse_dovecot_list(std::string_view text) {
    DovecotList list;
    auto header = take_line(text);
    const auto version = take_word(header);
    const bool has_fields = version == "3";
    if (has_fields) {
        auto found = uid_validity_of(header);
        if (!found) return pass_on(found);
        list.uid_validity = *found;
    } else if (version != "1" || !parse(take_word(header), list.uid_validity) || list.uid_validity == 0) {
        return fail(Errc::invalid, "dovecot-uidlist is of no version that is known");
    }
    while (!text.empty()) {
        auto line = take_line(text);
        if (!line.empty() && !add_entry(list, line, has_fields)) ++list.passed_over;
    }
    return list;
}

std::map<char, std::string> parse_dovecot_keywords(std::string_view text) {
    std::map<char, std::string> names;
    while (!text.empty()) {
        auto line = take_line(text);
        unsigned number = 0;
        if (parse(take_word(line), number) && number < 26 && !line.empty())
            names[static_cast<char>('a' + number)] = line;
    }
    return names;
}

Result<std::map<std::string, std::string, std::less<>>> parse_courier_list(std::string_view text) {
    auto header = take_line(text);
    int version = 0;
    if (!header.starts_with('/') || !parse(take_word(header).substr(1), version) || version < 2 || version > 3)
        return fail(Errc::invalid, "courierpop3dsizelist is of no version that is known");
    std::map<std::string, std::string, std::less<>> ids;
    while (!text.empty()) {
        // A name may have spaces; size and numbers come last: "NAME SIZE NUMBER:UIDVALIDITY:UTF8".
        auto line = take_line(text);
        const auto last = line.rfind(' ');
        if (last == std::string_view::npos || last == 0) continue;
        const auto before = line.rfind(' ', last - 1);
        if (before == std::string_view::npos) continue;
        auto numbers = line.substr(last + 1);
        const auto colon = std::min(numbers.find(':'), numbers.size());
        std::uint64_t number = 0, validity = 0;
        if (!parse(numbers.substr(0, colon), number)) continue;
        numbers.remove_prefix(std::min(colon + 1, numbers.size()));
        if (!parse(numbers.substr(0, numbers.find(':')), validity)) continue;
        const auto base = base_of(line.substr(0, before));
        if (base.empty()) continue;
        ids[std::string(base)] = number == 0     ? courier_unique_id(base)
                                 : validity == 0 ? fmt::format("UID{}", number)
                                                 : fmt::format("UID{}-{}", number, validity);
    }
    return ids;
}

std::string courier_unique_id(std::string_view base) {
    std::string out;
    for (char c : base) {
        if (c < 0x21 || c > 0x7e || c == '\'' || c == '"' || c == '+')
            out += fmt::format("+{:02X}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out;
}

}  // namespace poplar::moving
