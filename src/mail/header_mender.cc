#include "mail/header_mender.h"

#include <optional>
#include <utility>

#include "base/ascii.h"

namespace poplar::mail {
namespace {

constexpr std::string_view kEmptyLine = "\r\n";
constexpr std::string_view kMailboxLine = "X-Mailbox-Line: ";  // as Postfix calls it

using ascii::is_digit;

bool has_time(std::string_view line) {
    for (std::size_t colon = 0; (colon = line.find(':', colon + 1)) != line.npos;)
        if (is_digit(line[colon - 1]) && colon + 1 < line.size() && is_digit(line[colon + 1])) return true;
    return false;
}

/// Whether a message begins with the line that an mbox has before each: "From ", a sender and a time. Nothing: that
/// can't be told yet.
std::optional<bool> begins_with_mailbox_line(std::string_view text) {
    for (const std::string_view begin : {"From ", ">From "}) {
        if (text.size() < begin.size() && begin.starts_with(text)) return std::nullopt;
        if (!text.starts_with(begin)) continue;
        const auto end = text.substr(0, kLongestFieldName).find('\n');
        if (end == text.npos && text.size() < kLongestFieldName) return std::nullopt;
        return end != text.npos && has_time(text.substr(0, end));
    }
    return false;
}

}  // namespace

std::string_view HeaderMender::pass(std::string_view wire) {
    if (header_.in_body()) return wire;
    std::size_t walked = begun_ ? held_.size() : 0;
    if (!held_.empty()) {
        out_ = std::exchange(held_, {}).append(wire);
        wire = out_;
    }
    if (!begun_) {
        const auto mailbox_line = begins_with_mailbox_line(wire);
        if (!mailbox_line) {
            held_ = wire;
            return {};
        }
        begun_ = true;
        if (*mailbox_line) put_in(wire, 0, kMailboxLine);
    }
    header_.feed(wire.substr(walked));
    if (header_.lacks_blank_line()) {
        put_in(wire, static_cast<std::size_t>(header_.header_octets() - passed_), kEmptyLine);
        return wire;
    }
    held_ = wire.substr(wire.size() - header_.undecided());
    wire.remove_suffix(header_.undecided());
    passed_ += wire.size();
    return wire;
}

std::string_view HeaderMender::finish() {
    std::string_view text = out_ = std::exchange(held_, {});
    if (!text.empty()) put_in(text, 0, kEmptyLine);  // it ended within a line that is no field
    return text;
}

void HeaderMender::put_in(std::string_view& text, std::size_t at, std::string_view what) {
    added_ += what.size();
    out_ = std::string(text.substr(0, at)).append(what).append(text.substr(at));
    text = out_;
}

}  // namespace poplar::mail
