// Keys that sign mail of our domains.
#include "api/dkim.h"

#include "admin/names.h"
#include "admin/row.h"
#include "base/log.h"
#include "delivery/delivery.h"
#include "delivery/signing.h"

namespace poplar::admin {

namespace {

constexpr std::chrono::seconds kTakeOver = std::chrono::days(1);

Result<delivery::SigningStore*> store_of(Context& context) {
    if (auto* store = context.delivery.signing_keys()) return store;
    return fail(Errc::not_found, "this server signs nothing");
}

api::DkimKeys described(const std::vector<delivery::SigningKeyInfo>& infos) {
    api::DkimKeys out;
    for (const auto& info : infos)
        out.keys.push_back({info.domain, info.selector, info.algorithm, time_text(info.created), time_text(info.from)});
    return out;
}

Task<Result<api::DkimKeys>> add_keys(Context& context, std::string domain, std::optional<std::string> selector,
                                     std::chrono::seconds after) {
    auto store = store_of(context);
    if (!store) co_return pass_on(store);
    auto added = co_await (*store)->add(std::move(domain), std::move(selector), after);
    if (!added) co_return pass_on(added);
    const auto& first = added->front();
    log::info("admin.dkim_added",
              {{"domain", first.domain}, {"selector", first.selector}, {"from", time_text(first.from)}});
    co_return described(*added);
}

Task<Result<api::DkimKeys>> add_dkim(Context& context, Caller, api::AddDkim wanted) {
    co_return co_await add_keys(context, std::move(wanted.domain), std::move(wanted.selector), {});
}

Task<Result<api::DkimKeys>> list_dkim(Context& context, Caller, api::ListDkim wanted) {
    auto store = store_of(context);
    if (!store) co_return pass_on(store);
    auto infos = co_await (*store)->list(wanted.domain.value_or(""));
    if (!infos) co_return pass_on(infos);
    co_return described(*infos);
}

Task<Result<std::vector<delivery::SigningKeyInfo>>> keys_of(Context& context, std::string domain) {
    auto store = store_of(context);
    if (!store) co_return pass_on(store);
    auto infos = co_await (*store)->list(domain);
    if (infos && infos->empty()) co_return fail(Errc::not_found, domain + " has no keys");
    co_return infos;
}

Task<Result<api::DnsRecords>> show_dkim_records(Context& context, Caller, api::ShowDkimRecords wanted) {
    auto infos = co_await keys_of(context, std::move(wanted.domain));
    if (!infos) co_return pass_on(infos);
    api::DnsRecords out;
    for (const auto& info : *infos) out.records.push_back({info.selector + "._domainkey." + info.domain, info.record});
    co_return out;
}

Task<Result<api::DkimKeys>> rotate_dkim(Context& context, Caller, api::RotateDkim wanted) {
    auto present = co_await keys_of(context, wanted.domain);
    if (!present) co_return pass_on(present);
    constexpr std::uint64_t kLongest = 365 * 86'400;
    auto after = kTakeOver;
    if (wanted.after && wanted.after->count > kLongest) co_return fail(Errc::invalid, "after: at most a year");
    if (wanted.after) after = std::chrono::seconds(wanted.after->count);
    co_return co_await add_keys(context, std::move(wanted.domain), std::move(wanted.selector), after);
}

Task<Result<api::DkimRemoval>> remove_dkim(Context& context, Caller, api::RemoveDkim wanted) {
    auto store = store_of(context);
    if (!store) co_return pass_on(store);
    auto removed = co_await (*store)->remove(wanted.domain, wanted.selector);
    if (!removed) co_return pass_on(removed);
    log::info("admin.dkim_removed",
              {{"domain", wanted.domain}, {"selector", wanted.selector.value_or("*")}, {"keys", *removed}});
    co_return api::DkimRemoval{std::move(wanted.domain), *removed};
}

}  // namespace

const std::vector<Row>& dkim_rows() {
    static const std::vector<Row> rows = {
        row<api::AddDkim, add_dkim>(),       row<api::ListDkim, list_dkim>(),
        row<api::RotateDkim, rotate_dkim>(), row<api::ShowDkimRecords, show_dkim_records>(),
        row<api::RemoveDkim, remove_dkim>(),
    };
    return rows;
}

}  // namespace poplar::admin
