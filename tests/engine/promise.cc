#include "tests/engine/promise.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tests/engine/direct.h"

namespace poplar::test {

using namespace engine;

std::vector<PartitionId> Promise::partitions() const {
    std::set<PartitionId> found;
    for (const auto& item : items) found.insert(item.commit->partition);
    return {found.begin(), found.end()};
}

// Every commit puts a key of its own, "mark" and its number, that nobody erases: so what is there can be told.
std::optional<std::vector<std::size_t>> Promise::find_kept(Engine& engine, PartitionId partition,
                                                           std::string& wrong) const {
    auto marks = run(engine.scan(partition, KeyRange::prefix("mark"), 1'000'000));
    if (!marks) {
        wrong = fmt::format("partition {}: {}", partition.value, marks.error().detail());
        return std::nullopt;
    }
    std::set<std::string> present;
    for (const auto entry : *marks) present.emplace(entry.key);
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto& [commit, outcome] = items[i];
        if (commit->partition != partition) continue;
        bool there = present.erase(commit->puts.front().key) > 0;
        if (there) kept.push_back(i);
        if (there && outcome == Outcome::failed) wrong = fmt::format("commit {} failed, and is there", i);
        if (!there && outcome == Outcome::kept) wrong = fmt::format("commit {} was acknowledged, and is lost", i);
    }
    if (!present.empty()) wrong = "marks of commits nobody made";
    if (!wrong.empty()) return std::nullopt;
    return kept;
}

std::string Promise::check(local::LocalEngine& engine) const {
    Direct d(engine);
    auto status = engine.status();
    if (!status.damage.empty())
        return fmt::format("damage in {} at {}: {}", status.damage[0].file, status.damage[0].offset,
                           status.damage[0].what);
    for (auto partition : partitions()) {
        std::string wrong;
        auto kept = find_kept(engine, partition, wrong);
        if (!kept) return wrong;
        std::map<std::string, std::string> keys;
        std::map<BodyId, std::string_view> bodies;
        std::set<BodyId> gone;
        std::size_t next = 0, count = 0;
        bool missed = false;  // a commit of this partition that was pending is not there
        for (std::size_t i = 0; i < items.size(); ++i) {
            const auto& commit = *items[i].commit;
            if (commit.partition != partition) continue;
            for (const auto& [id, text] : commit.bodies) gone.insert(id);
            if (next == kept->size() || (*kept)[next] != i) {
                missed |= items[i].outcome == Outcome::pending;
                continue;
            }
            if (missed) return fmt::format("commit {} is there, one before it is not", i);
            ++next, ++count;
            for (const auto& key : commit.erased) keys.erase(key);
            for (const auto& entry : commit.puts) keys[entry.key] = entry.value;
            for (const auto& [id, text] : commit.bodies) bodies[id] = text, gone.erase(id);
            for (auto id : commit.erased_bodies) bodies.erase(id), gone.insert(id);
        }
        auto number = d.number(partition);
        if (!number || number->value != count)
            return fmt::format("partition {} has change number {}, not {}", partition.value, number ? number->value : 0,
                               count);
        auto entries = run(engine.scan(partition, KeyRange{std::string(1, '\0'), "\xff"}, 1'000'000, nullptr));
        if (!entries) return entries.error().detail();
        if (entries->size() != keys.size()) return fmt::format("{} keys, not {}", entries->size(), keys.size());
        for (const auto [key, value] : *entries)
            if (auto it = keys.find(std::string(key)); it == keys.end() || it->second != value)
                return fmt::format("a wrong value of the key {}", key);
        for (const auto& [id, text] : bodies) {
            auto body = d.verified_body(partition, id);
            if (!body) return fmt::format("body {:x} can't be read: {}", id.value, body.error().detail());
            if (*body != text) return fmt::format("body {:x} is not what was stored", id.value);
        }
        for (auto id : gone)
            if (auto body = d.body(partition, id); body || body.error().code() != Errc::not_found)
                return fmt::format("body {:x} should not be there", id.value);
        if (!bodies.empty() && engine.next_body_id(partition) <= bodies.rbegin()->first) return "a body id comes again";
    }
    std::string found;
    auto report = [&](const local::Damage& damage) {
        found = fmt::format("verify: {} at {}: {}", damage.file, damage.offset, damage.what);
    };
    if (auto verified = engine.verify(report); !verified) return "verify: " + verified.error().detail();
    return found;
}

std::string Promise::settle(local::LocalEngine& engine) {
    for (auto partition : partitions()) {
        std::string wrong;
        auto kept = find_kept(engine, partition, wrong);
        if (!kept) return wrong;
        for (std::size_t i = 0; i < items.size(); ++i)
            if (items[i].commit->partition == partition)
                items[i].outcome = std::ranges::binary_search(*kept, i) ? Outcome::kept : Outcome::failed;
    }
    return {};
}

}  // namespace poplar::test
