#pragma once
// The letters of a text beyond ASCII, to show that rewriting it lost none. For tests and fuzz targets.
#include <string>
#include <string_view>

namespace poplar::mail::test {

/// The letters over 0x7f that stand in `text` as UTF-8, sorted: case-folded and decomposed, as domains come back so.
std::u32string letters(std::string_view text);

/// Those, and the ones that a reader of header fields finds in ASCII: in encoded-words, in extended parameters
/// (RFC 2231), in A-labels and in addresses of delivery reports (RFC 6533 s3).
std::u32string letters_said(std::string_view text);

/// Whether `out` says each letter that stands in `in`, as often, and has no "?" more besides those of encoded-words.
bool says_all(std::string_view out, std::string_view in);

}  // namespace poplar::mail::test
