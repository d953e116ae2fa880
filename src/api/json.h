#pragma once
// JSON to struct and back.
#include <nlohmann/json.hpp>
#include <string>

#include "api/shape.h"

namespace poplar::api {

/// Errors: invalid.
Result<> read_json(const Shape& shape, const Json& json, void* object);
Json write_json(const Shape& shape, const void* object);

template <class T>
Json to_json(const T& value) {
    return write_json(T::shape(), &value);
}

/// In one line, or with `indent` spaces a level. Octets that are not UTF-8 are replaced.
std::string dump(const Json& json, int indent = -1);

}  // namespace poplar::api
