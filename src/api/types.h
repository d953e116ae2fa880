#pragma once
// The types that members have. Only the files that describe structs include this.
#include <functional>

#include "api/shape.h"

namespace poplar::api {

// The work of the templates below, so that these are a line each.
Result<> read_struct(const Shape& shape, const Json& json, void* object);
void write_struct(const Shape& shape, Json& json, const void* object);
Result<> read_list(const Json& json, const Type& type, const Member& member, const std::function<void*()>& append);
void append_json(Json& list, const Type& type, const void* value);
void set_json(Json& object, const std::string& name, const Type& type, const void* value);
bool is_null(const Json& json);
void set_null(Json& json);
void set_array(Json& json);
void set_object(Json& json);
Result<> read_map(const Json& json, const Type& type, const Member& member,
                  const std::function<void*(const std::string&)>& insert);
Result<> read_word(const Json& json, const std::vector<std::string_view>& words, std::size_t& index);
void write_word(Json& json, std::string_view word);
Result<> find_word(std::string_view text, const std::vector<std::string_view>& words, std::size_t& index);
std::string one_of(const std::vector<std::string_view>& words, std::string_view separator);

template <>
const Type& type_of<std::string>();
template <>
const Type& type_of<std::uint64_t>();
template <>
const Type& type_of<bool>();
template <>
const Type& type_of<Yes>();
template <>
const Type& type_of<Days>();
template <>
const Type& type_of<Seconds>();

template <class T>
class StructType final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member&) const override {
        return read_struct(T::shape(), json, value);
    }
    void write(Json& json, const void* value) const override { write_struct(T::shape(), json, value); }
    std::string words() const override { return std::string(T::shape().name); }
    std::string typescript() const override { return std::string(T::shape().name); }
    const Shape* shape() const override { return &T::shape(); }
};

template <class T>
class NullableType final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member& member) const override {
        auto& place = *static_cast<Nullable<T>*>(value);
        place.reset();
        return is_null(json) ? Result<>() : type_of<T>().read(json, &place.emplace(), member);
    }
    void write(Json& json, const void* value) const override {
        const auto& place = *static_cast<const Nullable<T>*>(value);
        if (place)
            type_of<T>().write(json, &*place);
        else
            set_null(json);
    }
    Result<> read_text(std::string_view text, void* value, const Member& member) const override {
        auto& place = *static_cast<Nullable<T>*>(value);
        place.reset();
        return text == "default" ? Result<>() : type_of<T>().read_text(text, &place.emplace(), member);
    }
    std::string words() const override { return type_of<T>().words() + " or null"; }
    std::string typescript() const override { return type_of<T>().typescript() + " | null"; }
    const Shape* shape() const override { return type_of<T>().shape(); }
};

template <class T>
class ListType final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member& member) const override {
        auto& list = *static_cast<std::vector<T>*>(value);
        list.clear();
        return read_list(json, type_of<T>(), member, [&] { return &list.emplace_back(); });
    }
    void write(Json& json, const void* value) const override {
        set_array(json);
        for (const auto& element : *static_cast<const std::vector<T>*>(value))
            append_json(json, type_of<T>(), &element);
    }
    Result<> read_text(std::string_view text, void* value, const Member& member) const override {
        return type_of<T>().read_text(text, &static_cast<std::vector<T>*>(value)->emplace_back(), member);
    }
    std::string words() const override { return "list of " + type_of<T>().words(); }
    std::string typescript() const override { return type_of<T>().typescript() + "[]"; }
    const Shape* shape() const override { return type_of<T>().shape(); }
    Form form() const override { return Form::list; }
};

template <class T>
class MapType final : public Type {
public:
    Result<> read(const Json& json, void* value, const Member& member) const override {
        auto& map = *static_cast<std::map<std::string, T>*>(value);
        return read_map(json, type_of<T>(), member, [&](const std::string& name) { return &map[name]; });
    }
    void write(Json& json, const void* value) const override {
        set_object(json);
        for (const auto& [name, one] : *static_cast<const std::map<std::string, T>*>(value))
            set_json(json, name, type_of<T>(), &one);
    }
    std::string words() const override { return type_of<T>().words() + " by name"; }
    std::string typescript() const override { return "Record<string, " + type_of<T>().typescript() + ">"; }
    const Shape* shape() const override { return type_of<T>().shape(); }
};

/// An enumeration whose values count from 0, by their words.
template <class T>
class WordType final : public Type {
public:
    explicit WordType(std::vector<std::string_view> words) : words_(std::move(words)) {}
    Result<> read(const Json& json, void* value, const Member&) const override {
        std::size_t index = 0;
        auto done = read_word(json, words_, index);
        if (done) *static_cast<T*>(value) = static_cast<T>(index);
        return done;
    }
    void write(Json& json, const void* value) const override {
        write_word(json, words_[static_cast<std::size_t>(*static_cast<const T*>(value))]);
    }
    Result<> read_text(std::string_view text, void* value, const Member&) const override {
        std::size_t index = 0;
        auto done = find_word(text, words_, index);
        if (done) *static_cast<T*>(value) = static_cast<T>(index);
        return done;
    }
    std::string words() const override { return one_of(words_, " or "); }
    std::string typescript() const override { return one_of(words_, " | "); }

private:
    const std::vector<std::string_view> words_;
};

template <class T>
struct Chosen {
    static_assert(requires { T::shape(); }, "a member's type has a shape(), or a type_of() of its own");
    using Kind = StructType<T>;
};
template <class T>
struct Chosen<Nullable<T>> {
    using Kind = NullableType<T>;
};
template <class T>
struct Chosen<std::vector<T>> {
    using Kind = ListType<T>;
};
template <class T>
struct Chosen<std::map<std::string, T>> {
    using Kind = MapType<T>;
};

template <class T>
const Type& type_of() {
    static const typename Chosen<T>::Kind type;
    return type;
}

}  // namespace poplar::api
