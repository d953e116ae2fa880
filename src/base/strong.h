#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace poplar {

/// A number with a meaning of its own: two kinds of numbers can't be confused. `struct AccountIdTag; using AccountId =
/// Strong<AccountIdTag>;`
template <class Tag, class Value = std::uint64_t>
struct Strong {
    Value value{};
    constexpr Strong() = default;
    constexpr explicit Strong(Value v) : value(v) {}
    auto operator<=>(const Strong&) const = default;
};

}  // namespace poplar

template <class Tag, class Value>
struct std::hash<poplar::Strong<Tag, Value>> {
    std::size_t operator()(const poplar::Strong<Tag, Value>& s) const noexcept { return std::hash<Value>{}(s.value); }
};
