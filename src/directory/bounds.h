#pragma once
// The limits that hold for an account, of all that somebody has set.
#include <memory>

#include "directory/directory.h"

namespace poplar::directory {

/// Of an account that has no limits of its own, and of the domain as a whole; null: nothing.
std::shared_ptr<const Bounds> bounds_of(const Domain& domain);
/// `of_domain`: those of the account's domain.
std::shared_ptr<const Bounds> bounds_of(const Account& account, std::shared_ptr<const Bounds> of_domain);

}  // namespace poplar::directory
