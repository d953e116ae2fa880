#include "inspection/milter_protocol.h"

#include <algorithm>

#include "base/ascii.h"
#include "inspection/rspamd_reply.h"
#include "mail/header_walk.h"

namespace poplar::inspection::milter {

namespace {

std::string number(std::uint32_t value) {
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
    return out;
}

std::optional<std::uint32_t> take_number(std::string_view& data) {
    if (data.size() < 4) return std::nullopt;
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(data[static_cast<std::size_t>(i)]);
    data.remove_prefix(4);
    return value;
}

/// Up to the next NUL, which has to be there.
std::optional<std::string_view> take_string(std::string_view& data) {
    const auto end = data.find('\0');
    if (end == data.npos) return std::nullopt;
    const auto text = data.substr(0, end);
    data.remove_prefix(end + 1);
    return text;
}

std::unexpected<Error> nonsense(std::string_view what) {
    return fail(Errc::invalid, "the program sends nonsense: " + std::string(what));
}

/// A value as a field can have it: every line but the first begins with white space, none is empty (RFC 5322 s2.2.3),
/// and there are no controls.
std::string folded(std::string_view value) {
    std::string out;
    for (bool first = true; !value.empty() || first; first = false) {
        const auto end = std::min(value.find('\n'), value.size());
        auto line = value.substr(0, end);
        value.remove_prefix(std::min(end + 1, value.size()));
        while (line.ends_with('\r')) line.remove_suffix(1);
        const bool blank = line.find_first_not_of(" \t\r") == line.npos;
        if (!first && blank) continue;
        if (!first) out += ascii::is_wsp(line.front()) ? "\r\n" : "\r\n\t";
        for (const char c : line) {
            const auto octet = static_cast<unsigned char>(c);
            out += (octet < ' ' && c != '\t') || octet == 0x7f ? '?' : c;
        }
    }
    return out;
}

}  // namespace

std::string encode(char command, std::string_view data) {
    auto out = number(static_cast<std::uint32_t>(data.size() + 1));
    out += command;
    return out.append(data);
}

Result<std::optional<Packet>> take_packet(std::string& input) {
    std::string_view rest = input;
    const auto size = take_number(rest);
    if (!size) return std::nullopt;
    if (*size == 0 || *size > kMostPacket) return nonsense("a packet of an impossible size");
    if (rest.size() < *size) return std::nullopt;
    Packet packet{rest.front(), std::string(rest.substr(1, *size - 1))};
    input.erase(0, 4 + *size);
    return packet;
}

std::string offer() { return number(kVersion) + number(kActions) + number(kSteps); }

Result<Terms> parse_terms(const Packet& packet) {
    std::string_view data = packet.data;
    const auto version = take_number(data), actions = take_number(data), steps = take_number(data);
    if (packet.command != 'O' || !version || !actions || !steps) return nonsense("no terms");
    if (*version < kOldestVersion || *version > kVersion)
        return fail(Errc::invalid, "the program speaks version " + std::to_string(*version) + " of the protocol");
    if ((*actions & ~kActions) != 0)
        return fail(Errc::invalid, "the program wants to change the envelope, which stays as it is here");
    if ((*steps & ~kSteps) != 0) return fail(Errc::invalid, "the program wants steps that are not known here");
    return Terms{*version, *actions, *steps};
}

std::string strings(std::initializer_list<std::string_view> texts) {
    std::string out;
    for (const auto text : texts) {
        for (const char c : text)
            if (c != '\0') out += c;  // it would begin another text
        out += '\0';
    }
    return out;
}

std::string macros(char step, const std::vector<std::pair<std::string_view, std::string>>& values) {
    std::string out(1, step);
    for (const auto& [name, value] : values)
        if (!value.empty()) out += strings({name, value});
    return out;
}

std::string header_data(std::string_view field, const Terms& terms) {
    const auto colon = std::min(field.find(':'), field.size());
    const auto name = ascii::trim(field.substr(0, colon));
    auto value = field.substr(std::min(colon + 1, field.size()));
    if (value.ends_with("\r\n")) value.remove_suffix(2);
    if (!terms.has(leading_space) && value.starts_with(' ')) value.remove_prefix(1);
    std::string lines;
    for (std::size_t i = 0; i < value.size(); ++i)
        if (value[i] != '\r' || i + 1 == value.size() || value[i + 1] != '\n') lines += value[i];
    return strings({name, lines});
}

Result<Answer> parse_answer(const Packet& packet) {
    using Kind = Answer::Kind;
    switch (packet.command) {
        case 'c': return Answer{Kind::go_on};
        case 'a': return Answer{Kind::accept};
        case 's': return Answer{Kind::skip};
        case 'r': return Answer{Kind::reject};
        case 't': return Answer{Kind::defer};
        case 'd': return Answer{Kind::discard};
        case 'p': return Answer{Kind::wait};
        case 'f':  // SMFIR_CONN_FAIL, SMFIR_SHUTDOWN
        case '4': return Answer{Kind::defer};
        case 'h':
        case 'i':
        case 'm':
        case 'b':
        case 'q': return Answer{Kind::change};
        case 'y': break;
        default: return nonsense("an answer that is not known here");
    }
    // A reply of SMTP: "550 5.7.1 text", perhaps of several lines.
    std::string_view text = packet.data;
    text = text.substr(0, text.find('\0'));
    const bool code = text.size() >= 3 && std::ranges::all_of(text.substr(0, 3), ascii::is_digit);
    if (!code || (text.front() != '4' && text.front() != '5')) return nonsense("a reply without a code");
    Answer answer{text.front() == '5' ? Kind::reject : Kind::defer};
    text.remove_prefix(std::min<std::size_t>(4, text.size()));
    const auto status = text.substr(0, text.find(' '));
    if (status.size() >= 5 && std::ranges::count(status, '.') == 2 &&
        std::ranges::all_of(status, [](char c) { return ascii::is_digit(c) || c == '.'; }))
        text.remove_prefix(std::min(status.size() + 1, text.size()));
    answer.text = reply_text(text.substr(0, kMostText));
    return answer;
}

Changes::Changes(std::string_view header, const Terms& terms) : terms_(terms) {
    while (!header.empty()) {
        std::size_t end = 0;
        do {  // a line that begins with white space goes on with the field
            end = std::min(header.find('\n', end), header.size() - 1) + 1;
        } while (end < header.size() && ascii::is_wsp(header[end]));
        const auto raw = header.substr(0, end);
        if (mail::field_name(raw).empty()) break;
        octets_ += raw.size();
        fields_.emplace_back(raw);
        header.remove_prefix(end);
    }
    rest_ = header;
}

std::string Changes::header() const {
    std::string out;
    for (const auto& field : fields_) out += field;
    return out + (rest_.empty() ? "\r\n" : rest_);
}

Result<std::string> Changes::field(std::string_view name, std::string_view value) const {
    if (!is_field_name(name)) return nonsense("a name that no field can have");
    std::string out(name);
    out += ':';
    if (!terms_.has(leading_space)) out += ' ';
    return out + folded(value) + "\r\n";
}

Result<> Changes::insert(std::size_t at, std::string_view name, std::string_view value) {
    auto made = field(name, value);
    if (!made) return pass_on(made);
    if (fields_.size() >= kMostFields || octets_ + made->size() > kMostHeader)
        return fail(Errc::invalid, "the program makes the header too large");
    octets_ += made->size();
    fields_.insert(fields_.begin() + static_cast<std::ptrdiff_t>(std::min(at, fields_.size())), std::move(*made));
    header_changed_ = true;
    return {};
}

Result<> Changes::apply(const Packet& packet) {
    std::string_view data = packet.data;
    if (packet.command == 'q') {
        quarantined_ = true;
        return {};
    }
    if (packet.command == 'b') {
        if (!body_) body_.emplace();
        if (body_->size() + data.size() > kMostBody) return fail(Errc::invalid, "the program's new body is too large");
        *body_ += data;
        return {};
    }
    std::size_t index = 0;
    if (packet.command != 'h') {
        const auto given = take_number(data);
        if (!given) return nonsense("a change without its place");
        index = *given;
    }
    const auto name = take_string(data), value = take_string(data);
    if (!name || !value) return nonsense("a change without a field");
    if (packet.command == 'h') return insert(fields_.size(), *name, *value);
    if (packet.command == 'i') return insert(index, *name, *value);
    // The index counts fields of this name from 1; a value of nothing takes the field out.
    std::size_t count = 0;
    for (auto place = fields_.begin(); place != fields_.end(); ++place) {
        if (!ascii::same(ascii::trim(mail::field_name(*place)), *name) || ++count < std::max<std::size_t>(1, index))
            continue;
        octets_ -= place->size();
        header_changed_ = true;
        if (value->empty()) {
            fields_.erase(place);
            return {};
        }
        auto made = field(*name, *value);
        if (!made) return pass_on(made);
        if (octets_ + made->size() > kMostHeader) return fail(Errc::invalid, "the program makes the header too large");
        octets_ += made->size();
        *place = std::move(*made);
        return {};
    }
    if (value->empty()) return {};
    return insert(fields_.size(), *name, *value);
}

}  // namespace poplar::inspection::milter
