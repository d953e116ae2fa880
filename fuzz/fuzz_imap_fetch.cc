// FETCH writes of any message, by any item, the same however the message's octets come, a literal as long as it
// says, and strings and parentheses that end. The same for rows of any octets that can be decoded.
#include <string>

#include "fuzz/check.h"
#include "imap/fetch_items.h"
#include "imap/fetch_octets.h"
#include "mail/structure.h"

namespace poplar::imap {
namespace {

/// Passes over one value, or a list of values.
bool pass_value(Cursor& in, int depth = 0) {
    if (depth > 200) return false;
    if (in.take('(')) {
        while (!in.take(')')) {
            if (!pass_value(in, depth + 1)) return false;
            in.space();
        }
        return true;
    }
    if (in.literal(Cursor::Literal8::yes)) return true;
    return in.at('"') || in.at('{') ? in.string().has_value() : in.atom().has_value();
}

bool is_value(std::string_view text) {
    Cursor in(text);
    return pass_value(in) && in.at_end();
}

std::string write(const FetchItem& item, const mail::Structure& structure,
                  const std::vector<std::string_view>& pieces) {
    ItemWriter writer(item, structure, TextForm::ascii);
    std::string out;
    auto next = writer.start(out);
    for (int rounds = 0; next != ItemWriter::Next::done; ++rounds) {
        CHECK(rounds < 2);
        std::uint64_t at = 0;
        next = ItemWriter::Next::more;
        for (const auto piece : pieces) {
            next = writer.feed(at, piece, out);
            at += piece.size();
            if (next != ItemWriter::Next::more) break;
        }
        CHECK(next != ItemWriter::Next::more);  // the row is the message's: it has all that was asked for
    }
    return out;
}

void check_row(const mail::Structure& structure) {
    for (const auto form : {TextForm::ascii, TextForm::utf8}) {
        std::string out;
        write_envelope(out, structure.parts.front(), form);
        CHECK(is_value(out));
        for (const auto extensions : {Extensions::no, Extensions::yes}) {
            out.clear();
            write_body_structure(out, structure, extensions, form);
            CHECK(is_value(out));
        }
    }
}

void check(std::string_view text, std::string_view wire, std::uint32_t seed) {
    mail::StructureReader reader;
    reader.feed(wire);
    const auto structure = reader.finish();
    check_row(structure);
    if (const auto any = mail::decode_structure(wire)) check_row(*any);

    Cursor in(text);
    const auto items = parse_fetch_items(in);
    CHECK(text.ends_with(in.rest()));
    if (!items) return;
    CHECK(!items->empty() && items->size() <= kMostFetchItems);
    (void)needs_of(*items);
    for (const auto& item : *items) {
        if (!item.needs_octets()) continue;
        const auto whole = write(item, structure, {wire});
        CHECK(whole == write(item, structure, fuzz::cut(wire, seed)));
        const auto name_end =
            whole.find(item.kind == FetchItem::Kind::section || item.kind == FetchItem::Kind::binary ||
                               item.kind == FetchItem::Kind::binary_size
                           ? "] "
                           : " ");
        CHECK(name_end != whole.npos || item.partial);
    }
}

}  // namespace
}  // namespace poplar::imap

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    const std::size_t items = input.number();
    const auto rest = input.rest();
    poplar::imap::check(rest.substr(0, items), rest.substr(std::min(items, rest.size())), seed);
    return 0;
}
