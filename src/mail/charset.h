#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace poplar::mail {

/// The name under which iconv knows a charset that mail uses; "" for others.
std::string iconv_name(std::string_view charset);
/// `bytes`, in a charset as iconv_name() calls it, in UTF-8; octets that mean nothing in it become U+FFFD, and those of
/// UTF-8 stay as they are. Nothing if iconv has no such charset.
std::optional<std::string> from_iconv(const std::string& charset, std::string bytes);

/// Both: from a charset as mail calls it.
std::optional<std::string> to_utf8(std::string_view charset, std::string bytes);

}  // namespace poplar::mail
