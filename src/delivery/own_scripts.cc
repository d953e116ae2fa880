// Each wish stands in a comment of its own in front, which is what is read back; the commands below are made of the
// same.
#include "delivery/own_scripts.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/ascii.h"
#include "mail/address.h"

namespace poplar::delivery {

namespace {

constexpr std::string_view kBegin = "# Written by the server: ";
constexpr std::string_view kTextBegins = "text:\n";

/// As a string of a script.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

bool is_day(const std::string& text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (i != 4 && i != 7 && !ascii::is_digit(text[i])) return false;
    const std::chrono::year_month_day day(std::chrono::year(std::stoi(text.substr(0, 4))),
                                          std::chrono::month(static_cast<unsigned>(std::stoi(text.substr(5, 2)))),
                                          std::chrono::day(static_cast<unsigned>(std::stoi(text.substr(8, 2)))));
    return day.ok();
}

bool is_one_line(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

/// The wishes of a script, in their order.
std::vector<std::pair<std::string, std::string>> wishes(std::string_view script) {
    std::vector<std::pair<std::string, std::string>> out;
    while (script.starts_with(kBegin)) {
        const auto line = script.substr(0, script.find('\n'));
        script.remove_prefix(std::min(script.size(), line.size() + 1));
        const auto wish = line.substr(kBegin.size());
        const auto space = std::min(wish.find(' '), wish.size());
        out.emplace_back(wish.substr(0, space), wish.substr(std::min(wish.size(), space + 1)));
    }
    return out;
}

/// Lines of a text, dot-stuffed (RFC 5228 s2.4.2).
std::string stuffed(std::string_view text) {
    std::string out;
    bool begins = true;
    for (const char c : text) {
        if (c == '\r') continue;
        if (begins && c == '.') out += '.';
        out += c;
        begins = c == '\n';
    }
    if (!out.ends_with('\n')) out += '\n';
    return out;
}

}  // namespace

Result<std::string> write_script(const Forwarding& forwarding) {
    if (forwarding.to.empty()) return fail(Errc::invalid, "mail goes on to one address at least");
    std::string head, body;
    for (const auto& to : forwarding.to) {
        const auto address = mail::parse_address(to);
        if (!address) return fail(Errc::invalid, fmt::format("\"{}\" is no address", to));
        head += fmt::format("{}to {}\n", kBegin, to);
        body += fmt::format("redirect{} {};\n", forwarding.keep ? " :copy" : "", quoted(to));
    }
    if (forwarding.keep) head += fmt::format("{}keep\n", kBegin);
    return head + (forwarding.keep ? "require \"copy\";\n" : "") + body;
}

Result<Forwarding> read_forwarding(std::string_view script) {
    Forwarding out;
    for (auto& [name, value] : wishes(script)) {
        if (name == "to") out.to.push_back(std::move(value));
        if (name == "keep") out.keep = true;
    }
    if (out.to.empty()) return fail(Errc::corrupt, "the script of a forward can't be read");
    return out;
}

Result<std::string> write_script(const Absence& absence) {
    for (const auto* day : {&absence.from, &absence.to})
        if (!day->empty() && !is_day(*day))
            return fail(Errc::invalid, fmt::format("\"{}\" is no day like 2026-12-20", *day));
    if (!absence.from.empty() && !absence.to.empty() && absence.to < absence.from)
        return fail(Errc::invalid, "the last day is before the first");
    if (!is_one_line(absence.subject)) return fail(Errc::invalid, "a subject is one line");
    if (std::ranges::all_of(absence.text, [](char c) { return c == ' ' || c == '\n' || c == '\r'; }))
        return fail(Errc::invalid, "an answer has a text");
    if (!mail::is_utf8(absence.text) || !mail::is_utf8(absence.subject) || absence.text.contains('\0'))
        return fail(Errc::invalid, "an answer is UTF-8");
    std::string script, condition;
    const auto bound = [&](std::string_view name, std::string_view relation, const std::string& day) {
        if (day.empty()) return;
        script += fmt::format("{}{} {}\n", kBegin, name, day);
        condition +=
            fmt::format("{}currentdate :value \"{}\" \"date\" \"{}\"", condition.empty() ? "" : ", ", relation, day);
    };
    bound("from", "ge", absence.from);
    bound("to", "le", absence.to);
    if (!absence.subject.empty()) script += fmt::format("{}subject {}\n", kBegin, absence.subject);
    script += "require [\"date\", \"relational\", \"vacation\"];\n";
    if (!condition.empty()) script += fmt::format("if not allof({}) {{ stop; }}\n", condition);
    const auto subject = absence.subject.empty() ? "" : fmt::format(" :subject {}", quoted(absence.subject));
    return script + fmt::format("vacation{} {}{}.\n;\n", subject, kTextBegins, stuffed(absence.text));
}

Result<Absence> read_absence(std::string_view script) {
    Absence out;
    for (auto& [name, value] : wishes(script)) {
        if (name == "from") out.from = std::move(value);
        if (name == "to") out.to = std::move(value);
        if (name == "subject") out.subject = std::move(value);
    }
    const auto at = script.find(kTextBegins, std::min(script.find("\nvacation"), script.size()));
    const auto end = script.rfind("\n.\n;\n");
    if (at == script.npos || end == script.npos || end < at) return fail(Errc::corrupt, "the answer can't be read");
    const auto begin = at + kTextBegins.size();
    bool begins = true;
    for (const char c : script.substr(begin, end + 1 - begin)) {
        if (!begins || c != '.') out.text += c;  // the first dot of a line was added
        begins = c == '\n';
    }
    return out;
}

}  // namespace poplar::delivery
