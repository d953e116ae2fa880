#pragma once
// Keys with their values, as an engine hands them out.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::engine {

struct EntryView {
    std::string_view key, value;
};

struct Entry {
    std::string key, value;
    operator EntryView() const { return {key, value}; }
};

/// Entries in key order, all in one piece of memory: a mailbox's list has thousands of small ones.
class Entries {
public:
    class Iterator {
    public:
        using value_type = EntryView;
        using difference_type = std::ptrdiff_t;
        EntryView operator*() const { return (*entries_)[at_]; }
        Iterator& operator++() { return ++at_, *this; }
        Iterator operator++(int) { return {*entries_, at_++}; }
        bool operator==(const Iterator& other) const { return at_ == other.at_; }

    private:
        friend Entries;
        Iterator(const Entries& entries, std::size_t at) : entries_(&entries), at_(at) {}
        const Entries* entries_;
        std::size_t at_;
    };

    /// For about so many entries of so many octets in all.
    void reserve(std::size_t entries, std::size_t octets) {
        ends_.reserve(entries);
        octets_.reserve(octets);
    }
    void add(std::string_view key, std::string_view value) {
        octets_.append(key);
        const auto key_end = octets_.size();
        octets_.append(value);
        ends_.push_back({key_end, octets_.size()});
    }

    std::size_t size() const { return ends_.size(); }
    bool empty() const { return ends_.empty(); }
    /// Good as long as nothing is added, and this is not moved.
    EntryView operator[](std::size_t n) const {
        const auto begin = n == 0 ? 0 : ends_[n - 1].value;
        const std::string_view octets = octets_;
        return {octets.substr(begin, ends_[n].key - begin), octets.substr(ends_[n].key, ends_[n].value - ends_[n].key)};
    }
    EntryView front() const { return (*this)[0]; }
    EntryView back() const { return (*this)[size() - 1]; }
    Iterator begin() const { return {*this, 0}; }
    Iterator end() const { return {*this, size()}; }

private:
    struct Ends {
        std::size_t key, value;  // in octets_
    };
    std::string octets_;
    std::vector<Ends> ends_;
};

}  // namespace poplar::engine
