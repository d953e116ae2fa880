// Strings and variables of a run (RFC 5229, RFC 6609 s3.4).
#include <fmt/format.h>
#include <unistr.h>

#include "base/ascii.h"
#include "sieve/machine.h"

namespace poplar::sieve {

namespace {

std::string quoted(std::string_view text, std::string_view special) {
    std::string out;
    for (const char c : text) {
        if (special.find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (ascii::is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

/// At most `limit` octets, and no character cut in two.
void cut(std::string& text, std::size_t limit) {
    if (text.size() <= limit) return;
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
    text.resize(limit);
}

}  // namespace

std::string Machine::variable(std::string_view name) const {
    const auto& own = frame().variables;
    const auto& from = frame().shared.contains(name) ? shared_ : own;
    const auto found = from.find(name);
    return found == from.end() ? std::string() : found->second;
}

std::string Machine::expand(const Text& text) {
    if (text.constant()) return text.source();
    std::string out;
    for (const auto& piece : text.pieces()) {
        charge(1);
        switch (piece.kind) {
            case Piece::Kind::literal: out += piece.text; break;
            case Piece::Kind::variable: out += variable(piece.text); break;
            case Piece::Kind::global:
                if (const auto found = shared_.find(piece.text); found != shared_.end()) out += found->second;
                break;
            case Piece::Kind::match:
                if (piece.index < match_variables_.size()) out += match_variables_[piece.index];
                break;
        }
        if (out.size() > options_.memory) spend(out.size());  // which ends the run
        charge(out.size() / 128);
    }
    return out;
}

std::vector<std::string> Machine::expand(const std::vector<Text>& texts) {
    std::vector<std::string> out;
    out.reserve(texts.size());
    std::size_t octets = 0;
    for (const auto& text : texts) {
        out.push_back(expand(text));
        octets += out.back().size();
        if (octets > options_.memory) spend(octets);
    }
    charge(texts.size() / 4);
    return out;
}

std::string Machine::tag_value(const Node& node, Tag tag) {
    const auto* given = node.tag(tag);
    return given ? expand(given->strings.front()) : std::string();
}

std::string Machine::modified(const Node& node, std::string value) {
    const bool grows = node.has(Tag::quotewildcard) || node.has(Tag::quoteregex) || node.has(Tag::encodeurl);
    charge(value.size() / (grows ? 2 : 64));
    if (grows) spend(4 * value.size());
    if (node.has(Tag::lower))
        for (char& c : value) c = ascii::lower(c);
    if (node.has(Tag::upper))
        for (char& c : value) c = ascii::upper(c);
    if (!value.empty() && node.has(Tag::lowerfirst)) value.front() = ascii::lower(value.front());
    if (!value.empty() && node.has(Tag::upperfirst)) value.front() = ascii::upper(value.front());
    if (node.has(Tag::quotewildcard)) value = quoted(value, "*?\\");
    if (node.has(Tag::quoteregex)) value = quoted(value, "\\^$.[]|()*+?{}");
    if (node.has(Tag::encodeurl)) value = percent_encoded(value);
    if (node.has(Tag::length))
        value = std::to_string(u8_mbsnlen(reinterpret_cast<const std::uint8_t*>(value.data()), value.size()));
    return value;
}

void Machine::assign(const Node& node, std::string_view name, std::string value) {
    cut(value, options_.variable_octets);
    auto lower = ascii::to_lower(name);
    const bool named_global = lower.starts_with("global.");
    if (named_global) lower.erase(0, 7);
    auto& variables = named_global || frame().shared.contains(lower) ? shared_ : frame().variables;
    const auto found = variables.find(lower);
    const std::size_t before = found == variables.end() ? 0 : found->second.size();
    if (found == variables.end() && variables.size() >= options_.variables)
        fail(node, fmt::format("more than {} variables", options_.variables));
    spend(value.size());
    memory_ -= std::min(memory_, before);
    variables[std::move(lower)] = std::move(value);
}

void Machine::set(const Node& node) {
    assign(node, node.arguments[0].strings[0].source(), modified(node, expand_first(node.arguments[1])));
}

void Machine::global(const Node& node) {
    for (const auto& name : node.arguments[0].strings) {
        auto lower = ascii::to_lower(name.source());
        if (frame().variables.contains(lower))
            fail(node, fmt::format("the variable \"{}\" was set before it was declared global", name.source()));
        if (frame().shared.size() >= options_.variables)
            fail(node, fmt::format("more than {} variables", options_.variables));
        frame().shared.insert(std::move(lower));
    }
}

}  // namespace poplar::sieve
