#pragma once
#include <string>
#include <string_view>

namespace poplar::mail {

/// Appends what people read of an HTML text, both in UTF-8: without tags, comments, scripts and styles; with characters
/// in place of their names; with a line end where a block begins or ends. Any octets are allowed. `out` grows by at
/// most as many octets as `html` has.
void append_html_text(std::string_view html, std::string& out);

}  // namespace poplar::mail
