#pragma once
// How the structs of api/ look from outside, as data. Five readers use it: JSON to struct and back (api/json.h), the
// command line (cli/options.h), docs/reference/admin-api.md (api/page.h) and TypeScript (api/typescript.h).
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::api {

using Json = nlohmann::json;
struct Shape;
struct Member;

/// A type that a member may have. `value` points to one.
class Type {
public:
    virtual ~Type() = default;
    /// Errors: invalid; the detail goes on after the member's name: "must be a text".
    virtual Result<> read(const Json& json, void* value, const Member& member) const = 0;
    virtual void write(Json& json, const void* value) const = 0;
    /// From a query or an option. A list gets one more element. Errors: as read().
    virtual Result<> read_text(std::string_view text, void* value, const Member& member) const;
    /// For a query; only of types that read_text() takes.
    virtual std::string text(const void* value) const;

    virtual std::string words() const = 0;                  ///< "text", "list of texts"
    virtual std::string typescript() const = 0;             ///< "string", "string[]"
    virtual const Shape* shape() const { return nullptr; }  ///< of the struct in it
    enum class Form { value, flag, list };
    virtual Form form() const { return Form::value; }  ///< as an option of the command line
};

/// One field of a struct.
struct Member {
    std::string_view name;   ///< in JSON: "password_hash"
    std::string_view words;  ///< what it is, for people
    const Type* type;
    bool optional;                            ///< may be missing
    void* (*make)(void* object);              ///< the value's place; gives an optional one a value first
    const void* (*find)(const void* object);  ///< the value; null if an optional one has none

    std::uint64_t most = std::numeric_limits<std::uint64_t>::max();  ///< of a number; of a list, elements
    std::string_view label;                                          ///< "HASH": what stands for its value in help
    enum class Option { named, positional, none } option = Option::named;

    Member up_to(std::uint64_t limit) const {
        return with([&](Member& m) { m.most = limit; });
    }
    Member called(std::string_view text) const {
        return with([&](Member& m) { m.label = text; });
    }
    Member positional() const {
        return with([](Member& m) { m.option = Option::positional; });
    }
    /// Leaves it out of the command line, which has its own way to ask for it.
    Member hidden() const {
        return with([](Member& m) { m.option = Option::none; });
    }

private:
    template <class Change>
    Member with(Change change) const {
        Member changed = *this;
        change(changed);
        return changed;
    }
};

/// A struct that others hold, or a reply.
struct Shape {
    std::string_view name;  ///< "Account"
    std::string_view words;
    std::vector<Member> members;
};

/// A value or null, where std::optional is a member that may be missing.
template <class T>
struct Nullable : std::optional<T> {
    using std::optional<T>::optional;
    using std::optional<T>::operator=;
};

struct Yes {};  ///< `true`, the only value it can have

/// Days that mail stays.
struct Days {
    static constexpr std::uint32_t kMost = 36'500;
    std::uint32_t count = 0;
    bool never = false;
};

/// Seconds; on the command line a duration like 15m.
struct Seconds {
    std::uint64_t count = 0;
};

template <class T>
const Type& type_of();

// All below is for the files that describe structs.

template <class T>
struct Optional : std::false_type {
    using Value = T;
};
template <class T>
struct Optional<std::optional<T>> : std::true_type {
    using Value = T;
};

template <class Owner, class Field>
Member field_of(Field Owner::*, std::string_view name, std::string_view words, void* (*make)(void*),
                const void* (*find)(const void*)) {
    return {.name = name,
            .words = words,
            .type = &type_of<typename Optional<Field>::Value>(),
            .optional = Optional<Field>::value,
            .make = make,
            .find = find,
            .label = {}};
}

template <class>
struct OwnerOf;
template <class Owner, class Field>
struct OwnerOf<Field Owner::*> {
    using Type = Owner;
    using FieldType = Field;
};

/// `field<&Account::address>("address", "...")`.
template <auto Pointer>
Member field(std::string_view name, std::string_view words) {
    using Owner = typename OwnerOf<decltype(Pointer)>::Type;
    using Field = typename OwnerOf<decltype(Pointer)>::FieldType;
    auto make = [](void* object) -> void* {
        auto& value = static_cast<Owner*>(object)->*Pointer;
        if constexpr (Optional<Field>::value)
            return value ? &*value : &value.emplace();  // a list on the command line grows
        else
            return &value;
    };
    auto find = [](const void* object) -> const void* {
        const auto& value = static_cast<const Owner*>(object)->*Pointer;
        if constexpr (Optional<Field>::value)
            return value ? &*value : nullptr;
        else
            return &value;
    };
    return field_of(Pointer, name, words, make, find);
}

}  // namespace poplar::api
