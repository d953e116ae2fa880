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

/// `text` with every octet that is a control, not UTF-8 or not `fit` replaced by "?".
std::string fitted(std::string_view text, const Fit& fit) {
    text = text.substr(0, kMaxPart);
    std::string out;
    out.reserve(text.size());
    for (;;) {
        const auto plain = static_cast<std::size_t>(std::ranges::find_if_not(text, fit) - text.begin());
        out.append(text.substr(0, plain));  // nearly always all
        text.remove_prefix(plain);
        if (text.empty()) return out;
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

/// An address for between < and >: outside of a quoted-string it has neither of them.
std::string fit_path(std::string_view text) {
    std::string out = fitted(text, kInPath);
    bool quoted = false;
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (quoted && out[i] == '\\')
            ++i;
        else if (out[i] == '"')
            quoted = !quoted;
        else if (!quoted && (out[i] == '<' || out[i] == '>' || out[i] == ' '))
            out[i] = '?';
    }
    return out;
}

/// RFC 5321 s4.1.3: an IPv6 address carries its tag.
std::string literal(std::string_view peer) {
    return (peer.contains(':') ? "[IPv6:" : "[") + fitted(peer, kInWord) + "]";
}

/// Puts words into a header field, folding before one that would pass the last column.
class Folder {
public:
    explicit Folder(std::string_view name) : column_(name.size()) {
        out_.reserve(4 * kColumns);
        out_ += name;
    }
    void word(std::string_view word) {
        if (column_ + 1 + word.size() > kColumns && !fresh_) return line(word);
        out_ += ' ';
        put(word, column_ + 1);
    }
    void line(std::string_view word) {
        out_ += "\r\n\t";
        put(word, 8);
    }
    std::string finish() && { return std::move(out_ += "\r\n"); }

private:
    void put(std::string_view word, std::size_t column) {
        out_ += word;
        column_ = column + word.size();
        fresh_ = false;
    }
    std::string out_;
    std::size_t column_;
    bool fresh_ = true;  ///< only the name stands there: a line of nothing else would be obsolete syntax
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
    const std::string date = format_date(received.time);
    const bool from = !received.helo.empty() || !received.peer.empty();
    if (from) {
        folder.word("from");
        folder.word(received.helo.empty() ? literal(received.peer) : fitted(received.helo, kInWord));
        if (!received.helo.empty() && !received.peer.empty()) folder.word("(" + literal(received.peer) + ")");
        if (!received.tls.empty()) folder.line("(" + fitted(received.tls, kInComment) + ")");
    }
    const std::string by = "by " + fitted(received.by, kInWord);
    if (from)
        folder.line(by);
    else
        folder.word(by);
    if (!received.with.empty()) folder.word("with " + fitted(received.with, kInWord));
    const std::string id = received.id.empty() ? "" : "id " + fitted(received.id, kInWord);
    if (!id.empty()) folder.word(received.recipient.empty() ? id + ";" : id);
    if (!received.recipient.empty()) {
        folder.line("for <" + fit_path(received.recipient) + ">;");
        folder.word(date);
    } else {
        folder.line(id.empty() ? "; " + date : date);
    }
    return std::move(folder).finish();
}

std::string format_return_path(std::string_view reverse_path) {
    return "Return-Path: <" + fit_path(reverse_path) + ">\r\n";
}

std::string format_delivered_to(std::string_view address) { return "Delivered-To: " + fit_path(address) + "\r\n"; }

}  // namespace poplar::mail
