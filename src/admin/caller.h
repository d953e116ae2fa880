#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "api/operation.h"

namespace poplar::admin {

/// The one who asks, and so what they may ask for.
struct Caller {
    bool administrator = false;
    std::optional<std::uint64_t> account;  ///< the id of the account that asks for itself
};

/// The caller at the admin socket. Root and the server's own user may do everything, because they could read the data
/// directory anyway; anybody else may do nothing.
Caller local_caller(std::optional<uid_t> user);

bool may(const Caller& caller, api::Scope scope);

}  // namespace poplar::admin
