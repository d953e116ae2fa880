// The words of IMAP commands, of any octets: what is taken is taken from the front, a literal is what the end of a line
// says, and names have one spelling in modified UTF-7.
#include "fuzz/check.h"
#include "imap/annotations.h"
#include "imap/append_words.h"
#include "imap/mailbox_name.h"
#include "imap/notify_words.h"
#include "imap/result_range.h"
#include "imap/words.h"
#include "mail/address.h"

namespace poplar::imap {
namespace {

template <class Parse>
void check_front(std::string_view text, Parse parse) {
    Cursor in(text);
    (void)parse(in);
    CHECK(in.rest().size() <= text.size() && text.ends_with(in.rest()));
}

}  // namespace
}  // namespace poplar::imap

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::imap;
    poplar::fuzz::Input input(data, size);
    const std::size_t half = input.number();
    const auto text = input.rest();

    const auto mark = literal_at_end(text);
    if (mark) CHECK(text.ends_with('}') && mark->at < text.size() && (text[mark->at] == '{' || mark->binary));
    check_front(text, parse_tag);
    check_front(text, parse_keyword);
    check_front(text, parse_number63);
    check_front(text, parse_mailbox);
    check_front(text, parse_pattern);
    check_front(text, parse_flag);
    check_front(text, parse_flag_list);
    check_front(text, parse_words);
    check_front(text, parse_result_range);
    check_front(text, parse_metadata_query);
    check_front(text, parse_notify);
    check_front(text, parse_metadata_change);
    if (auto all = Annotations::decode(text)) {
        const auto octets = all->encode();
        const auto again = Annotations::decode(octets);
        CHECK(again && again->encode() == octets);
    }
    check_front(text, parse_date_time);

    AppendGrammar grammar(half % 2 == 0 ? AppendGrammar::Messages::any : AppendGrammar::Messages::one);
    const auto steps = grammar.read(text.substr(0, half), half % 3 == 0);
    if (steps) {
        CHECK(!steps->empty());
        const auto kind = steps->back().kind;
        CHECK(kind == (half % 3 == 0 ? AppendStep::Kind::octets : AppendStep::Kind::command_end));
        (void)grammar.read(text.substr(std::min(half, text.size())), half % 5 == 0);
    }
    if (const auto url = parse_message_url(text)) CHECK(url->uid != 0 && text.size() <= MessageUrl::kLongest);

    if (const auto name = from_utf7(text)) {
        CHECK(poplar::mail::is_utf8(*name));
        CHECK(to_utf7(*name) == text);
    }
    if (poplar::mail::is_utf8(text)) CHECK(from_utf7(to_utf7(text)) == text);

    const auto name = text.substr(0, half), pattern = text.substr(std::min(half, text.size()));
    const bool fits = fits_pattern(name, pattern);
    if (pattern.find_first_of("*%") == pattern.npos && name == pattern) CHECK(fits);
    CHECK(fits_pattern(name, "*"));
    CHECK(fits_pattern(name, "%") == !name.contains('/'));
    return 0;
}
