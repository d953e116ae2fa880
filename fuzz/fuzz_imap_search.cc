// SEARCH programs of any octets, held against any message: an answer that is found with less is the one that is found
// with all, what is missing is named, and how the message's octets come changes nothing. Criteria of SORT, too.
#include <string>

#include "fuzz/check.h"
#include "imap/search_keys.h"
#include "imap/sort.h"
#include "mail/structure.h"

namespace poplar::imap {
namespace {

using Is = SearchAnswer::Is;

void check(std::string_view text, std::string_view wire, std::uint32_t seed) {
    Cursor in(text);
    auto program = parse_search(in, {.keys = 100, .depth = 20, .text = 200});
    Cursor sort_in(text);
    if (const auto criteria = parse_sort_criteria(sort_in)) CHECK(!criteria->empty());
    if (!program) {
        CHECK(!program.error().text.empty());
        return;
    }
    CHECK(in.at_end());
    resolve(*program, seed, 10 * seed);

    mail::StructureReader reader;
    reader.feed(wire);
    const auto structure = reader.finish();
    MessageText words, header, in_pieces;
    words.begin(structure, MessageText::Depth::all);
    words.feed(wire);
    words.finish();
    in_pieces.begin(structure, MessageText::Depth::all);
    for (const auto piece : fuzz::cut(wire, seed)) in_pieces.feed(piece);
    in_pieces.finish();
    header.begin(structure, MessageText::Depth::header);
    header.feed(wire);
    header.finish();

    SearchFacts facts;
    facts.number = seed % 7 + 1;
    facts.uid = 10 * facts.number;
    facts.flags = static_cast<std::uint8_t>(seed);
    facts.mod_sequence = seed;
    const SearchFacts least = facts;
    facts.record = SearchFacts::Record{.octets = wire.size(), .email_id = "M1"};
    facts.thread_id = "T1";
    facts.structure = &structure;
    facts.header = &header;
    facts.text = &words;
    const auto all = match(*program, facts);
    CHECK(all.is != Is::unknown);

    auto known = least;
    for (auto answer = match(*program, known);; answer = match(*program, known)) {
        if (answer.is != Is::unknown) {
            CHECK(answer.is == all.is);
            break;
        }
        CHECK(answer.needs <= program->cost);
        switch (answer.needs) {
            case SearchCost::list: CHECK(false); break;
            case SearchCost::record:
                CHECK(!known.record);
                known.record = facts.record;
                break;
            case SearchCost::thread:
                CHECK(!known.thread_id);
                known.thread_id = facts.thread_id;
                break;
            case SearchCost::structure:
                CHECK(!known.structure);
                known.structure = facts.structure;
                break;
            case SearchCost::header:
                CHECK(!known.header);
                known.header = facts.header;
                break;
            case SearchCost::text:
                CHECK(!known.text);
                known.text = &in_pieces;
                break;
        }
    }
}

}  // namespace
}  // namespace poplar::imap

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    const std::size_t program = input.number();
    const auto rest = input.rest();
    poplar::imap::check(rest.substr(0, program), rest.substr(std::min(program, rest.size())), seed);
    return 0;
}
