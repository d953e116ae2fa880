// The two walks: what each part is, and writing it.
#include "mail/seven_bit.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/field_writer.h"
#include "mail/header_walk.h"
#include "mail/mime_value.h"

namespace poplar::mail {

namespace {

using Change = SevenBitPlan::Change;
using Kind = ContentType::Kind;

constexpr std::size_t kMostParts = 10'000;  // as the walk has it
constexpr std::size_t kQuotedLine = 76;     // octets of a line, without its end (RFC 2045 s6.7)
constexpr std::size_t kBase64Octets = 57;   // that make a line of 76 (RFC 2045 s6.8)

constexpr std::string_view kSigned = "a part of it that is signed has 8-bit text";
constexpr std::string_view kHeader = "a header has 8-bit octets";
constexpr std::string_view kEncoded = "a part that says it is encoded has 8-bit octets";
constexpr std::string_view kFixed = "a part that may not be encoded has 8-bit octets";

bool is_high(char c) { return static_cast<unsigned char>(c) > 0x7f; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::string_view(" \t\r\n").contains(text.front())) text.remove_prefix(1);
    while (!text.empty() && std::string_view(" \t\r\n;").contains(text.back())) text.remove_suffix(1);
    return text;
}

std::string_view value_of(std::string_view field) { return trimmed(field.substr(field.find(':') + 1)); }

/// How many octets at the end of `text` begin a character of UTF-8 that may go on.
std::size_t incomplete_at_end(std::string_view text) {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const auto octet = static_cast<unsigned char>(text[text.size() - back]);
        if ((octet & 0xc0) == 0x80) continue;
        const std::size_t length = octet >= 0xf0 ? 4 : octet >= 0xe0 ? 3 : octet >= 0xc0 ? 2 : 1;
        return length > back ? back : 0;
    }
    return 0;
}

}  // namespace

void SevenBitPlanner::refuse(std::string_view why) {
    if (plan_.obstacle.empty()) plan_.obstacle = why;
}

void SevenBitPlanner::part_begins(std::uint64_t, std::size_t) {
    SevenBitPlan::Part part;
    part.message = open_.empty() || open_.back().messages;
    open_.push_back({plan_.parts.size(), false});
    if (open_.size() > 1) seen_[open_[open_.size() - 2].part].has_parts = true;
    plan_.parts.push_back(part);
    seen_.emplace_back();
    in_header_ = true;
}

void SevenBitPlanner::field(std::string_view field) {
    if (has_8bit(field)) refuse(kHeader);
    if (open_.empty() || !in_header_) return;  // those of a delivery report are its body
    auto& part = plan_.parts[open_.back().part];
    auto& seen = seen_[open_.back().part];
    const auto name = field_name(field);
    if (ascii::same(name, "mime-version")) part.has_version = true;
    if (ascii::same(name, "content-type") && !part.has_type) {
        part.has_type = true;
        const auto type = parse_mime_value(field.substr(field.find(':') + 1));
        seen.text = !type || type->type == "text";
        // RFC 2046 s5.2.2, s5.2.3: these are never encoded. A whole message is entered, so that its parts can be.
        if (type && type->type == "message") seen.fixed = kFixed;
    }
    if (ascii::same(name, "content-transfer-encoding")) {
        const auto encoding = value_of(field);
        seen.encoding = ascii::same(encoding, "8bit") || ascii::same(encoding, "binary") ? Encoding::identity8
                        : ascii::same(encoding, "7bit") || encoding.empty()              ? Encoding::identity7
                                                                                         : Encoding::encoded;
    }
}

void SevenBitPlanner::long_field(std::string_view octets) {
    if (has_8bit(octets)) refuse(kHeader);
}

bool SevenBitPlanner::header_ends(const ContentType& type, std::uint64_t) {
    in_header_ = false;
    if (open_.empty()) return true;
    auto& seen = seen_[open_.back().part];
    open_.back().messages = type.kind == Kind::message;
    seen.container = type.kind == Kind::multipart || type.kind == Kind::digest || type.kind == Kind::message;
    if (type.kind == Kind::signed_multipart) seen.fixed = kSigned;
    return type.kind != Kind::signed_multipart;
}

void SevenBitPlanner::body(std::string_view octets) {
    if (open_.empty()) return;
    auto& part = plan_.parts[open_.back().part];
    auto& seen = seen_[open_.back().part];
    seen.octets += octets.size();
    seen.high += static_cast<std::uint64_t>(std::ranges::count_if(octets, is_high));
    seen.nul |= octets.contains('\0');
    if (!part.utf8 || (seen.tail.empty() && !has_8bit(octets))) return;
    auto text = std::exchange(seen.tail, {}).append(octets);
    seen.tail = text.substr(text.size() - incomplete_at_end(text));
    text.resize(text.size() - seen.tail.size());
    part.utf8 = is_utf8(text);
}

void SevenBitPlanner::decide(SevenBitPlan::Part& part, const Seen& seen) {
    part.utf8 = part.utf8 && seen.tail.empty();
    if (seen.high == 0) {
        // What is signed stays as it is, its label too.
        if (seen.encoding == Encoding::identity8 && (seen.container || seen.fixed.empty()))
            part.change = Change::relabel;
        return;
    }
    plan_.needed = true;
    if (seen.container) {
        // Without parts it was not entered, because too much is within each other.
        if (!seen.has_parts || plan_.parts.size() >= kMostParts) return refuse(kFixed);
        part.change = seen.encoding == Encoding::identity8 ? Change::relabel : Change::blank;
        if (seen.encoding == Encoding::encoded) refuse(kEncoded);
        return;
    }
    if (!seen.fixed.empty()) return refuse(seen.fixed);
    if (seen.encoding == Encoding::encoded) return refuse(kEncoded);
    // Text is quoted so that a program without MIME shows most of it, unless base64 is the shorter form.
    const bool quote = seen.text && !seen.nul && seen.high * 5 <= seen.octets;
    part.change = quote ? Change::quoted_printable : Change::base64;
}

void SevenBitPlanner::part_ends(std::uint64_t) {
    if (open_.empty()) return;
    const auto number = open_.back().part;
    open_.pop_back();
    decide(plan_.parts[number], seen_[number]);
}

SevenBitPlan SevenBitPlanner::finish() {
    walk_.finish();
    return std::move(plan_);
}

void SevenBitWriter::part_begins(std::uint64_t, std::size_t) {
    open_.push_back(std::min(begun_++, plan_.parts.size() - 1));
    in_header_ = true;
    column_ = 0;
}

void SevenBitWriter::field(std::string_view field) {
    told_ += field.size();
    if (on_top_) {
        if (ascii::same(field_name(field), "dkim-signature")) {
            left_signatures_out_ = true;
            return;
        }
        on_top_ = false;
    }
    const auto kind = change();
    const bool replaced = in_header_ && kind != Change::keep && kind != Change::blank;
    if (replaced && ascii::same(field_name(field), "content-transfer-encoding")) return;
    out_ += field;
}

void SevenBitWriter::long_field(std::string_view octets) {
    told_ += octets.size();
    out_ += octets;
}

/// What the header lacks, behind its last field.
void SevenBitWriter::write_missing_fields() {
    const auto kind = change();
    if (open_.empty() || kind == Change::keep || kind == Change::blank) return;
    const auto& part = plan_.parts[open_.back()];
    if (part.message && !part.has_version) out_ += "MIME-Version: 1.0\r\n";
    // RFC 1428 s3: the sender did not say which letters these are.
    if (part.message && !part.has_type && kind != Change::relabel)
        out_ += fmt::format("Content-Type: text/plain; charset={}\r\n", part.utf8 ? "utf-8" : "unknown-8bit");
    out_ += fmt::format("Content-Transfer-Encoding: {}\r\n", kind == Change::relabel            ? "7bit"
                                                             : kind == Change::quoted_printable ? "quoted-printable"
                                                                                                : "base64");
}

bool SevenBitWriter::header_ends(const ContentType& type, std::uint64_t) {
    if (in_header_) {  // no empty line ended it
        const auto before = out_.size();
        write_missing_fields();
        if (out_.size() != before) out_ += "\r\n";
    }
    in_header_ = false;
    return type.kind != Kind::signed_multipart;
}

void SevenBitWriter::frame(std::string_view octets) {
    told_ += octets.size();
    if (in_header_) write_missing_fields();
    in_header_ = on_top_ = false;
    out_ += octets;
}

void SevenBitWriter::body(std::string_view octets) {
    told_ += octets.size();
    switch (change()) {
        case Change::keep: out_ += octets; break;
        case Change::quoted_printable: quoted_printable(octets); break;
        case Change::base64: base64(octets); break;
        case Change::relabel:
        case Change::blank:
            for (const char c : octets) out_ += is_high(c) ? '?' : c;
            break;
    }
}

void SevenBitWriter::soft_break(std::size_t needed) {
    if (column_ + needed < kQuotedLine) return;  // room for "=" is kept
    out_ += "=\r\n";
    column_ = 0;
}

void SevenBitWriter::quoted(unsigned char octet) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    soft_break(3);
    out_ += '=';
    out_ += kDigits[octet >> 4];
    out_ += kDigits[octet & 15];
    column_ += 3;
}

void SevenBitWriter::literal(char octet) {
    soft_break(1);
    out_ += octet;
    ++column_;
}

// RFC 2045 s6.7: white space at a line's end is encoded (rule 3), and a line end is one (rule 4). `held_` is one octet
// of white space, a CR, or both.
void SevenBitWriter::quoted_printable(std::string_view octets) {
    for (const char c : octets) {
        if (c == '\n' && held_.ends_with('\r')) {
            held_.pop_back();
            if (!held_.empty()) quoted(static_cast<unsigned char>(held_.front()));
            held_.clear();
            out_ += "\r\n";
            column_ = 0;
            continue;
        }
        if (c == '\r' && !held_.contains('\r')) {
            held_ += c;
            continue;
        }
        for (const char before : std::exchange(held_, {})) {
            if (before == '\r')
                quoted('\r');
            else
                literal(before);
        }
        if (c == ' ' || c == '\t' || c == '\r')
            held_ = c;
        else if (c > ' ' && c < 0x7f && c != '=')
            literal(c);
        else
            quoted(static_cast<unsigned char>(c));
    }
}

void SevenBitWriter::base64_line() {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto size = std::min(octets_.size(), kBase64Octets);
    for (std::size_t at = 0; at < size; at += 3) {
        const auto count = std::min<std::size_t>(3, size - at);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (i < count ? static_cast<unsigned char>(octets_[at + i]) : 0u);
        for (std::size_t i = 0; i < 4; ++i) out_ += i <= count ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
    }
    out_ += "\r\n";
    octets_.erase(0, size);
}

// The last line end may belong to the delimiter behind the part, so it is held back.
void SevenBitWriter::base64(std::string_view octets) {
    for (const char c : octets) {
        if (c == '\n' && held_ == "\r") {
            held_ += c;
            continue;
        }
        octets_ += std::exchange(held_, {});
        if (c == '\r' || c == '\n')
            held_ = c;
        else
            octets_ += c;
        while (octets_.size() >= kBase64Octets) base64_line();
    }
}

void SevenBitWriter::part_ends(std::uint64_t offset) {
    if (open_.empty()) return;
    const bool own_line_end = offset == told_;
    const auto kind = change();
    if (kind == Change::quoted_printable) {
        for (const char c : held_) quoted(static_cast<unsigned char>(c));
    } else if (kind == Change::base64) {
        if (own_line_end) octets_ += held_;  // else the end of the last line of base64 stands for it
        while (!octets_.empty()) base64_line();
    }
    held_.clear();
    octets_.clear();
    open_.pop_back();
    in_header_ = false;
}

}  // namespace poplar::mail
