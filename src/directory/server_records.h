#pragma once
// Small records of the server itself, each under a name, in the server's own partition.
#include <string>

#include "base/asio.h"
#include "base/error.h"
#include "engine/engine.h"

namespace poplar::directory {

/// May be used from any thread. Errors of all calls: io, no_space, corrupt, cancelled.
class ServerRecords {
public:
    explicit ServerRecords(engine::Engine& engine) : engine_(engine) {}
    Task<Result<std::string>> get(std::string name);  ///< "": there is none
    Task<Result<>> put(std::string name, std::string value);

private:
    engine::Engine& engine_;
};

}  // namespace poplar::directory
