// How each kind of key takes a value, and shows it.
#include "config/keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "config/value.h"

namespace poplar::config {

namespace {

using std::chrono::milliseconds;

std::string list_of(const std::vector<std::string>& values) {
    std::string list;
    for (const auto& value : values) list += (list.empty() ? "" : ", ") + toml_text(value);
    return list;
}

// Returns what is wrong with the value, or "".
std::string check_text(const Value& given, Empty empty, std::string& value) {
    const auto* text = given.as<std::string>();
    if (!text) return wrong_type("a text in quotes", given);
    if (empty == Empty::refused && text->empty()) return "must not be empty";
    if (text->find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos) return "must be one line";
    value = *text;
    return {};
}

}  // namespace

std::string_view Value::type_name() const {
    static constexpr std::string_view kNames[] = {"a text",     "an integer", "true or false",
                                                  "a fraction", "a list",     "a section"};
    const auto* other = as<Other>();
    return other ? other->name : kNames[held.index()];
}

std::string toml_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    return out + '"';
}

std::string wrong_type(std::string_view wanted, const Value& value) {
    return fmt::format("must be {}, not {}", wanted, value.type_name());
}

Key& Keys::add(Key key) {
    keys_.push_back(std::move(key));
    return keys_.back();
}

Key& Keys::text(std::string name, std::string& value, std::string words, Empty empty, Check check) {
    auto set = [&value, empty, check](const Value& given) -> std::string {
        std::string text;
        if (auto what = check_text(given, empty, text); !what.empty()) return what;
        if (auto what = check ? check(text) : std::string(); !what.empty()) return what;
        value = std::move(text);
        return {};
    };
    return add({std::move(name), std::move(words), {}, set, [&value] { return toml_text(value); }});
}

Key& Keys::path(std::string name, std::string& value, std::string words, Empty empty) {
    auto absolute = [](const std::string& path) {
        return path.empty() || path.starts_with('/') ? std::string() : std::string("must be an absolute path");
    };
    return text(std::move(name), value, std::move(words), empty, absolute);
}

Key& Keys::boolean(std::string name, bool& value, std::string words) {
    auto set = [&value](const Value& given) -> std::string {
        const auto* truth = given.as<bool>();
        if (!truth) return wrong_type("true or false", given);
        value = *truth;
        return {};
    };
    return add({std::move(name), std::move(words), {}, set, [&value] { return value ? "true" : "false"; }});
}

Key& Keys::texts(std::string name, std::vector<std::string>& value, std::string what, Check check, std::string words) {
    auto set = [&value, what, check](const Value& given) -> std::string {
        const auto* list = given.as<std::vector<Value>>();
        if (!list) return wrong_type("a list of " + what, given);
        std::vector<std::string> found;
        for (const auto& element : *list) {
            const auto* text = element.as<std::string>();
            if (!text) return wrong_type("a list of texts", element);
            found.push_back(*text);
            if (auto error = check(found.back()); !error.empty()) return error;
        }
        value = std::move(found);
        return {};
    };
    return add({std::move(name), std::move(words), {}, set, [&value] { return "[" + list_of(value) + "]"; }});
}

Key& Keys::paths(std::string name, std::vector<std::string>& value, std::string words) {
    auto absolute = [](const std::string& path) {
        return path.starts_with('/') ? std::string() : std::string("must hold absolute paths");
    };
    return texts(std::move(name), value, "paths", absolute, std::move(words));
}

Key& Keys::tables_key(std::string name, std::function<std::string(const std::vector<Value>&)> take,
                      std::function<std::string()> show, std::string words) {
    auto set = [take, name](const Value& given) -> std::string {
        const auto* list = given.as<std::vector<Value>>();
        if (!list) return wrong_type("sections of the form [[" + name + "]]", given);
        return take(*list);
    };
    return add({name, std::move(words), {}, set, std::move(show)});
}

std::string Keys::set_all(const Value& table) {
    const auto* given = table.as<Value::Table>();
    if (!given) return wrong_type("a section", table);
    for (std::size_t i = 0; i < given->names.size(); ++i) {
        const auto& name = given->names[i];
        const auto known = std::ranges::find(keys_, name, &Key::name);
        if (known == keys_.end()) {
            std::vector<std::string_view> names;
            for (const auto& key : keys_) names.push_back(key.name);
            const auto meant = nearest(name, names);
            const auto question = meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", meant);
            return fmt::format("unknown key \"{}\"{}", name, question);
        }
        if (auto what = known->set(given->values[i]); !what.empty()) return fmt::format("{}: {}", name, what);
    }
    return {};
}

std::string Keys::show_all() const {
    std::string all;
    for (const auto& key : keys_) all += fmt::format("{}{} = {}", all.empty() ? "" : ", ", key.name, key.show());
    return "{" + all + "}";
}

std::string Keys::ordinal(std::size_t number) {
    const auto tens = number / 10 % 10, ones = number % 10;
    const auto* ending = tens == 1 ? "th" : ones == 1 ? "st" : ones == 2 ? "nd" : ones == 3 ? "rd" : "th";
    return std::to_string(number) + ending;
}

Key& Keys::number_key(std::string name, std::function<void(std::int64_t)> take, std::function<std::int64_t()> get,
                      std::int64_t least, std::int64_t most, std::string words) {
    auto set = [take, least, most](const Value& given) -> std::string {
        const auto* number = given.as<std::int64_t>();
        if (!number) return wrong_type("a number", given);
        if (*number < least || *number > most) return fmt::format("must be between {} and {}", least, most);
        take(*number);
        return {};
    };
    return add({std::move(name), std::move(words), {}, set, [get] { return std::to_string(get()); }});
}

Key& Keys::size_key(std::string name, std::function<void(std::uint64_t)> take, std::function<std::uint64_t()> get,
                    std::uint64_t least, std::uint64_t most, std::string words) {
    auto set = [take, least, most](const Value& given) -> std::string {
        std::uint64_t octets = 0;
        if (const auto* count = given.as<std::int64_t>()) {
            if (*count < 0) return "must not be negative";
            octets = static_cast<std::uint64_t>(*count);
        } else if (const auto* spelt = given.as<std::string>()) {
            auto parsed = parse_size(*spelt);
            if (!parsed) return parsed.error().detail();
            octets = *parsed;
        } else {
            return wrong_type("a size like \"50MB\"", given);
        }
        if (octets < least || octets > most)
            return fmt::format("must be between {} and {}", format_size(least), format_size(most));
        take(octets);
        return {};
    };
    auto show = [get] {
        auto shown = format_size(get());
        return shown.find_first_not_of("0123456789") == std::string::npos ? shown : toml_text(shown);
    };
    return add({std::move(name), std::move(words), {}, set, show});
}

Key& Keys::duration_key(std::string name, std::function<bool(milliseconds)> take, std::function<milliseconds()> get,
                        milliseconds least, milliseconds most, std::string words) {
    auto set = [take, least, most](const Value& given) -> std::string {
        auto out_of_range = [&] {
            return fmt::format("must be between {} and {}", format_duration(least), format_duration(most));
        };
        milliseconds value{};
        if (const auto* count = given.as<std::int64_t>()) {
            if (*count < 0) return "must not be negative";
            if (*count > std::chrono::duration_cast<std::chrono::seconds>(most).count()) return out_of_range();
            value = std::chrono::seconds(*count);
        } else if (const auto* spelt = given.as<std::string>()) {
            auto parsed = parse_duration(*spelt);
            if (!parsed) return parsed.error().detail();
            value = *parsed;
        } else {
            return wrong_type("a duration like \"10m\"", given);
        }
        if (value < least || value > most) return out_of_range();
        return take(value) ? "" : "must be whole seconds";
    };
    return add({std::move(name), std::move(words), {}, set, [get] { return toml_text(format_duration(get())); }});
}

Key& Keys::choice_key(std::string name, std::function<void(std::size_t)> take, std::function<std::size_t()> get,
                      std::vector<std::string> values, std::string words) {
    auto set = [take, values](const Value& given) -> std::string {
        const auto* word = given.as<std::string>();
        if (!word) return wrong_type("one of " + list_of(values), given);
        const auto at = std::ranges::find(values, *word);
        if (at == values.end()) return fmt::format("must be one of {}", list_of(values));
        take(static_cast<std::size_t>(at - values.begin()));
        return {};
    };
    auto show = [get, values] {
        const auto at = get();
        return toml_text(at < values.size() ? values[at] : std::string());
    };
    return add({std::move(name), std::move(words), {}, set, show});
}

Key& Keys::choices_key(std::string name, std::function<void(const std::vector<std::size_t>&)> take,
                       std::function<std::vector<std::size_t>()> get, std::vector<std::string> values,
                       std::string words) {
    auto set = [take, values](const Value& given) -> std::string {
        const auto* list = given.as<std::vector<Value>>();
        if (!list) return wrong_type("a list of some of " + list_of(values), given);
        std::vector<std::size_t> found;
        for (const auto& element : *list) {
            const auto* word = element.as<std::string>();
            if (!word) return wrong_type("a list of texts", element);
            const auto known = std::ranges::find(values, *word);
            if (known == values.end()) return fmt::format("can only hold {}", list_of(values));
            const auto at = static_cast<std::size_t>(known - values.begin());
            if (std::ranges::find(found, at) != found.end()) return fmt::format("has {} twice", toml_text(*word));
            found.push_back(at);
        }
        take(found);
        return {};
    };
    auto show = [get, values] {
        std::vector<std::string> chosen;
        for (auto at : get()) chosen.push_back(values[at]);
        return "[" + list_of(chosen) + "]";
    };
    return add({std::move(name), std::move(words), {}, set, show});
}

}  // namespace poplar::config
