#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace poplar {

/// Builds the bytes of a record: fixed integers little-endian, varints as in LEB128, strings behind their length.
/// Keys use the big-endian form, which sorts as the numbers do.
class Encoder {
public:
    Encoder() = default;
    /// For about so many octets: memory is taken once.
    explicit Encoder(std::size_t expected) { out_.reserve(expected); }
    Encoder& u8(std::uint8_t v);
    Encoder& u32(std::uint32_t v);
    Encoder& u64(std::uint64_t v);
    Encoder& u32_key(std::uint32_t v);
    Encoder& u64_key(std::uint64_t v);
    Encoder& varint(std::uint64_t v);
    Encoder& string(std::string_view bytes);  ///< varint length, then the bytes
    Encoder& raw(std::string_view bytes);     ///< the bytes alone
    const std::string& bytes() const& { return out_; }
    std::string bytes() && { return std::move(out_); }

private:
    std::string out_;
};

/// Reads what Encoder wrote. Any bytes are allowed: a read past the end gives zero or "" and makes ok() false for good.
/// Views returned point into the input.
class Decoder {
public:
    explicit Decoder(std::string_view in) : in_(in) {}
    std::uint8_t u8() {
        const auto octet = take(1);
        return octet.empty() ? 0 : static_cast<std::uint8_t>(octet.front());
    }
    std::uint32_t u32();
    std::uint64_t u64();
    std::uint32_t u32_key();
    std::uint64_t u64_key();
    std::uint64_t varint() {
        if (in_.empty() || static_cast<std::uint8_t>(in_.front()) >= 0x80) return long_varint();
        return u8();
    }
    std::string_view string() { return take(varint()); }
    std::string_view raw(std::size_t size) { return take(size); }
    bool ok() const { return ok_; }
    bool at_end() const { return in_.empty(); }
    std::string_view remaining() const { return in_; }

private:
    std::string_view take(std::size_t size) {
        if (!ok_ || in_.size() < size) {
            ok_ = false;
            in_ = {};
            return {};
        }
        const auto bytes = in_.substr(0, size);
        in_.remove_prefix(size);
        return bytes;
    }
    std::uint64_t long_varint();

    std::string_view in_;
    bool ok_ = true;
};

/// A time in a record: milliseconds since 1970, UTC. Both ways it is the same 64 bits, also before 1970.
constexpr std::uint64_t millis(Timestamp time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
constexpr Timestamp timestamp(std::uint64_t millis) {
    return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(millis)));
}

/// Makes small numbers of small ones of either sign, for a varint: 0, -1, 1, -2 become 0, 1, 2, 3.
constexpr std::uint64_t zigzag(std::int64_t value) {
    return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1));
}

}  // namespace poplar
