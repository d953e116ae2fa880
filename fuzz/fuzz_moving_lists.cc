// The lists that Dovecot and Courier keep, an unique-id format and a mailbox name, from any octets.
#include "fuzz/check.h"
#include "moving/lists.h"
#include "moving/maildir.h"
#include "moving/uidl_format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::moving;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (auto list = parse_dovecot_list(text)) {
        CHECK(list->uid_validity != 0);
        for (const auto& [base, entry] : list->entries) CHECK(!base.empty() && base_of(base) == base && entry.uid != 0);
    }
    if (auto ids = parse_courier_list(text))
        for (const auto& [base, id] : *ids) CHECK(!base.empty() && !id.empty());
    for (const auto& [letter, name] : parse_dovecot_keywords(text))
        CHECK(letter >= 'a' && letter <= 'z' && !name.empty());
    if (auto format = UidlFormat::parse(text)) CHECK(!format->expand({1, 2, "file", "guid"}).empty());
    (void)mailbox_name_of(text);
    return 0;
}
