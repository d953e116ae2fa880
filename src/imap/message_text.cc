// A message's texts, gathered as its octets pass.
#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "imap/search_keys.h"
#include "mail/casemap.h"
#include "mail/header_walk.h"
#include "mail/part_text.h"
#include "mail/wire_form.h"

namespace poplar::imap {

namespace {

using Kind = mail::ContentType::Kind;

// Stands between two texts. No text that is looked for has one, because no string of a command has.
constexpr char kBetween = '\0';

bool has(std::string_view text, std::string_view key) {
    return key.empty() || memmem(text.data(), text.size(), key.data(), key.size()) != nullptr;
}

/// Without encoded-words, controls and 8-bit octets: as nearly all values are, so that decoding changes nothing.
bool is_simple(std::string_view value) {
    bool simple = true;
    for (const char c : value) simple &= c >= ' ' && c < 0x7f;
    return simple && value.find("=?") == value.npos;
}

}  // namespace

void MessageText::begin(const mail::Structure& structure, Depth depth) {
    structure_ = &structure;
    depth_ = depth;
    at_ = 0;
    next_ = 0;
    for (auto* text : {&gathered_, &names_, &fields_, &body_, &other_fields_}) text->clear();
    own_.clear();
    wanted_.clear();
    for (std::size_t i = 0; i < structure.parts.size(); ++i) {
        const auto& part = structure.parts[i];
        wanted_.push_back({part.begin, part.body, i, true});
        if (depth == Depth::header) break;
        if (mail::text_kind(part) != mail::TextKind::none)
            wanted_.push_back({part.body, std::min(part.end, part.body + kMostOfPart), i, false});
    }
}

bool MessageText::feed(std::string_view wire) {
    while (next_ < wanted_.size()) {
        const auto& wanted = wanted_[next_];
        if (at_ + wire.size() <= wanted.begin && wanted.begin < wanted.end) break;
        const auto begin = std::max(at_, wanted.begin), end = std::min(at_ + wire.size(), wanted.end);
        const auto piece = begin < end ? wire.substr(begin - at_, end - begin) : std::string_view();
        if (end < wanted.end) {
            gathered_ += piece;
            break;
        }
        if (gathered_.empty()) {
            take(wanted, piece);
        } else {
            gathered_ += piece;
            take(wanted, gathered_);
            gathered_.clear();
        }
        ++next_;
    }
    at_ += wire.size();
    return next_ < wanted_.size();
}

void MessageText::finish() {
    if (!gathered_.empty() && next_ < wanted_.size()) take(wanted_[next_], gathered_);
    gathered_.clear();
    next_ = wanted_.size();
}

void MessageText::take(const Wanted& wanted, std::string_view wire) {
    const auto& part = structure_->parts[wanted.part];
    const auto octets = wanted.header ? part.header_octets : part.body_octets;
    if (octets != (wanted.header ? part.body - part.begin : part.end - part.body)) {
        plain_.clear();
        mail::WireDecoder().decode(wire, plain_);
        wire = plain_;
    }
    if (wanted.header) return take_header(wire, wanted.part);
    const auto text = mail::decode_text(part, wire, kMostOfPart);
    mail::append_casemapped(text, body_);
    body_ += kBetween;
}

// The header of an enclosed message is of the body of the one around it; those of other parts are no text but to TEXT.
void MessageText::take_header(std::string_view header, std::size_t number) {
    const bool own = number == 0;
    const bool enclosed = !own && structure_->parts[number - 1].kind == Kind::message;
    auto& out = own ? fields_ : enclosed ? body_ : other_fields_;
    const auto begin = out.size();
    while (!header.empty() && out.size() - begin < kMostOfFields) {
        auto end = header.find('\n');
        while (end != header.npos && end + 1 < header.size() && ascii::is_wsp(header[end + 1]))
            end = header.find('\n', end + 1);
        const auto field = header.substr(0, end == header.npos ? header.size() : end + 1);
        header.remove_prefix(field.size());
        const auto name = mail::field_name(field);
        if (name.empty()) continue;
        unfolded_.clear();
        for (const char c : field.substr(std::min(field.find(':') + 1, field.size())))
            if (c != '\r' && c != '\n') unfolded_ += c;
        const auto value = ascii::trim(unfolded_);
        const auto name_begin = names_.size();
        if (own) {
            names_ += name;
            for (auto i = name_begin; i < names_.size(); ++i) names_[i] = ascii::lower(names_[i]);
        }
        mail::append_casemapped(name, out);
        out += ": ";
        const auto value_begin = out.size();
        if (is_simple(value))
            mail::append_casemapped(value, out);
        else
            mail::append_casemapped(mail::decode_for_display(value), out);
        if (own)
            own_.push_back({static_cast<std::uint32_t>(name_begin), static_cast<std::uint32_t>(names_.size()),
                            static_cast<std::uint32_t>(value_begin), static_cast<std::uint32_t>(out.size())});
        out += kBetween;
    }
}

bool MessageText::header_has(std::string_view name, std::string_view text) const {
    return std::ranges::any_of(own_, [&](const Field& field) {
        const auto own_name = std::string_view(names_).substr(field.name, field.name_end - field.name);
        const auto value = std::string_view(fields_).substr(field.value, field.value_end - field.value);
        return own_name == name && has(value, text);
    });
}

bool MessageText::body_has(std::string_view text) const { return has(body_, text); }

bool MessageText::text_has(std::string_view text) const {
    return has(fields_, text) || has(other_fields_, text) || has(body_, text);
}

}  // namespace poplar::imap
