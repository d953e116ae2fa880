#include "sieve/message.h"

#include <algorithm>

#include "base/ascii.h"
#include "mail/field_writer.h"
#include "mail/header_walk.h"
#include "mail/mime_walk.h"

namespace poplar::sieve {

namespace {

constexpr std::size_t kMostAroundParts = 64 * 1024;  // octets that are kept of a prologue or an epilogue
constexpr mail::MimeWalk::Bounds kBounds{.levels = 32, .parts = 2000};

/// Notes where parts are.
class PartReader final : public mail::MimeListener {
public:
    std::vector<Part> parts;

    void part_begins(std::uint64_t offset, std::size_t level) override {
        Part part;
        part.begin = static_cast<std::size_t>(offset);
        part.level = level;
        open_.push_back(parts.size());
        parts.push_back(std::move(part));
    }
    bool header_ends(const mail::ContentType& type, std::uint64_t offset) override {
        if (open_.empty()) return true;
        auto& part = parts[open_.back()];
        part.body = static_cast<std::size_t>(offset);
        part.kind = type.kind;
        return type.kind != mail::ContentType::Kind::fields;
    }
    void body(std::string_view octets) override {
        if (open_.empty()) return;
        auto& part = parts[open_.back()];
        if (!is_multipart(part.kind)) return;
        auto& text = open_.back() + 1 == parts.size() ? part.prologue : part.epilogue;
        text += octets.substr(0, kMostAroundParts - std::min(text.size(), kMostAroundParts));
    }
    void part_ends(std::uint64_t offset) override {
        if (open_.empty()) return;
        auto& part = parts[open_.back()];
        part.end = static_cast<std::size_t>(offset);
        part.body = std::max(part.body, part.begin);
        part.end = std::max(part.end, part.body);
        part.behind = parts.size();
        open_.pop_back();
    }

    static bool is_multipart(mail::ContentType::Kind kind) {
        using Kind = mail::ContentType::Kind;
        return kind == Kind::multipart || kind == Kind::signed_multipart || kind == Kind::digest;
    }

private:
    std::vector<std::size_t> open_;
};

std::string_view trim(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n";
    const auto first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

std::string Field::unfolded() const {
    const auto colon = raw.find(':');
    const auto value = trim(raw.substr(std::min(colon + 1, raw.size())));
    if (value.find('\n') == std::string_view::npos) return std::string(value);
    std::string out;
    out.reserve(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\n') continue;
        if (value[i] == '\r' && i + 1 < value.size() && value[i + 1] == '\n') continue;
        out += value[i];
    }
    return out;
}

std::string Field::value() const {
    auto text = unfolded();
    if (text.find("=?") == std::string::npos) return text;
    return std::string(trim(mail::decode_for_display(text)));
}

std::string with_crlf(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 32);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
        out += text[i];
    }
    return out;
}

std::vector<Field> read_fields(std::string_view octets, std::size_t* header_size) {
    std::vector<Field> fields;
    std::size_t at = 0;
    while (at < octets.size()) {
        const auto newline = octets.find('\n', at);
        const auto end = newline == std::string_view::npos ? octets.size() : newline + 1;
        const auto line = octets.substr(at, end - at);
        if (line == "\r\n" || line == "\n") {
            at = end;
            break;
        }
        if (ascii::is_wsp(line.front()) && !fields.empty()) {
            auto& raw = fields.back().raw;
            raw = std::string_view(raw.data(), raw.size() + line.size());
        } else {
            const auto name = mail::field_name(line);
            if (name.empty()) break;
            fields.push_back({name, line});
        }
        at = end;
    }
    if (header_size) *header_size = at;
    return fields;
}

std::string write_field(std::string_view name, std::string_view value) {
    mail::FieldWriter writer(std::string(name) + ":");
    std::string text(" ");
    for (const char c : value) {  // a line end can't stand in a value: what was on several lines becomes one
        if (c == '\r') continue;
        text += c == '\n' ? ' ' : c;
    }
    if (mail::has_8bit(text))
        writer.unstructured(text);
    else
        writer.words(text);
    return std::move(writer).finish();
}

Message::Message(std::string_view octets) : octets_(octets) { read(); }

void Message::read() {
    fields_ = read_fields(octets_, &header_size_);
    for (auto& field : fields_)
        field.fixed = std::ranges::any_of(fixed_, [&](const auto& name) { return ascii::same(name, field.name); });
    parts_.reset();
}

void Message::add(std::string_view name, std::string_view value, Place place) {
    auto own = std::make_shared<const std::string>(write_field(name, value));
    Field field{std::string_view(*own).substr(0, name.size()), *own, own};
    if (place == Place::first)
        fields_.insert(fields_.begin(), std::move(field));
    else
        fields_.push_back(std::move(field));
    header_changed_ = true;
}

void Message::erase(std::size_t field) {
    fields_.erase(fields_.begin() + static_cast<std::ptrdiff_t>(field));
    header_changed_ = true;
}

std::string Message::header() const {
    if (!header_changed_) return std::string(octets_.substr(0, header_size_));
    std::string out;
    for (const auto& field : fields_) {
        out += field.raw;
        if (!field.raw.ends_with('\n')) out += "\r\n";
    }
    return out += "\r\n";
}

std::string Message::text() const { return header_changed_ ? header() += body() : std::string(octets_); }

void Message::become(std::string octets, std::vector<std::string> fixed) {
    own_ = std::make_shared<const std::string>(std::move(octets));
    octets_ = *own_;
    std::ranges::move(fixed, std::back_inserter(fixed_));
    header_changed_ = false;
    read();
}

const std::vector<Part>& Message::parts() {
    if (!parts_) {
        PartReader reader;
        mail::MimeWalk walk(reader, kBounds);
        walk.feed(octets_);
        walk.finish();
        parts_ = std::move(reader.parts);
    }
    return *parts_;
}

std::vector<Field> Message::fields_of(const Part& part) const {
    return read_fields(octets_.substr(part.begin, part.body - part.begin));
}

}  // namespace poplar::sieve
