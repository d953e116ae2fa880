// Random histories, playing them, and the shortest one that still fails.
#include "tests/store/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/store/play.h"

namespace poplar::test {

using Kind = ModelStep::Kind;

std::string to_string(const ModelStep& step) {
    constexpr auto kNames = std::to_array<std::string_view>(
        {"append",    "open",      "list",     "quit",         "drop",           "remove",         "restore",
         "expire",    "purge",     "copy",     "scrub",        "reopen",         "crash",          "torn",
         "rebuild",   "back_up",   "put_back", "make_mailbox", "rename_mailbox", "remove_mailbox", "flags",
         "copy_some", "move_some", "expunge",  "views",        "describe",       "follow"});
    static_assert(kNames.size() == static_cast<std::size_t>(Kind::last) + 1);
    return fmt::format("{{Kind::{}, {}, {}}}", kNames[static_cast<std::size_t>(step.kind)], step.a, step.b);
}

std::vector<ModelStep> random_history(std::uint64_t seed, std::size_t steps) {
    std::mt19937_64 random(seed);
    // How often of each kind.
    constexpr auto kWeights =
        std::to_array<int>({40, 6, 6, 6, 2, 8, 6, 8, 1, 8, 1, 2, 3, 2, 1, 1, 2, 6, 3, 3, 12, 8, 8, 5, 6, 4, 12});
    static_assert(kWeights.size() == static_cast<std::size_t>(Kind::last) + 1);
    std::discrete_distribution<int> kinds(kWeights.begin(), kWeights.end());
    std::vector<ModelStep> history;
    for (std::size_t i = 0; i < steps; ++i) history.push_back({static_cast<Kind>(kinds(random)), random(), random()});
    return history;
}

std::optional<Disagreement> play(const std::vector<ModelStep>& history) {
    std::size_t step = 0;
    try {
        model::Play play;
        for (; step < history.size(); ++step) {
            play.make(history[step]);
            play.compare();
        }
        play.compare_all();
    } catch (const model::Disagrees& disagrees) {
        return Disagreement{step, disagrees.what};
    }
    return std::nullopt;
}

std::vector<ModelStep> shrink(std::vector<ModelStep> history, const Fails& fails) {
    auto keep_if_it_fails = [&](std::vector<ModelStep> shorter) {
        auto found = fails(shorter);
        if (!found) return false;
        if (found->step < shorter.size()) shorter.resize(found->step + 1);
        history = std::move(shorter);
        return true;
    };
    for (auto part = history.size() / 2; part > 0; part /= 2)
        for (std::size_t at = 0; at < history.size();) {
            auto shorter = history;
            auto begin = shorter.begin() + static_cast<std::ptrdiff_t>(at);
            shorter.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(part, history.size() - at)));
            if (!keep_if_it_fails(std::move(shorter))) at += part;
        }
    for (std::size_t i = 0; i < history.size(); ++i)
        for (auto member : {&ModelStep::a, &ModelStep::b})
            for (std::uint64_t smaller : {std::uint64_t{0}, std::uint64_t{1}, history[i].*member % 1000}) {
                if (history[i].*member <= smaller) continue;
                auto simpler = history;
                simpler[i].*member = smaller;
                if (keep_if_it_fails(std::move(simpler)) && i >= history.size()) return history;
            }
    return history;
}

}  // namespace poplar::test
