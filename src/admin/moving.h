#pragma once
#include "admin/api.h"
#include "admin/caller.h"
#include "api/moving.h"

namespace poplar::admin {

Task<Result<api::ImportedMessage>> import_message(Context& context, Caller caller, api::ImportMessage wanted,
                                                  http::Body& body);
Task<Result<api::ImportedList>> find_imported(Context& context, Caller caller, api::FindImported wanted);

}  // namespace poplar::admin
