#include "config/reader.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <set>

#include "base/units.h"
#include "config/value.h"

namespace poplar::config {

namespace {

Value value_of(const toml::node& node);

Value::Table table_of(const toml::table& table) {
    Value::Table out;
    for (const auto& [name, node] : table) {
        out.names.emplace_back(name.str());
        out.values.push_back(value_of(node));
    }
    return out;
}

Value value_of(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::string: return {node.as_string()->get()};
        case toml::node_type::integer: return {node.as_integer()->get()};
        case toml::node_type::boolean: return {node.as_boolean()->get()};
        case toml::node_type::floating_point: return {node.as_floating_point()->get()};
        case toml::node_type::table: return {table_of(*node.as_table())};
        case toml::node_type::array: break;
        default: return {Value::Other{"a date"}};
    }
    std::vector<Value> list;
    for (const auto& element : *node.as_array()) list.push_back(value_of(element));
    return {std::move(list)};
}

struct ConfigError {
    std::size_t line;
    std::string text;
};

class Reader {
public:
    Reader(const std::string& file, const std::vector<Key>& keys, Lines& lines, std::vector<ConfigError>& errors)
        : file_(file), lines_(lines), errors_(errors) {
        for (const auto& key : keys) {
            keys_.emplace(key.name, &key);
            for (auto dot = key.name.find('.'); dot != std::string::npos; dot = key.name.find('.', dot + 1))
                sections_.insert(key.name.substr(0, dot));  // "filter.rspamd.url": "filter" and "filter.rspamd"
        }
    }

    void read(const toml::table& table, const std::string& prefix) {
        for (const auto& [name, node] : table) {
            auto full = prefix + std::string(name.str());
            auto line = node.source().begin.line;
            lines_[full] = line;
            if (sections_.contains(full)) {
                if (const auto* section = node.as_table())
                    read(*section, full + ".");
                else
                    error(line, full, "is a section: write [" + full + "]");
            } else if (auto known = keys_.find(full); known != keys_.end()) {
                if (auto what = known->second->set(value_of(node)); !what.empty()) error(line, full, what);
            } else {
                unknown(line, full, prefix, node.is_table());
            }
        }
    }

private:
    void error(std::size_t line, std::string_view key, std::string_view what) {
        // A key in quotes may hold anything, even a line end.
        std::string shown(key);
        for (char& c : shown)
            if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
        errors_.push_back({line, fmt::format("{}:{}: {}: {}", file_, line, shown, what)});
    }

    // Names of the same section come first; then the same name in another section.
    void unknown(std::size_t line, const std::string& full, const std::string& prefix, bool is_table) {
        std::vector<std::string_view> candidates;
        for (const auto& [name, key] : keys_)
            if (name.starts_with(prefix) && name.find('.', prefix.size()) == std::string::npos)
                candidates.push_back(std::string_view(name).substr(prefix.size()));
        for (const auto& section : sections_)
            if (section.starts_with(prefix) && section.find('.', prefix.size()) == std::string::npos)
                candidates.push_back(std::string_view(section).substr(prefix.size()));
        auto last = full.substr(prefix.size());
        std::string meant(nearest(last, candidates));
        if (!meant.empty()) {
            meant = prefix + meant;
        } else {
            for (const auto& [name, key] : keys_)
                if (name.substr(name.rfind('.') + 1) == last) meant = name;
        }
        auto what = fmt::format("unknown {}", is_table ? "section" : "key");
        if (!meant.empty()) what += fmt::format("; did you mean \"{}\"?", meant);
        error(line, full, what);
    }

    const std::string& file_;
    Lines& lines_;
    std::vector<ConfigError>& errors_;
    std::map<std::string, const Key*, std::less<>> keys_;
    std::set<std::string, std::less<>> sections_;
};

}  // namespace

std::vector<std::string> read(std::string_view text, const std::string& file, const std::vector<Key>& keys,
                              Lines& lines, bool& is_toml) {
    std::vector<std::string> errors;
    is_toml = true;
    try {
        auto table = toml::parse(text, file);
        std::vector<ConfigError> found;
        Reader(file, keys, lines, found).read(table, "");
        std::ranges::sort(found, {}, &ConfigError::line);  // the table is in the order of its keys
        for (auto& error : found) errors.push_back(std::move(error.text));
    } catch (const toml::parse_error& error) {
        is_toml = false;
        std::string what(error.description());
        std::ranges::replace(what, '\n', ' ');
        errors.push_back(fmt::format("{}:{}: {}", file, error.source().begin.line, what));
    }
    return errors;
}

std::string error_at(const std::string& file, const Lines& lines, std::string_view key, std::string_view what) {
    if (auto line = lines.find(key); line != lines.end())
        return fmt::format("{}:{}: {}: {}", file, line->second, key, what);
    return fmt::format("{}: {}: {}", file, key, what);
}

}  // namespace poplar::config
