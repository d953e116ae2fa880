// What is allowed and probably not meant (RFC 5804 s1.4.1, WARNINGS).
#include <fmt/format.h>

#include "sieve/checker.h"

namespace poplar::sieve {

namespace {

bool ends_its_block(const Node& node) {
    return node.op == Op::stop || node.op == Op::return_ || node.op == Op::break_ || node.op == Op::error;
}

}  // namespace

void Checker::warn(Position at, std::string message) {
    if (out_.warnings.size() < kMostErrors) out_.warnings.push_back({at, std::move(message)});
}

/// A wildcard in an address that is compared as it stands: no address is written so.
void Checker::advise_on_addresses(const Node& node) {
    const bool compares_text = node.match.type == Match::Type::is || node.match.type == Match::Type::contains;
    if ((node.op != Op::address && node.op != Op::envelope) || !compares_text || node.arguments.size() < 2) return;
    for (const auto& key : node.arguments[1].strings)
        if (key.constant() && (key.source().starts_with('*') || key.source().ends_with('*')))
            return warn(node.at, fmt::format("\"{}\" stands for itself: \"*\" is a wildcard with \":matches\" alone",
                                             key.source()));
}

void Checker::advise_on_times(const Node& node) {
    const auto most = [&](Tag tag, std::chrono::seconds unit, std::chrono::seconds longest, std::string_view name) {
        const auto* given = node.tag(tag);
        if (given == nullptr || given->number <= static_cast<std::uint64_t>(longest / unit)) return;
        warn(node.at, fmt::format("\":{}\" is {} at most here", name, longest / unit));
    };
    if (node.op == Op::vacation) {
        most(Tag::days, std::chrono::days(1), options_.vacation_longest, "days");
        most(Tag::seconds, std::chrono::seconds(1), options_.vacation_longest, "seconds");
    }
    if (node.op == Op::duplicate) most(Tag::seconds, std::chrono::seconds(1), options_.duplicate_longest, "seconds");
}

void Checker::advise(const std::vector<Node>& nodes) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const auto& node = nodes[i];
        if (i + 1 < nodes.size() && ends_its_block(node))
            warn(nodes[i + 1].at,
                 fmt::format("nothing behind the \"{}\" of line {} runs", name_of(node.op), node.at.line));
        advise_on_addresses(node);
        advise_on_times(node);
        advise(node.tests);
        advise(node.block);
    }
}

}  // namespace poplar::sieve
