#pragma once
// The kinds of keys that a configuration has. A folder declares its own (`pop3/settings.cc`), each with its place,
// range and words. Errors, `check-config --show` and docs/operating/configuration.md are made from that.
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/value.h"

namespace poplar::config {

/// One key. It is bound to the object that its value goes to, which outlives it.
struct Key {
    std::string name;   ///< "pop3.line_limit"
    std::string words;  ///< what it means, and what a client sees when a limit is hit; Markdown
    /// The name of what applies a new value at SIGHUP (Server::reload); "": only the next start does.
    std::string_view applied_by = {};
    /// Takes the value over. Returns what is wrong with it, or "".
    std::function<std::string(const Value&)> set;
    /// The value as TOML, as the documentation shows defaults.
    std::function<std::string()> show;

    void live(std::string_view by) { applied_by = by; }
};

/// The most of many keys that count something.
inline constexpr std::int64_t kMillion = 1'000'000;

enum class Empty { allowed, refused };

template <class T>
using Words = std::vector<std::pair<std::string, T>>;

class Keys {
public:
    /// Returns what is wrong with a text, or ""; may change it to its one spelling.
    using Check = std::function<std::string(std::string&)>;

    Key& text(std::string name, std::string& value, std::string words, Empty empty = Empty::allowed,
              Check check = nullptr);
    Key& path(std::string name, std::string& value, std::string words, Empty empty = Empty::refused);
    Key& boolean(std::string name, bool& value, std::string words);
    /// A list of texts; `what` says what it holds: "addresses like ...".
    Key& texts(std::string name, std::vector<std::string>& value, std::string what, Check check, std::string words);
    Key& paths(std::string name, std::vector<std::string>& value, std::string words);

    template <class T>
    Key& number(std::string name, T& value, std::int64_t least, std::int64_t most, std::string words) {
        return number_key(
            std::move(name), [&value](std::int64_t read) { value = static_cast<T>(read); },
            [&value] { return static_cast<std::int64_t>(value); }, least, most, std::move(words));
    }
    static constexpr std::uint64_t kMostOctets = std::uint64_t(1) << 50;
    template <class T>
    Key& size(std::string name, T& value, std::uint64_t least, std::uint64_t most, std::string words) {
        most = std::min<std::uint64_t>(most, std::numeric_limits<T>::max());
        return size_key(
            std::move(name), [&value](std::uint64_t read) { value = static_cast<T>(read); },
            [&value] { return static_cast<std::uint64_t>(value); }, least, most, std::move(words));
    }
    template <class T>
    Key& duration(std::string name, T& value, std::chrono::milliseconds least, std::chrono::milliseconds most,
                  std::string words) {
        auto set = [&value](std::chrono::milliseconds read) {
            auto kept = std::chrono::duration_cast<T>(read);
            if (kept == read) value = kept;
            return kept == read;
        };
        return duration_key(
            std::move(name), set, [&value] { return std::chrono::milliseconds(value); }, least, most, std::move(words));
    }
    /// One of `values`, by its word.
    template <class T>
    Key& choice(std::string name, T& value, const Words<T>& values, std::string words) {
        auto set = [&value, values](std::size_t at) { value = values[at].second; };
        auto get = [&value, values] {
            std::size_t at = 0;
            while (at < values.size() && !(values[at].second == value)) ++at;
            return at;
        };
        return choice_key(std::move(name), set, get, words_of(values), std::move(words));
    }
    /// A list of some of `values`, each at most once.
    template <class T>
    Key& choices(std::string name, std::vector<T>& value, const Words<T>& values, std::string words) {
        auto set = [&value, values](const std::vector<std::size_t>& chosen) {
            value.clear();
            for (auto at : chosen) value.push_back(values[at].second);
        };
        auto get = [&value, values] {
            std::vector<std::size_t> chosen;
            for (std::size_t at = 0; at < values.size(); ++at)
                for (const auto& one : value)
                    if (one == values[at].second) chosen.push_back(at);
            return chosen;
        };
        return choices_key(std::move(name), set, get, words_of(values), std::move(words));
    }
    /// A list of tables (`[[NAME]]`). `members` declares the keys of one.
    template <class T>
    Key& tables(std::string name, std::vector<T>& value, void (*members)(Keys&, T&), std::string words) {
        auto set = [&value, members, name](const std::vector<Value>& given) {
            std::vector<T> found(given.size());
            for (std::size_t i = 0; i < given.size(); ++i) {
                Keys keys;
                members(keys, found[i]);
                if (auto what = keys.set_all(given[i]); !what.empty())
                    return "the " + ordinal(i + 1) + " [[" + name + "]]: " + what;
            }
            value = std::move(found);
            return std::string();
        };
        auto show = [&value, members] {
            std::string all;
            for (auto& one : value) {
                Keys keys;
                members(keys, one);
                all += (all.empty() ? "" : ", ") + keys.show_all();
            }
            return "[" + all + "]";
        };
        return tables_key(std::move(name), set, show, std::move(words));
    }
    /// A key of a kind that no other has.
    Key& add(Key key);

    std::vector<Key> take() { return std::move(keys_); }

private:
    template <class T>
    static std::vector<std::string> words_of(const Words<T>& values) {
        std::vector<std::string> list;
        for (const auto& [word, value] : values) list.push_back(word);
        return list;
    }
    Key& tables_key(std::string name, std::function<std::string(const std::vector<Value>&)> set,
                    std::function<std::string()> show, std::string words);
    /// Takes over a table. Returns what is wrong with it, or "".
    std::string set_all(const Value& table);
    std::string show_all() const;                    ///< as an inline table
    static std::string ordinal(std::size_t number);  ///< "2nd"
    Key& number_key(std::string name, std::function<void(std::int64_t)> set, std::function<std::int64_t()> get,
                    std::int64_t least, std::int64_t most, std::string words);
    Key& size_key(std::string name, std::function<void(std::uint64_t)> set, std::function<std::uint64_t()> get,
                  std::uint64_t least, std::uint64_t most, std::string words);
    Key& duration_key(std::string name, std::function<bool(std::chrono::milliseconds)> set,
                      std::function<std::chrono::milliseconds()> get, std::chrono::milliseconds least,
                      std::chrono::milliseconds most, std::string words);
    Key& choice_key(std::string name, std::function<void(std::size_t)> set, std::function<std::size_t()> get,
                    std::vector<std::string> values, std::string words);
    Key& choices_key(std::string name, std::function<void(const std::vector<std::size_t>&)> set,
                     std::function<std::vector<std::size_t>()> get, std::vector<std::string> values, std::string words);

    std::vector<Key> keys_;
};

/// A text as TOML writes it.
std::string toml_text(std::string_view text);
std::string wrong_type(std::string_view wanted, const Value& value);

}  // namespace poplar::config
