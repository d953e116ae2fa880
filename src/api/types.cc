// How each type of member is read from JSON or text, and written.
#include "api/types.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/units.h"

namespace poplar::api {

namespace {

std::unexpected<Error> must_be(std::string_view what) { return fail(Errc::invalid, fmt::format("must be {}", what)); }

class Text final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member&) const override {
        if (!json.is_string()) return must_be("a text");
        *static_cast<std::string*>(value) = json.get<std::string>();
        return {};
    }
    void write(Json& json, const void* value) const override { json = *static_cast<const std::string*>(value); }
    Result<> read_text(std::string_view text, void* value, const Member&) const override {
        *static_cast<std::string*>(value) = text;
        return {};
    }
    std::string text(const void* value) const override { return *static_cast<const std::string*>(value); }
    std::string words() const override { return "text"; }
    std::string typescript() const override { return "string"; }
};

class Number final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member& member) const override {
        if (!json.is_number_unsigned() || json.get<std::uint64_t>() > member.most) return wrong(member);
        *static_cast<std::uint64_t*>(value) = json.get<std::uint64_t>();
        return {};
    }
    void write(Json& json, const void* value) const override { json = *static_cast<const std::uint64_t*>(value); }
    Result<> read_text(std::string_view text, void* value, const Member& member) const override {
        std::uint64_t number = 0;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc{} || end != text.data() + text.size() || number > member.most) return wrong(member);
        *static_cast<std::uint64_t*>(value) = number;
        return {};
    }
    std::string text(const void* value) const override {
        return std::to_string(*static_cast<const std::uint64_t*>(value));
    }
    std::string words() const override { return "number"; }
    std::string typescript() const override { return "number"; }

private:
    static std::unexpected<Error> wrong(const Member& member) {
        if (member.most == std::numeric_limits<std::uint64_t>::max()) return must_be("a number");
        return must_be(fmt::format("a number up to {}", member.most));
    }
};

class Boolean final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member&) const override {
        if (!json.is_boolean()) return must_be("true or false");
        *static_cast<bool*>(value) = json.get<bool>();
        return {};
    }
    void write(Json& json, const void* value) const override { json = *static_cast<const bool*>(value); }
    Result<> read_text(std::string_view text, void* value, const Member&) const override {
        if (text != "yes" && text != "no") return must_be("yes or no");
        *static_cast<bool*>(value) = text == "yes";
        return {};
    }
    std::string text(const void* value) const override { return *static_cast<const bool*>(value) ? "yes" : "no"; }
    std::string words() const override { return "true or false"; }
    std::string typescript() const override { return "boolean"; }
    Form form() const override { return Form::flag; }
};

class True final : public Type {
public:
    Result<> read(const Json& json, void*, const Member&) const override {
        return json == true ? Result<>() : must_be("true, the only value it can have");
    }
    void write(Json& json, const void*) const override { json = true; }
    Result<> read_text(std::string_view, void*, const Member&) const override { return {}; }
    std::string words() const override { return "true"; }
    std::string typescript() const override { return "true"; }
    Form form() const override { return Form::flag; }
};

class DaysType final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member&) const override {
        auto& days = *static_cast<Days*>(value);
        if (json == "never") {
            days.never = true;
            return {};
        }
        if (!json.is_number_unsigned() || json.get<std::uint64_t>() > Days::kMost)
            return must_be(fmt::format("null, \"never\" or a number up to {}", Days::kMost));
        days.count = json.get<std::uint32_t>();
        return {};
    }
    void write(Json& json, const void* value) const override {
        const auto& days = *static_cast<const Days*>(value);
        json = days.never ? Json("never") : Json(days.count);
    }
    Result<> read_text(std::string_view text, void* value, const Member& member) const override {
        if (text == "never") return read("never", value, member);
        auto json = Json::parse(text, nullptr, false);
        if (!json.is_number_unsigned()) return fail(Errc::invalid, "takes a number, \"never\" or \"default\"");
        return read(json, value, member);
    }
    std::string words() const override { return "number of days or \"never\""; }
    std::string typescript() const override { return "number | \"never\""; }
};

class SecondsType final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member& member) const override {
        if (!json.is_number_unsigned() || json.get<std::uint64_t>() > member.most)
            return must_be(fmt::format("null or a number up to {}", member.most));
        static_cast<Seconds*>(value)->count = json.get<std::uint64_t>();
        return {};
    }
    void write(Json& json, const void* value) const override { json = static_cast<const Seconds*>(value)->count; }
    Result<> read_text(std::string_view text, void* value, const Member&) const override {
        auto duration = parse_duration(text);
        if (!duration) return pass_on(duration);
        auto whole = std::chrono::ceil<std::chrono::seconds>(*duration);
        static_cast<Seconds*>(value)->count = static_cast<std::uint64_t>(whole.count());
        return {};
    }
    std::string words() const override { return "number of seconds"; }
    std::string typescript() const override { return "number"; }
};

}  // namespace

Result<> Type::read_text(std::string_view, void*, const Member&) const { return must_be("given as JSON"); }

std::string Type::text(const void*) const { return {}; }

template <>
const Type& type_of<std::string>() {
    static const Text type;
    return type;
}
template <>
const Type& type_of<std::uint64_t>() {
    static const Number type;
    return type;
}
template <>
const Type& type_of<bool>() {
    static const Boolean type;
    return type;
}
template <>
const Type& type_of<Yes>() {
    static const True type;
    return type;
}
template <>
const Type& type_of<Days>() {
    static const DaysType type;
    return type;
}
template <>
const Type& type_of<Seconds>() {
    static const SecondsType type;
    return type;
}

Result<> read_struct(const Shape& shape, const Json& json, void* object) {
    if (!json.is_object()) return must_be("an object");
    for (const auto& [name, value] : json.items()) {
        auto member = std::ranges::find(shape.members, std::string_view(name), &Member::name);
        // A misspelt member must not be passed over in silence.
        if (member == shape.members.end()) return fail(Errc::invalid, fmt::format("unknown member \"{}\"", name));
        if (auto done = member->type->read(value, member->make(object), *member); !done)
            return fail(Errc::invalid, fmt::format("\"{}\" {}", name, done.error().detail()));
    }
    for (const auto& member : shape.members)
        if (!member.optional && !json.contains(member.name))
            return fail(Errc::invalid, fmt::format("\"{}\" is missing", member.name));
    return {};
}

void write_struct(const Shape& shape, Json& json, const void* object) {
    json = Json::object();
    for (const auto& member : shape.members)
        if (const void* value = member.find(object)) member.type->write(json[std::string(member.name)], value);
}

Result<> read_list(const Json& json, const Type& type, const Member& member, const std::function<void*()>& append) {
    if (!json.is_array()) return must_be("a " + member.type->words());
    if (json.size() > member.most) return fail(Errc::invalid, fmt::format("has more than {} elements", member.most));
    for (const auto& element : json)
        if (auto done = type.read(element, append(), member); !done)
            return fail(Errc::invalid, fmt::format("has an element that is wrong: {}", done.error().detail()));
    return {};
}

Result<> read_map(const Json& json, const Type& type, const Member& member,
                  const std::function<void*(const std::string&)>& insert) {
    if (!json.is_object()) return must_be("an object");
    for (const auto& [name, value] : json.items())
        if (auto done = type.read(value, insert(name), member); !done) return done;
    return {};
}

void append_json(Json& list, const Type& type, const void* value) { type.write(list.emplace_back(), value); }
void set_json(Json& object, const std::string& name, const Type& type, const void* value) {
    type.write(object[name], value);
}
bool is_null(const Json& json) { return json.is_null(); }
void set_null(Json& json) { json = nullptr; }
void set_array(Json& json) { json = Json::array(); }
void set_object(Json& json) { json = Json::object(); }

Result<> read_word(const Json& json, const std::vector<std::string_view>& words, std::size_t& index) {
    if (!json.is_string()) return must_be(one_of(words, " or "));
    return find_word(json.get_ref<const std::string&>(), words, index);
}

Result<> find_word(std::string_view text, const std::vector<std::string_view>& words, std::size_t& index) {
    const auto at = std::ranges::find(words, text);
    if (at == words.end()) return must_be(one_of(words, " or "));
    index = static_cast<std::size_t>(at - words.begin());
    return {};
}

void write_word(Json& json, std::string_view word) { json = word; }

std::string one_of(const std::vector<std::string_view>& words, std::string_view separator) {
    std::string list;
    for (auto word : words) list += fmt::format("{}\"{}\"", list.empty() ? std::string_view() : separator, word);
    return list;
}

}  // namespace poplar::api
