#pragma once
// The administrator's filter scripts, as they are stored: in the server's own partition, a record each.
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"

namespace poplar::directory {

struct CommonScriptRecord {
    std::string place;  ///< without "/"
    std::string name;
    Timestamp modified{};
    std::string text;
};

/// May be used from any thread. Errors of all calls: io, no_space, corrupt, cancelled.
class CommonScriptRecords {
public:
    explicit CommonScriptRecords(engine::Engine& engine) : engine_(engine) {}
    /// All of them, by place and name.
    Task<Result<std::vector<CommonScriptRecord>>> list();
    /// Errors: not_found.
    Task<Result<CommonScriptRecord>> get(std::string place, std::string name);
    /// One of the same place and name is replaced.
    Task<Result<>> put(CommonScriptRecord record);
    /// One that is not there counts as removed.
    Task<Result<>> remove(std::string place, std::string name);

private:
    engine::Engine& engine_;
};

}  // namespace poplar::directory
