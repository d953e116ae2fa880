#pragma once
// Transfer encodings (RFC 2045 s6).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace poplar::mail {

enum class TransferEncoding : std::uint8_t { identity, base64, quoted_printable };

/// By its name in a Content-Transfer-Encoding field, "" included. Nothing: it is not known.
std::optional<TransferEncoding> find_transfer_encoding(std::string_view name);

/// Decodes a body as it comes, in plain octets. Incremental: the same octets give the same however they are cut. What
/// base64 does not know is passed over (RFC 2045 s6.8); in quoted-printable, white space before a line's end goes, and
/// an
/// "=" without two digits stays.
class TransferDecoder {
public:
    /// Octets of a line that are held back until its end is known; more white space than that at its end stays.
    static constexpr std::size_t kMostHeld = 256 * 1024;

    explicit TransferDecoder(TransferEncoding encoding) : encoding_(encoding) {}
    /// Appends to `out` at most as many octets as `in` has, and those of a line's end that were held back.
    void decode(std::string_view in, std::string& out);
    void finish(std::string& out);  ///< after the last octet

private:
    void base64(std::string_view in, std::string& out);
    void quoted_printable(std::string_view in, std::string& out);
    void line(std::string_view line, bool ended, std::string& out);

    const TransferEncoding encoding_;
    std::uint32_t bits_ = 0;
    int count_ = 0;
    std::string held_;  // of quoted-printable: a line's end that may be white space, a soft break, or half an octet
};

/// `body` without its transfer encoding; nothing: the encoding is not known.
std::optional<std::string> decode_transfer(std::string_view body, std::string_view encoding);

}  // namespace poplar::mail
