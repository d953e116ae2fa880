#include "delivery/sender_rights.h"

#include <algorithm>

#include "base/ascii.h"

namespace poplar::delivery {

bool names_include(const std::vector<std::string>& names, const mail::Address& address) {
    const auto domain = mail::canonical_domain(address.domain).value_or(address.domain);
    auto whole = mail::canonical(address);
    const auto text = whole ? mail::to_string(*whole) : mail::to_string(address);
    return std::ranges::any_of(
        names, [&](const auto& name) { return name == "*" || name == "@" + domain || ascii::same(name, text); });
}

Task<Result<bool>> may_send_as(directory::Directory& directory, const Submitter& submitter, mail::Address address) {
    if (names_include(submitter.may_send_as, address)) co_return true;
    auto resolution = co_await directory.resolve(std::move(address));
    if (!resolution && resolution.error().code() == Errc::invalid) co_return false;
    if (!resolution) co_return pass_on(resolution);
    const auto& accounts = resolution->accounts;
    co_return std::ranges::find(accounts, submitter.account) != accounts.end();
}

}  // namespace poplar::delivery
