#include "api/json.h"

#include <nlohmann/json.hpp>

#include "api/types.h"

namespace poplar::api {

Result<> read_json(const Shape& shape, const Json& json, void* object) { return read_struct(shape, json, object); }

Json write_json(const Shape& shape, const void* object) {
    Json json;
    write_struct(shape, json, object);
    return json;
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

}  // namespace poplar::api
