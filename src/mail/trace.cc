// Writes the trace fields that delivery puts on top of a message (RFC 5321 s4.4).
#include "mail/trace.h"

#include <fmt/format.h>
#include <unistr.h>

#include <algorithm>
#include <array>

namespace poplar::mail {
namespace {

constexpr std::size_t kColumns = 78;   // RFC 5322 s2.1.1
constexpr std::size_t kMaxPart = 800;  // longer than any address, so that no line comes near 998 octets

/// The octets of ASCII that may stand somewhere: all but controls and those that are named.
class Fit {
public:
    consteval explicit Fit(std::string_view unfit) {
        for (unsigned char c = ' '; c < 0x7f; ++c) fit_[c] = !unfit.contains(static_cast<char>(c));
    }
    constexpr bool operator()(char c) const { return fit_[static_cast<unsigned char>(c)]; }

private:
    std::array<bool, 256> fit_{};
};
constexpr Fit kInPath(""), kInWord(" \t()<>\\\";,"), kInComment("()\\");
constexpr Fit kPlainInPath(" \"\\<>");  // no address of these needs a second look

/// Appends `text` with every octet that is a control, not UTF-8 or not `fit` replaced by "?".
void append_fitted(std::string& out, std::string_view text, const Fit& fit) {
    text = text.substr(0, kMaxPart);
    for (;;) {
        const auto plain = static_cast<std::size_t>(std::ranges::find_if_not(text, fit) - text.begin());
        out.append(text.substr(0, plain));  // nearly always all
        text.remove_prefix(plain);
        if (text.empty()) return;
        ucs4_t c = 0;
        const int size = u8_mbtoucr(&c, reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
        const std::size_t octets = size > 0 ? static_cast<std::size_t>(size) : 1;
        if (size <= 0 || c < 0xa0)
            out += '?';
        else
            out += text.substr(0, octets);
        text.remove_prefix(octets);
    }
}

/// Appends an address for between < and >: outside of a quoted-string it has neither of them.
void append_path(std::string& out, std::string_view text) {
    if (text.size() <= kMaxPart && std::ranges::all_of(text, kPlainInPath)) {
        out.append(text);
        return;
    }
    const auto begin = out.size();
    append_fitted(out, text, kInPath);
    bool quoted = false;
    for (std::size_t i = begin; i < out.size(); ++i) {
        if (quoted && out[i] == '\\')
            ++i;
        else if (out[i] == '"')
            quoted = !quoted;
        else if (!quoted && (out[i] == '<' || out[i] == '>' || out[i] == ' '))
            out[i] = '?';
    }
}

/// RFC 5321 s4.1.3: an IPv6 address carries its tag.
void append_literal(std::string& out, std::string_view peer) {
    out += peer.contains(':') ? "[IPv6:" : "[";
    append_fitted(out, peer, kInWord);
    out += ']';
}

/// Puts words into a header field, folding before one that would pass the last column. Every message gets such a
/// field, so the words are written where they stay.
class Folder {
public:
    explicit Folder(std::string_view name) : column_(name.size()) {
        out_.reserve(4 * kColumns);
        out_ += name;
    }
    /// Begins a word: the caller appends it to the string. The next one, or finish(), ends it.
    std::string& word() {
        end_word();
        out_ += ' ';
        begun_ = out_.size();
        return out_;
    }
    /// Likewise, on a line of its own.
    std::string& line() {
        end_word();
        out_ += "\r\n\t";
        begun_ = out_.size();
        column_ = kTab - 1;
        fresh_ = true;
        return out_;
    }
    std::string finish() && {
        end_word();
        return std::move(out_ += "\r\n");
    }

private:
    static constexpr std::size_t kTab = 8;

    void end_word() {
        if (begun_ == 0) return;
        const auto size = out_.size() - begun_;
        if (column_ + 1 + size > kColumns && !fresh_) {
            out_.replace(begun_ - 1, 1, "\r\n\t");
            column_ = kTab - 1;
        }
        column_ += 1 + size;
        fresh_ = false;
    }

    std::string out_;
    std::size_t column_;     ///< where the last word that has ended stops
    std::size_t begun_ = 0;  ///< the word under way; 0: none
    bool fresh_ = true;      ///< nothing to fold behind: a line of the name alone would be obsolete syntax
};

}  // namespace

std::string format_date(Timestamp time) {
    using namespace std::chrono;
    constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(floor<seconds>(time - day));
    std::string out;  // by hand: every message has one, and its format string would be read each time
    out.reserve(32);
    auto two_digits = [&out](auto number) {
        out.append({static_cast<char>('0' + number / 10), static_cast<char>('0' + number % 10)});
    };
    out.append(kDays[weekday(day).c_encoding()]).append(", ");
    two_digits(static_cast<unsigned>(date.day()));
    out.append(" ").append(kMonths[static_cast<unsigned>(date.month()) - 1]).append(" ");
    out.append(fmt::format_int(static_cast<int>(date.year())).c_str()).append(" ");
    two_digits(clock.hours().count());
    out += ':';
    two_digits(clock.minutes().count());
    out += ':';
    two_digits(clock.seconds().count());
    out.append(" +0000");
    return out;
}

std::string format_received(const Received& received) {
    Folder folder("Received:");
    const bool from = !received.helo.empty() || !received.peer.empty();
    if (from) {
        folder.word() += "from";
        if (received.helo.empty()) {
            append_literal(folder.word(), received.peer);
        } else {
            append_fitted(folder.word(), received.helo, kInWord);
            if (!received.peer.empty()) {
                auto& comment = folder.word() += '(';
                append_literal(comment, received.peer);
                comment += ')';
            }
        }
        if (!received.tls.empty()) {
            auto& comment = folder.line() += '(';
            append_fitted(comment, received.tls, kInComment);
            comment += ')';
        }
    }
    append_fitted((from ? folder.line() : folder.word()) += "by ", received.by, kInWord);
    if (!received.with.empty()) append_fitted(folder.word() += "with ", received.with, kInWord);
    const bool has_id = !received.id.empty(), has_recipient = !received.recipient.empty();
    if (has_id) {
        auto& id = folder.word() += "id ";
        append_fitted(id, received.id, kInWord);
        if (!has_recipient) id += ';';
    }
    const std::string date = format_date(received.time);
    if (has_recipient) {
        auto& recipient = folder.line() += "for <";
        append_path(recipient, received.recipient);
        recipient += ">;";
        folder.word() += date;
    } else {
        (folder.line() += has_id ? "" : "; ") += date;
    }
    return std::move(folder).finish();
}

std::string format_return_path(std::string_view reverse_path) {
    std::string field;
    field.reserve(reverse_path.size() + 20);
    append_path(field += "Return-Path: <", reverse_path);
    return field += ">\r\n";
}

std::string format_delivered_to(std::string_view address) {
    std::string field;
    field.reserve(address.size() + 20);
    append_path(field += "Delivered-To: ", address);
    return field += "\r\n";
}

}  // namespace poplar::mail
