// Items that need octets: streamed as they are, decoded, or gathered and looked through.
#include "imap/fetch_octets.h"

#include <algorithm>

#include "base/ascii.h"
#include "mail/header_walk.h"
#include "mail/part_text.h"

namespace poplar::imap {

namespace {

using Kind = FetchItem::Kind;
using Part = mail::Structure::Part;

constexpr std::size_t kMostKept = 256 * 1024;  // octets of a decoded part that is not decoded a second time

/// The fields of `header` that are named, or the others, as they stand, and the empty line (RFC 9051 s6.4.5.1).
std::string chosen_fields(std::string_view header, const Section& section) {
    const bool wants_named = section.what == Section::What::header_fields;
    std::string out;
    bool wanted = false;
    while (!header.empty()) {
        const auto newline = header.find('\n');
        const auto line = header.substr(0, newline == header.npos ? header.size() : newline + 1);
        header.remove_prefix(line.size());
        if (line == "\r\n" || line == "\n") break;
        if (!ascii::is_wsp(line.front())) {
            const auto name = mail::field_name(line);
            const bool named =
                std::ranges::any_of(section.fields, [&](const std::string& one) { return ascii::same(one, name); });
            wanted = named == wants_named;
        }
        if (wanted) out += line;
    }
    return out += "\r\n";
}

}  // namespace

ItemWriter::ItemWriter(const FetchItem& item, const mail::Structure& structure, TextForm form, Form whole)
    : item_(item), structure_(structure), form_(form), whole_(whole) {
    auto section = item.section;
    if (item.kind == Kind::rfc822_header) section.what = Section::What::header;
    if (item.kind == Kind::rfc822_text) section.what = Section::What::text;
    what_ = section.what;
    if (item.kind == Kind::preview) {
        const auto part = mail::find_shown_text(structure);
        how_ = How::preview;
        if (!part) return;
        part_ = *part;
        const auto& found = structure.parts[part_];
        extent_ = {found.body, std::min(found.end, found.body + 2 * kMostOfText), found.body_octets};
        transfer_ = mail::transfer_of(found);
        exists_ = transfer_.has_value();
        return;
    }
    const auto extent = find_section(structure, section);
    exists_ = extent.has_value();
    if (!exists_) return;
    extent_ = *extent;
    if (what_ == Section::What::header_fields || what_ == Section::What::header_fields_not) {
        how_ = How::fields;
        extent_.end = std::min(extent_.end, extent_.begin + kMostOfHeader);
    }
    const bool decodes = item.kind == Kind::binary || item.kind == Kind::binary_size;
    if (!decodes || item.section.part.empty()) return;
    part_ = *find_part(structure, item.section.part);
    const auto& part = structure.parts[part_];
    if (part.kind != mail::ContentType::Kind::leaf && part.kind != mail::ContentType::Kind::fields) return;
    transfer_ = mail::transfer_of(part);
    unknown_encoding_ = !transfer_;
    if (transfer_ && *transfer_ != mail::TransferEncoding::identity) {
        how_ = How::decode_size;
        decoder_.emplace(*transfer_);
    }
}

// Chosen fields are never more than the header, but for an empty line at its end.
std::uint64_t ItemWriter::most() const {
    const auto all = extent_.octets + 2;
    return item_.partial ? std::min(all, item_.partial->octets) : all;
}

void ItemWriter::write_name(std::string& out) const {
    if (whole_ == Form::octets) return;
    switch (item_.kind) {
        case Kind::rfc822: out += "RFC822 "; return;
        case Kind::rfc822_header: out += "RFC822.HEADER "; return;
        case Kind::rfc822_text: out += "RFC822.TEXT "; return;
        case Kind::preview: out += "PREVIEW "; return;
        case Kind::binary: out += "BINARY["; break;
        case Kind::binary_size: out += "BINARY.SIZE["; break;
        default: out += "BODY["; break;
    }
    write_section(out, item_.section);
    out += ']';
    if (item_.partial) {
        out += '<';
        write_number(out, item_.partial->offset);
        out += '>';
    }
    out += ' ';
}

/// Of so many octets, how many are the answer; sets what is passed over before them.
std::uint64_t ItemWriter::begin_partial(std::uint64_t octets) {
    skip_ = item_.partial ? std::min(item_.partial->offset, octets) : 0;
    left_ = item_.partial ? std::min(item_.partial->octets, octets - skip_) : octets;
    return left_;
}

// Octets of BINARY may have NUL among them, which only a literal8 may have (RFC 3516 s4.2).
void ItemWriter::write_literal_head(std::string& out, std::uint64_t octets) const {
    if (whole_ == Form::octets) return;
    if (item_.kind == Kind::binary) out += '~';
    out += '{';
    write_number(out, octets);
    out += "}\r\n";
}

ItemWriter::Next ItemWriter::start(std::string& out) {
    write_name(out);
    if (!exists_ || unknown_encoding_) {
        out += item_.kind == Kind::binary_size ? "0" : item_.kind == Kind::preview ? "\"\"" : "NIL";
        return Next::done;
    }
    if (how_ != How::stream) {
        if (extent_.begin < extent_.end) return Next::more;
        return finish_gathered(out);
    }
    if (item_.kind == Kind::binary_size) {
        write_number(out, extent_.octets);
        return Next::done;
    }
    if (begin_partial(extent_.octets) == 0) {
        if (whole_ == Form::answer) out += "\"\"";
        return Next::done;
    }
    write_literal_head(out, left_);
    return Next::more;
}

void ItemWriter::pass_on(std::string_view octets, std::string& out) {
    const auto skipped = std::min<std::uint64_t>(skip_, octets.size());
    skip_ -= skipped;
    octets.remove_prefix(skipped);
    octets = octets.substr(0, left_);
    left_ -= octets.size();
    out += octets;
}

ItemWriter::Next ItemWriter::feed(std::uint64_t offset, std::string_view wire, std::string& out) {
    if (offset < extent_.begin) {
        const auto before = std::min<std::uint64_t>(extent_.begin - offset, wire.size());
        wire.remove_prefix(before);
        offset += before;
    }
    if (wire.empty() || offset >= extent_.end) return Next::more;
    wire = wire.substr(0, extent_.end - offset);
    const bool last = offset + wire.size() == extent_.end;
    std::string_view plain = wire;
    if (extent_.octets != extent_.end - extent_.begin || how_ == How::preview || how_ == How::fields) {
        plain_.clear();
        wire_.decode(wire, plain_);
        plain = plain_;
    }
    switch (how_) {
        case How::stream: pass_on(plain, out); return left_ == 0 ? Next::done : Next::more;
        case How::fields:
        case How::preview: gathered_ += plain; return last ? finish_gathered(out) : Next::more;
        case How::decode_size: {
            scratch_.clear();
            decoder_->decode(plain, scratch_);
            if (last) decoder_->finish(scratch_);
            decoded_ += scratch_.size();
            if (decoded_ <= kMostKept) gathered_ += scratch_;
            return last ? finish_gathered(out) : Next::more;
        }
        case How::decode:
            scratch_.clear();
            decoder_->decode(plain, scratch_);
            if (last) decoder_->finish(scratch_);
            pass_on(scratch_, out);
            return left_ == 0 ? Next::done : Next::more;
    }
    return Next::done;
}

/// All that was wanted is there: of fields and previews the octets, of a decoded part at least its size.
ItemWriter::Next ItemWriter::finish_gathered(std::string& out) {
    if (how_ == How::preview) {
        auto text = mail::decode_text(structure_.parts[part_], gathered_, kMostOfText);
        write_string(out, preview_of(text), form_);
        return Next::done;
    }
    if (how_ == How::fields) {
        gathered_ = chosen_fields(gathered_, item_.section);
        decoded_ = gathered_.size();
    }
    if (item_.kind == Kind::binary_size) {
        write_number(out, decoded_);
        return Next::done;
    }
    if (begin_partial(decoded_) == 0) {
        if (whole_ == Form::answer) out += "\"\"";
        return Next::done;
    }
    write_literal_head(out, left_);
    if (how_ == How::fields || decoded_ <= kMostKept) {
        pass_on(gathered_, out);
        return Next::done;
    }
    how_ = How::decode;
    gathered_.clear();
    wire_ = mail::WireDecoder();
    decoder_.emplace(*transfer_);
    return Next::again;
}

std::string preview_of(std::string_view text) {
    constexpr std::size_t kCharacters = 200;
    std::string out;
    std::size_t characters = 0;
    const auto add_text = [&](std::string_view line) {
        for (const char c : line) {
            const auto octet = static_cast<unsigned char>(c);
            const bool begins = (octet & 0xc0) != 0x80;
            if (octet <= ' ' || octet == 0x7f) {
                if (out.empty() || out.back() == ' ') continue;
                if (++characters > kCharacters) return;
                out += ' ';
                continue;
            }
            if (begins && ++characters > kCharacters) return;
            out += c;
        }
        if (!out.empty() && out.back() != ' ' && characters < kCharacters) {
            out += ' ';
            ++characters;
        }
    };
    // The message that this one answers says nothing about it; without anything else it is better than nothing.
    for (const bool with_quotes : {false, true}) {
        auto rest = text;
        while (!rest.empty() && characters < kCharacters) {
            const auto line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            if (!with_quotes && line.starts_with("-- ") && ascii::trim(line.substr(0, line.find('\r'))) == "--") break;
            if (with_quotes || !line.starts_with('>')) add_text(line);
        }
        if (!out.empty()) break;
    }
    while (out.ends_with(' ')) out.pop_back();
    return out;
}

}  // namespace poplar::imap
