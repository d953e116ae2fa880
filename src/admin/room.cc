#include "admin/room.h"

namespace poplar::admin {

Task<Result<quota::Reservation>> room_in(Context& context, directory::AccountId account, quota::Need need,
                                         quota::Binding binding) {
    auto owner = co_await context.directory.account(account);
    if (!owner && owner.error().code() == Errc::not_found) co_return quota::Reservation();
    if (!owner) co_return pass_on(owner);
    auto bounds = co_await context.directory.bounds_of(std::move(*owner));
    if (!bounds) co_return pass_on(bounds);
    if (!*bounds) co_return quota::Reservation();
    auto outcome = co_await context.quotas.reserve(account, std::move(*bounds), need, binding);
    if (!outcome) co_return pass_on(outcome);
    if (!*outcome) co_return fail(Errc::no_space, outcome->error().text);
    (*outcome)->begin();
    co_return std::move(**outcome);
}

}  // namespace poplar::admin
