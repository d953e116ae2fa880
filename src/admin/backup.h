#pragma once
#include "admin/api.h"
#include "admin/caller.h"
#include "api/backup.h"

namespace poplar::admin {

Task<Result<>> back_up(Context& context, Caller caller, api::BackUp wanted, http::Stream& stream);

}  // namespace poplar::admin
