#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace poplar::config {

/// The value of a key, as the file has it.
struct Value {
    struct Other {
        std::string_view name;  ///< "a date"
    };
    struct Table {
        std::vector<std::string> names;
        std::vector<Value> values;  ///< one for each name
    };
    std::variant<std::string, std::int64_t, bool, double, std::vector<Value>, Table, Other> held;

    template <class T>
    const T* as() const {
        return std::get_if<T>(&held);
    }
    std::string_view type_name() const;  ///< "a text", "an integer"
};

}  // namespace poplar::config
