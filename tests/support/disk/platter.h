#pragma once
// The files and names of a disk in memory: as programs see them, and as a power cut may leave them.
//
// A power cut may leave this, to the letter of POSIX. Of a file that was changed since its last sync, each sector of
// 512 octets, and the size, may be as after any of the changes, whatever became of the others. Of a folder, each change
// of names since its last sync may be there or not. A rename within a folder is one change; between folders it is one
// in each.
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace poplar::test {

class Platter {
public:
    static constexpr std::uint64_t kSector = 512, kBlock = 4096;
    static constexpr int kNothing = -1;

    using Bytes = std::shared_ptr<const std::string>;
    using Names = std::map<std::string, int, std::less<>>;
    struct Change {
        enum class Kind { write, resize, punch } kind;
        std::uint64_t offset, size;
        Bytes data;  // of a write
    };
    using NameChange = std::vector<std::pair<std::string, int>>;  // to which node; kNothing: the name goes

    /// A file or a folder: what is durable of it, and what was done since.
    struct Node {
        bool directory = false;
        bool scratch = false;  // nobody will ever read it: its states are all the same
        std::string path;      // its first name, for reports
        Bytes durable = std::make_shared<const std::string>();
        std::vector<Change> changes;
        Names durable_names;
        std::vector<NameChange> name_changes;
    };

    Platter();  ///< an empty disk

    // As programs see it. Callers lock.
    struct Live {
        std::string bytes;
        Names names;
        int links = 0, opened = 0;
        std::uint64_t punched = 0;
    };
    int find(std::string_view path) const;  ///< kNothing if there is no such name
    int make(std::string_view path, bool directory);
    Node& node(int number) { return nodes_[static_cast<std::size_t>(number)]; }
    Live& live(int number) { return live_[static_cast<std::size_t>(number)]; }
    const Live& live(int number) const { return live_[static_cast<std::size_t>(number)]; }
    void write(int number, std::uint64_t offset, std::string bytes);
    void resize(int number, std::uint64_t size);
    void punch(int number, std::uint64_t offset, std::uint64_t size);
    void set_names(int folder, NameChange change);
    void sync(int number);  ///< what was done to it is durable
    /// As Linux has it: what was written since the last sync is still read, and no later sync will write it.
    void fail_to_sync(int number);
    std::uint64_t used() const;

    static std::string parent(std::string_view path);
    static std::string leaf(std::string_view path);

    const std::vector<Node>& nodes() const { return nodes_; }

private:
    friend class PowerCut;
    std::vector<Node> nodes_;  // 0 is "/"
    std::vector<Live> live_;
};

/// A moment at which power may fail, and the states that may be found afterwards.
class PowerCut {
public:
    explicit PowerCut(const Platter& platter) : nodes_(platter.nodes()) { find_units(); }

    /// Something that is as after any of its changes, independently of everything else.
    struct Unit {
        enum class Kind { sector, size, name } kind = Kind::name;
        int node = 0;
        std::uint64_t sector = 0;        // of a sector; of a name: which change
        std::vector<std::string> bytes;  // of a sector: its versions, the durable one first
        std::vector<std::uint64_t> sizes;
        bool index = false;  // RocksDB's
        std::size_t versions() const {
            return kind == Kind::sector ? bytes.size() : kind == Kind::size ? sizes.size() : 2;
        }
    };
    const std::vector<Unit>& units() const { return units_; }
    const std::string& path(const Unit& unit) const { return nodes_[static_cast<std::size_t>(unit.node)].path; }

    using Choice = std::vector<std::uint16_t>;                   // a version of each unit
    Choice nothing() const { return Choice(units_.size(), 0); }  ///< only what was synced
    Choice everything() const;                                   ///< as if every cache had been written
    /// Whole files and folders written or not, others in part.
    Choice random(std::mt19937_64& generator) const;
    /// The next choice among units with index == `index`, counting; false after the last.
    bool advance(Choice& choice, bool index) const;
    /// How many choices there are among those units; at most `limit`.
    std::uint64_t count(bool index, std::uint64_t limit) const;

    std::shared_ptr<Platter> state(const Choice& choice) const;
    std::string describe(const Choice& choice) const;

private:
    void find_units();
    std::vector<Platter::Node> nodes_;
    std::vector<Unit> units_;
};

/// A digest of everything that can be reached by name on a disk whose every change is durable.
std::string fingerprint(const Platter& platter);

}  // namespace poplar::test
