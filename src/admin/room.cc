#include "admin/room.h"

#include "quota/room.h"

namespace poplar::admin {

Task<Result<quota::Reservation>> room_in(Context& context, directory::AccountId account, quota::Need need,
                                         quota::Binding binding) {
    return quota::room_in(context.directory, context.quotas, account, need, binding);
}

}  // namespace poplar::admin
