// Values against keys (RFC 5228 s2.7, RFC 5231, RFC 6134, the draft of regex).
#include <fmt/format.h>

#include "base/ascii.h"
#include "sieve/machine.h"

namespace poplar::sieve {

/// RFC 5173 s6: a body sets none.
bool Machine::sets_match_variables(const Node& node) const {
    return node.op != Op::body && frame().script->required.has(Capability::variables);
}

bool Machine::match_one(const Node& node, std::string_view value, const Text& key, std::size_t number) {
    const bool fits = match_text(node, value, key, number);
    if (explains()) note_compared(node, value, key, fits);
    return fits;
}

namespace {

constexpr std::size_t kToldOctets = 60;      // of a value
constexpr std::size_t kToldComparisons = 3;  // that came to nothing

std::string told(std::string_view text) {
    std::string out = "\"";
    for (const char c : text.substr(0, kToldOctets)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    return out + (text.size() > kToldOctets ? "...\"" : "\"");
}

std::string words_of(const Match& match, bool fits) {
    switch (match.type) {
        case Match::Type::is: return fits ? "is" : "is not";
        case Match::Type::contains: return fits ? "contains" : "does not contain";
        case Match::Type::matches:
        case Match::Type::regex: return fits ? "matches" : "does not match";
        case Match::Type::list: return fits ? "is in the list" : "is not in the list";
        case Match::Type::value:
        case Match::Type::count: return fmt::format("{}{}", fits ? "" : "not ", name_of(match.relation));
    }
    return {};
}

}  // namespace

/// All that was tried of a test that is false, up to a few; of a true one what made it so.
void Machine::note_compared(const Node& node, std::string_view value, const Text& key, bool fits) {
    if (fits) compared_.clear();
    if (!fits && ++comparisons_ > kToldComparisons) return;
    if (!compared_.empty()) compared_ += ", ";
    compared_ += fmt::format("{} {} {}", told(value), words_of(node.match, fits), told(expand(key)));
}

void Machine::explain_test(const Node& node, bool result) {
    auto text = fmt::format("{}: {}", name_of(node.op), result ? "true" : "false");
    if (!compared_.empty()) text += ", because " + compared_;
    if (!result && comparisons_ > kToldComparisons)
        text += fmt::format(", and {} more", comparisons_ - kToldComparisons);
    explain(node, std::move(text));
}

bool Machine::match_text(const Node& node, std::string_view value, const Text& key_text, std::size_t number) {
    const auto& match = node.match;
    charge(1);
    if (match.type == Match::Type::regex) {
        auto regex = number < match.regexes.size() ? match.regexes[number] : nullptr;
        if (!regex) {
            const auto letters = match.comparator == Comparator::octet ? Regex::Case::matters : Regex::Case::ignored;
            const auto pattern = expand(key_text);
            charge(500 + 20 * pattern.size());
            auto compiled = Regex::compile(pattern, letters, options_);
            if (!compiled) fail(node, std::move(compiled.error()));
            regex = std::move(*compiled);
        }
        charge(10 + regex->cost() * (1 + value.size() / 16));
        if (!sets_match_variables(node)) return regex->search(value, nullptr);
        std::vector<std::string> groups;
        if (!regex->search(value, &groups)) return false;
        match_variables_ = std::move(groups);
        return true;
    }
    // A constant key is not copied: most keys are constant, and most tests fail.
    std::string expanded;
    std::string_view key = key_text.source();
    if (!key_text.constant()) {
        expanded = expand(key_text);
        key = expanded;
    }
    switch (match.type) {
        case Match::Type::is: return equal(match.comparator, value, key, *this);
        case Match::Type::contains: return contains(match.comparator, value, key, *this);
        case Match::Type::matches: {
            std::vector<std::string> found;
            const bool wanted = sets_match_variables(node);
            if (!matches(match.comparator, value, key, wanted ? &found : nullptr, *this)) return false;
            if (wanted) {
                match_variables_ = std::move(found);
                std::size_t octets = 0;
                for (const auto& one : match_variables_) octets += one.size();
                if (octets > options_.memory) spend(octets);
            }
            return true;
        }
        case Match::Type::value: {
            const auto order = compare(match.comparator, value, key, *this);
            return order && holds(match.relation, *order);
        }
        case Match::Type::list: {
            const auto list = world_.list(list_name(key));
            if (!list) fail(node, fmt::format("there is no list \"{}\"", key));
            for (const auto& entry : *list) {
                if (!equal(match.comparator, value, entry, *this)) continue;
                if (sets_match_variables(node)) match_variables_ = {std::string(entry)};
                return true;
            }
            return false;
        }
        case Match::Type::regex:
        case Match::Type::count: break;
    }
    return false;
}

bool Machine::match_keys(const Node& node, std::string_view value, const std::vector<Text>& keys) {
    for (std::size_t i = 0; i < keys.size(); ++i)
        if (match_one(node, value, keys[i], i)) return true;
    return false;
}

bool Machine::match_any(const Node& node, const std::vector<std::string>& values, const std::vector<Text>& keys) {
    for (const auto& value : values)
        if (match_keys(node, value, keys)) return true;
    return false;
}

bool Machine::match_count(const Node& node, std::uint64_t count, const std::vector<Text>& keys) {
    const auto text = std::to_string(count);
    for (const auto& key : keys) {
        charge(1);
        const auto order = compare(node.match.comparator, text, expand(key), *this);
        const bool fits = order && holds(node.match.relation, *order);
        if (explains()) note_compared(node, text, key, fits);
        if (fits) return true;
    }
    return false;
}

}  // namespace poplar::sieve
