// Changes since the last sync become units, each with its versions; a choice of versions is a disk after a power cut.
#include "tests/support/disk/platter.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

namespace poplar::test {

namespace {

void redo(std::string& bytes, const Platter::Change& change) {
    switch (change.kind) {
        case Platter::Change::Kind::write:
            if (bytes.size() < change.offset + change.size) bytes.resize(change.offset + change.size, '\0');
            bytes.replace(change.offset, change.size, *change.data);
            break;
        case Platter::Change::Kind::resize: bytes.resize(change.size, '\0'); break;
        case Platter::Change::Kind::punch:
            if (change.offset < bytes.size())
                std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(change.offset),
                            std::min(change.size, bytes.size() - change.offset), '\0');
            break;
    }
}

void redo(Platter::Names& names, const Platter::NameChange& change) {
    for (const auto& [name, node] : change)
        if (node == Platter::kNothing)
            names.erase(name);
        else
            names[name] = node;
}

}  // namespace

Platter::Platter() {
    Node root;
    root.directory = true;
    root.path = "/";
    nodes_.push_back(std::move(root));
    live_.emplace_back();
    live_[0].links = 1;
}

std::string Platter::parent(std::string_view path) {
    return std::filesystem::path(path).lexically_normal().parent_path().string();
}
std::string Platter::leaf(std::string_view path) {
    return std::filesystem::path(path).lexically_normal().filename().string();
}

int Platter::find(std::string_view path) const {
    int at = 0;
    for (const auto& part : std::filesystem::path(path).lexically_normal()) {
        auto name = part.string();
        if (name.empty() || name == "/" || name == ".") continue;
        const auto& names = live_[static_cast<std::size_t>(at)].names;
        auto it = names.find(name);
        if (it == names.end()) return kNothing;
        at = it->second;
    }
    return at;
}

int Platter::make(std::string_view path, bool directory) {
    int folder = find(parent(path));
    if (folder == kNothing) return kNothing;
    Node node;
    node.directory = directory;
    node.path = path;
    auto name = leaf(path);
    node.scratch = name.starts_with("LOG") || name == "LOCK";  // RocksDB's diary, and locks
    nodes_.push_back(std::move(node));
    live_.emplace_back();
    int number = static_cast<int>(nodes_.size()) - 1;
    set_names(folder, {{name, number}});
    return number;
}

void Platter::write(int number, std::uint64_t offset, std::string bytes) {
    Change change{Change::Kind::write, offset, bytes.size(), std::make_shared<const std::string>(std::move(bytes))};
    redo(live(number).bytes, change);
    node(number).changes.push_back(std::move(change));
}

void Platter::resize(int number, std::uint64_t size) {
    Change change{Change::Kind::resize, 0, size, nullptr};
    redo(live(number).bytes, change);
    node(number).changes.push_back(std::move(change));
}

void Platter::punch(int number, std::uint64_t offset, std::uint64_t size) {
    Change change{Change::Kind::punch, offset, size, nullptr};
    redo(live(number).bytes, change);
    live(number).punched += size;
    node(number).changes.push_back(std::move(change));
}

void Platter::set_names(int folder, NameChange change) {
    for (const auto& [name, target] : change) {
        auto& names = live(folder).names;
        if (auto it = names.find(name); it != names.end()) --live(it->second).links;
        if (target != kNothing) ++live(target).links;
    }
    redo(live(folder).names, change);
    node(folder).name_changes.push_back(std::move(change));
}

void Platter::sync(int number) {
    auto& it = node(number);
    if (!it.changes.empty()) {
        auto bytes = *it.durable;
        for (const auto& change : it.changes) redo(bytes, change);
        it.durable = std::make_shared<const std::string>(std::move(bytes));
        it.changes.clear();
    }
    for (const auto& change : it.name_changes) redo(it.durable_names, change);
    it.name_changes.clear();
}

void Platter::fail_to_sync(int number) {
    std::erase_if(node(number).changes, [](const Change& change) { return change.kind == Change::Kind::write; });
}

std::uint64_t Platter::used() const {
    std::uint64_t octets = 0;
    for (const auto& one : live_) {
        if (one.links == 0 && one.opened == 0) continue;
        auto size = (one.bytes.size() + kBlock - 1) / kBlock * kBlock;
        octets += size - std::min(size, one.punched);
    }
    return octets;
}

void PowerCut::find_units() {
    for (std::size_t number = 0; number < nodes_.size(); ++number) {
        const auto& node = nodes_[number];
        if (node.scratch) continue;
        Unit unit;
        unit.node = static_cast<int>(number);
        unit.index = node.path.find("/index") != std::string::npos;
        if (node.directory) {
            unit.kind = Unit::Kind::name;
            for (unit.sector = 0; unit.sector < node.name_changes.size(); ++unit.sector) units_.push_back(unit);
            continue;
        }
        // Each change makes a version of every sector that it touches, and of the size.
        std::string bytes = *node.durable;
        std::map<std::uint64_t, std::vector<std::string>> sectors;
        std::vector<std::uint64_t> sizes{bytes.size()};
        auto sector_of = [](const std::string& from, std::uint64_t sector) {
            auto begin = std::min<std::uint64_t>(from.size(), sector * Platter::kSector);
            auto text = from.substr(begin, Platter::kSector);
            text.resize(Platter::kSector, '\0');
            return text;
        };
        for (const auto& change : node.changes) {
            auto before = bytes;
            redo(bytes, change);
            std::uint64_t begin = change.offset, end = change.offset + change.size;
            if (change.kind == Platter::Change::Kind::resize) {
                begin = std::min<std::uint64_t>(change.size, before.size());
                end = before.size();  // growing touches no sector: it is zeros already
            }
            end = std::min<std::uint64_t>(end, std::max(before.size(), bytes.size()));
            for (auto sector = begin / Platter::kSector; sector * Platter::kSector < end; ++sector) {
                auto& versions = sectors[sector];
                if (versions.empty()) versions.push_back(sector_of(*node.durable, sector));
                auto now = sector_of(bytes, sector);
                if (std::ranges::find(versions, now) == versions.end()) versions.push_back(std::move(now));
            }
            if (std::ranges::find(sizes, bytes.size()) == sizes.end()) sizes.push_back(bytes.size());
        }
        for (auto& [sector, versions] : sectors) {
            if (versions.size() < 2) continue;
            unit.kind = Unit::Kind::sector;
            unit.sector = sector;
            unit.bytes = std::move(versions);
            units_.push_back(unit);
        }
        if (sizes.size() > 1) {
            unit.kind = Unit::Kind::size;
            unit.bytes.clear();
            unit.sizes = std::move(sizes);
            units_.push_back(std::move(unit));
        }
    }
}

PowerCut::Choice PowerCut::everything() const {
    Choice choice;
    for (const auto& unit : units_) choice.push_back(static_cast<std::uint16_t>(unit.versions() - 1));
    return choice;
}

PowerCut::Choice PowerCut::random(std::mt19937_64& generator) const {
    Choice choice;
    std::map<int, unsigned> tempers;  // of a file or folder
    for (const auto& unit : units_) {
        auto [it, fresh] = tempers.try_emplace(unit.node);
        if (fresh) it->second = static_cast<unsigned>(generator() % 6);
        auto versions = static_cast<std::uint16_t>(unit.versions());
        auto random = static_cast<std::uint16_t>(generator() % versions);
        auto last = static_cast<std::uint16_t>(versions - 1);
        bool rare = generator() % 16 == 0;
        choice.push_back(it->second == 0   ? std::uint16_t{0}
                         : it->second == 1 ? last
                         : it->second == 2 ? (rare ? random : std::uint16_t{0})
                         : it->second == 3 ? (rare ? random : last)
                                           : random);
    }
    return choice;
}

bool PowerCut::advance(Choice& choice, bool index) const {
    for (std::size_t i = 0; i < units_.size(); ++i) {
        if (units_[i].index != index) continue;
        if (++choice[i] < units_[i].versions()) return true;
        choice[i] = 0;
    }
    return false;
}

std::uint64_t PowerCut::count(bool index, std::uint64_t limit) const {
    std::uint64_t count = 1;
    for (const auto& unit : units_)
        if (unit.index == index) count = std::min(limit, count * unit.versions());
    return count;
}

std::shared_ptr<Platter> PowerCut::state(const Choice& choice) const {
    auto platter = std::make_shared<Platter>();
    platter->nodes_ = nodes_;
    std::vector<std::string> contents;
    for (auto& node : platter->nodes_) {
        contents.push_back(*node.durable);
        node.changes.clear();
        node.name_changes.clear();
    }
    for (std::size_t i = 0; i < units_.size(); ++i) {
        const auto& unit = units_[i];
        auto number = static_cast<std::size_t>(unit.node);
        if (unit.kind == Unit::Kind::name) {
            if (choice[i] > 0) redo(platter->nodes_[number].durable_names, nodes_[number].name_changes[unit.sector]);
        } else if (unit.kind == Unit::Kind::sector) {
            auto begin = unit.sector * Platter::kSector;
            auto& bytes = contents[number];
            if (bytes.size() < begin + Platter::kSector) bytes.resize(begin + Platter::kSector, '\0');
            bytes.replace(begin, Platter::kSector, unit.bytes[choice[i]]);
        }
    }
    std::set<std::size_t> sized;
    for (std::size_t i = 0; i < units_.size(); ++i)
        if (units_[i].kind == Unit::Kind::size) {
            auto number = static_cast<std::size_t>(units_[i].node);
            contents[number].resize(units_[i].sizes[choice[i]], '\0');
            sized.insert(number);
        }
    platter->live_.resize(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        auto& node = platter->nodes_[i];
        auto& bytes = contents[i];
        if (!sized.contains(i)) bytes.resize(node.durable->size(), '\0');  // no change of size: sectors were padded
        if (node.scratch) bytes.clear();
        node.durable = std::make_shared<const std::string>(bytes);
        platter->live_[i].bytes = std::move(bytes);
        platter->live_[i].names = node.durable_names;
    }
    // Files that can't be reached any more are gone.
    std::function<void(int)> reach = [&](int number) {
        for (const auto& [name, target] : platter->live(number).names)
            if (++platter->live(target).links == 1) reach(target);
    };
    platter->live(0).links = 1;
    reach(0);
    for (std::size_t i = 0; i < nodes_.size(); ++i)
        if (platter->live_[i].links == 0) platter->live_[i].bytes.clear();
    return platter;
}

std::string PowerCut::describe(const Choice& choice) const {
    std::string text;
    for (std::size_t i = 0; i < units_.size(); ++i) {
        const auto& unit = units_[i];
        const auto& node = nodes_[static_cast<std::size_t>(unit.node)];
        auto add = [&](std::string what) { text += fmt::format("  {}: {}\n", node.path, what); };
        if (unit.kind == Unit::Kind::size)
            add(fmt::format("size {} of {}", unit.sizes[choice[i]], fmt::join(unit.sizes, " ")));
        else if (unit.kind == Unit::Kind::sector)
            add(fmt::format("sector {} as after {} of {} changes", unit.sector, choice[i], unit.versions() - 1));
        else
            for (const auto& [name, target] : node.name_changes[unit.sector])
                add(fmt::format("{} {} {}", target == Platter::kNothing ? "without" : "with", name,
                                choice[i] ? "(there)" : "(lost)"));
        if (text.size() > 6000) return text + "  ...\n";
    }
    return text;
}

std::string fingerprint(const Platter& platter) {
    std::string text;
    std::hash<std::string_view> hash;
    std::map<int, std::size_t> seen;  // hard links show
    std::function<void(int)> visit = [&](int number) {
        const auto& node = platter.nodes()[static_cast<std::size_t>(number)];
        auto [it, fresh] = seen.try_emplace(number, seen.size());
        text += fmt::format("{}:", it->second);
        if (!fresh) return;
        if (!node.directory) text += fmt::format("{}/{:x};", node.durable->size(), hash(*node.durable));
        for (const auto& [name, target] : node.durable_names) {
            if (platter.nodes()[static_cast<std::size_t>(target)].scratch) continue;
            text += name + "{";
            visit(target);
            text += "}";
        }
    };
    visit(0);
    return text;
}

}  // namespace poplar::test
