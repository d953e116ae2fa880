#include "sieve/regex.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

namespace poplar::sieve {

namespace {

constexpr int kMemory = 192 * 1024;  // of one expression, its automata included
constexpr int kGroups = 32;

}  // namespace

std::expected<std::shared_ptr<const Regex>, std::string> Regex::compile(std::string_view pattern, Case letters,
                                                                        const Options& options) {
    if (pattern.size() > options.regex_octets)
        return std::unexpected(fmt::format("a regular expression has {} octets at most", options.regex_octets));
    RE2::Options wanted;
    wanted.set_log_errors(false);
    wanted.set_max_mem(kMemory);
    wanted.set_case_sensitive(letters == Case::matters);
    wanted.set_dot_nl(true);
    auto compiled = std::make_unique<RE2>(re2::StringPiece(pattern.data(), pattern.size()), wanted);
    if (!compiled->ok()) return std::unexpected(fmt::format("no regular expression: {}", compiled->error()));
    return std::shared_ptr<const Regex>(new Regex(std::move(compiled)));
}

Regex::Regex(std::unique_ptr<re2::RE2> compiled) : compiled_(std::move(compiled)) {}
Regex::~Regex() = default;

bool Regex::search(std::string_view text, std::vector<std::string>* groups) const {
    const re2::StringPiece subject(text.data(), text.size());
    if (!groups) return compiled_->Match(subject, 0, text.size(), RE2::UNANCHORED, nullptr, 0);
    std::vector<re2::StringPiece> found(
        static_cast<std::size_t>(std::min(compiled_->NumberOfCapturingGroups(), kGroups) + 1));
    if (!compiled_->Match(subject, 0, text.size(), RE2::UNANCHORED, found.data(), static_cast<int>(found.size())))
        return false;
    groups->clear();
    for (const auto& group : found) groups->emplace_back(group.data() ? std::string(group.data(), group.size()) : "");
    return true;
}

// Where the automaton does not fit into its memory, RE2 walks all its states for each octet.
std::uint64_t Regex::cost() const { return 1 + static_cast<std::uint64_t>(compiled_->ProgramSize()) / 8; }

}  // namespace poplar::sieve
