#include "quota/room.h"

namespace poplar::quota {

Task<Result<Reservation>> room_in(directory::Directory& directory, Quotas& quotas, AccountId account, Need need,
                                  Binding binding) {
    auto owner = co_await directory.account(account);
    if (!owner && owner.error().code() == Errc::not_found) co_return Reservation();
    if (!owner) co_return pass_on(owner);
    auto bounds = co_await directory.bounds_of(std::move(*owner));
    if (!bounds) co_return pass_on(bounds);
    if (!*bounds) co_return Reservation();
    auto outcome = co_await quotas.reserve(account, std::move(*bounds), need, binding);
    if (!outcome) co_return pass_on(outcome);
    if (!*outcome) co_return fail(Errc::no_space, outcome->error().text);
    (*outcome)->begin();
    co_return std::move(**outcome);
}

}  // namespace poplar::quota
