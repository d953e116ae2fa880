// Answers of other servers, from any octets: POP3's lines and texts, IMAP's responses with their literals.
#include <string>

#include "fuzz/check.h"
#include "moving/imap_response.h"
#include "moving/pop3_response.h"

namespace {

using namespace poplar::moving;

// As they come off the wire: a literal is as long as its line says, if there is so much.
ImapResponse response_of(std::string_view text) {
    ImapResponse response;
    for (;;) {
        const auto end = std::min(text.find('\n'), text.size());
        response.lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        const auto octets = literal_at_end(response.lines.back());
        if (!octets || *octets > text.size()) return response;
        response.literals.emplace_back(text.substr(0, *octets));
        text.remove_prefix(*octets);
    }
}

void check_imap(std::string_view text) {
    auto values = parse_imap(response_of(text));
    if (!values) return;
    if (auto folder = listed_folder(*values)) CHECK(!folder->name.empty() && folder->delimiter.size() <= 1);
    (void)namespaces(*values);
    if (auto message = fetched_message(std::move(*values))) CHECK(message->uid != 0);
}

// A text is the same however it is cut.
void check_pop3(std::string_view text) {
    MultiLine whole(1 << 20), cut(1 << 20);
    const auto at_once = whole.add(text);
    poplar::Result<bool> in_two = cut.add(text.substr(0, text.size() / 2));
    if (in_two && !*in_two) in_two = cut.add(text.substr(text.size() / 2));
    if (at_once && in_two) CHECK(*at_once == *in_two && whole.text() == cut.text());
    (void)parse_pop3_status(text);
    if (auto listing = parse_scan_listing(text)) CHECK(listing->first != 0);
    if (auto listing = parse_unique_id_listing(text)) CHECK(listing->first != 0 && !listing->second.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_imap(text);
    check_pop3(text);
    (void)response_code(text, "UIDVALIDITY");
    (void)parse_internal_date(text);
    if (auto out = imap_quoted(text)) CHECK(out->size() >= 2);
    return 0;
}
