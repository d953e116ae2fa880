#include "mailstore/document.h"

#include "base/encoding.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {

constexpr std::uint8_t kVersion = 1;

}  // namespace

std::string encode(const DocumentInfo& info) {
    Encoder out(32);
    out.u8(kVersion).varint(info.version.value).varint(millis(info.modified)).varint(info.octets);
    return std::move(out).bytes();
}

std::string encode(const Fact& fact) {
    Encoder out(16 + fact.value.size());
    out.u8(kVersion).varint(millis(fact.expires)).string(fact.value);
    return std::move(out).bytes();
}

Result<DocumentInfo> decode_document_info(engine::EntryView entry) {
    Decoder in(entry.value);
    DocumentInfo info;
    const bool known = in.u8() == kVersion;
    info.name = keys::name_of(entry.key);
    info.version = ModSequence(in.varint());
    info.modified = timestamp(in.varint());
    info.octets = in.varint();
    if (!known || !in.ok() || !in.at_end()) return fail(Errc::corrupt, "a document's row can't be decoded");
    return info;
}

Result<Fact> decode_fact(std::string_view value) {
    Decoder in(value);
    Fact fact;
    const bool known = in.u8() == kVersion;
    fact.expires = timestamp(in.varint());
    fact.value = in.string();
    if (!known || !in.ok() || !in.at_end()) return fail(Errc::corrupt, "a fact can't be decoded");
    return fact;
}

}  // namespace poplar::mailstore
