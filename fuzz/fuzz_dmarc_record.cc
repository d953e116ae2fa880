// DMARC records and lists of tags of any octets.
#include "fuzz/check.h"
#include "screening/dmarc.h"
#include "screening/tag_list.h"

namespace poplar::screening {
namespace {

void check(std::string_view text) {
    const auto tags = TagList::parse(text);
    const auto record = DmarcRecord::parse(text);
    CHECK(!record || (tags && tags->first() == "v" && tags->value("v") == "DMARC1"));
    if (const auto decoded = decode_base64(text)) CHECK(decode_base64(encode_base64(*decoded)) == decoded);
    for (const auto& part : split(text, ';')) CHECK(without_space(part).size() <= part.size());
}

}  // namespace
}  // namespace poplar::screening

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::screening::check(poplar::fuzz::Input(data, size).rest());
    return 0;
}
