#include "base/encoding.h"

#include <bit>
#include <cstring>

namespace poplar {

static_assert(std::endian::native == std::endian::little, "fixed integers are stored as they are in memory");

namespace {
template <class T>
void append(std::string& out, T v) {
    out.append(reinterpret_cast<const char*>(&v), sizeof v);
}
template <class T>
T read(std::string_view bytes) {
    T v{};
    if (bytes.size() == sizeof v) std::memcpy(&v, bytes.data(), sizeof v);
    return v;
}
}  // namespace

Encoder& Encoder::u8(std::uint8_t v) { return append(out_, v), *this; }
Encoder& Encoder::u32(std::uint32_t v) { return append(out_, v), *this; }
Encoder& Encoder::u64(std::uint64_t v) { return append(out_, v), *this; }
Encoder& Encoder::u32_key(std::uint32_t v) { return append(out_, __builtin_bswap32(v)), *this; }
Encoder& Encoder::u64_key(std::uint64_t v) { return append(out_, __builtin_bswap64(v)), *this; }

Encoder& Encoder::varint(std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) out_.push_back(static_cast<char>(v | 0x80));
    out_.push_back(static_cast<char>(v));
    return *this;
}

Encoder& Encoder::string(std::string_view bytes) { return varint(bytes.size()).raw(bytes); }
Encoder& Encoder::raw(std::string_view bytes) { return out_.append(bytes), *this; }

std::uint32_t Decoder::u32() { return read<std::uint32_t>(take(4)); }
std::uint64_t Decoder::u64() { return read<std::uint64_t>(take(8)); }
std::uint32_t Decoder::u32_key() { return __builtin_bswap32(u32()); }
std::uint64_t Decoder::u64_key() { return __builtin_bswap64(u64()); }

std::uint64_t Decoder::long_varint() {
    std::uint64_t v = 0;
    std::size_t n = 0;
    for (int shift = 0; shift < 64 && n < in_.size(); shift += 7) {
        const auto byte = static_cast<std::uint8_t>(in_[n++]);
        v |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if ((byte & 0x80) != 0) continue;
        in_.remove_prefix(n);
        return v;
    }
    ok_ = false;  // cut off, or more than ten bytes
    in_ = {};
    return 0;
}

}  // namespace poplar
