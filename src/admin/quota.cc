// Quotas: shown, set, counted anew.
#include "api/quota.h"

#include <fmt/format.h>

#include <algorithm>

#include "admin/names.h"
#include "admin/row.h"
#include "base/log.h"
#include "directory/bounds.h"
#include "mailstore/mail_store.h"
#include "quota/quotas.h"

namespace poplar::admin {

namespace {

bool is_account(std::string_view name) { return name.contains('@'); }

template <class Limit>
api::Nullable<Limit> shown(const std::optional<std::uint64_t>& limit) {
    api::Nullable<Limit> out;
    if (limit) out = Limit{*limit};
    return out;
}

/// A limit that is not named stays.
template <class Limit>
void set(std::optional<std::uint64_t>& limit, const std::optional<api::Nullable<Limit>>& wanted) {
    if (!wanted) return;
    limit.reset();
    if (*wanted) limit = (*wanted)->count;
}

/// One that is told in the log: what "none" and "default" are on the command line.
std::string text_of(const std::optional<std::uint64_t>& limit) {
    return !limit ? "default" : *limit == 0 ? "none" : std::to_string(*limit);
}

Task<Result<quota::Amount>> held_by(Context& context, directory::AccountId account) {
    auto totals = co_await context.mail.totals(account);
    if (!totals) co_return pass_on(totals);
    co_return quota::Amount{totals->messages, totals->octets};
}

Task<Result<directory::Domain>> find_domain(Context& context, std::string name) {
    auto domain = co_await context.directory.domain(name);
    if (!domain) co_return explain(domain.error(), Errc::not_found, fmt::format("no domain {}", name));
    co_return domain;
}

Task<Result<api::Quota>> quota_of(Context& context, directory::Account account) {
    auto used = co_await held_by(context, account.id);
    if (!used) co_return pass_on(used);
    auto bounds = co_await context.directory.bounds_of(account);
    if (!bounds) co_return pass_on(bounds);
    api::Quota out;
    out.name = account.address;
    out.bytes = shown<api::Octets>(account.settings.quota.octets);
    out.messages = shown<api::MessageCount>(account.settings.quota.messages);
    out.most_bytes = *bounds ? (*bounds)->octets : 0;
    out.most_messages = *bounds ? (*bounds)->messages : 0;
    out.used_bytes = used->octets;
    out.used_messages = used->messages;
    co_return out;
}

/// The accounts of a domain, page by page, each given to `step`: a Task of Result<>.
template <class Step>
Task<Result<>> each_account(Context& context, std::string domain, Step& step) {
    constexpr std::size_t kPage = 1000;
    std::string after;
    for (;;) {
        auto page = co_await context.directory.accounts(domain, after, kPage);
        if (!page) co_return pass_on(page);
        for (const auto& account : *page)
            if (auto done = co_await step(account); !done) co_return done;
        if (page->size() < kPage) co_return Result<>();
        after = page->back().address;
    }
}

bool has_total(const directory::Domain& domain) {
    return domain.total.octets.value_or(0) != 0 || domain.total.messages.value_or(0) != 0;
}

/// In O(1) if the domain has a total, and then the sum that its mail is held to.
Task<Result<quota::Amount>> held_by(Context& context, directory::Domain domain) {
    if (has_total(domain)) co_return co_await context.quotas.used_by_domain(domain.name);
    quota::Amount sum;
    auto add = [&](directory::Account account) -> Task<Result<>> {
        auto held = co_await held_by(context, account.id);
        if (!held) co_return pass_on(held);
        sum.messages += held->messages;
        sum.octets += held->octets;
        co_return Result<>();
    };
    if (auto done = co_await each_account(context, domain.name, add); !done) co_return pass_on(done);
    co_return sum;
}

Task<Result<api::Quota>> quota_of(Context& context, directory::Domain domain) {
    auto used = co_await held_by(context, domain);
    if (!used) co_return pass_on(used);
    api::Quota out;
    out.name = domain.name;
    out.bytes = shown<api::Octets>(domain.quota.octets);
    out.messages = shown<api::MessageCount>(domain.quota.messages);
    out.total_bytes.emplace(shown<api::Octets>(domain.total.octets));
    out.total_messages.emplace(shown<api::MessageCount>(domain.total.messages));
    out.used_bytes = used->octets;
    out.used_messages = used->messages;
    co_return out;
}

Task<Result<api::Quota>> show_quota(Context& context, Caller, api::ShowQuota wanted) {
    if (!is_account(wanted.name)) {
        auto domain = co_await find_domain(context, wanted.name);
        if (!domain) co_return pass_on(domain);
        co_return co_await quota_of(context, std::move(*domain));
    }
    auto account = co_await find_account(context, wanted.name);
    if (!account) co_return pass_on(account);
    co_return co_await quota_of(context, std::move(*account));
}

Task<Result<api::Quota>> set_of_account(Context& context, api::SetQuota wanted) {
    if (wanted.total_bytes || wanted.total_messages)
        co_return fail(Errc::invalid, "a total is for a domain; an account has --bytes and --messages");
    auto account = co_await find_account(context, wanted.name);
    if (!account) co_return pass_on(account);
    auto before = co_await context.directory.bounds_of(*account);
    if (!before) co_return pass_on(before);
    auto change = [&wanted](directory::AccountSettings& settings, const auto&) -> Result<> {
        set(settings.quota.octets, wanted.bytes);
        set(settings.quota.messages, wanted.messages);
        return {};
    };
    account = co_await context.directory.change_settings(account->address, change);
    if (!account) co_return explain(account.error(), Errc::not_found, fmt::format("no account {}", wanted.name));
    const auto limits = account->settings.quota;
    log::info("admin.quota_set", {{"name", account->address},
                                  {"octets", text_of(limits.octets)},
                                  {"messages", text_of(limits.messages)},
                                  {"total_octets", "-"},
                                  {"total_messages", "-"}});
    auto after = co_await context.directory.bounds_of(*account);
    if (!after) co_return pass_on(after);
    auto used = co_await held_by(context, account->id);
    if (!used) co_return pass_on(used);
    context.quotas.limits_changed(account->id, *used, before->get(), after->get());
    co_return co_await quota_of(context, std::move(*account));
}

/// Warns those whom the domain's new limits find at a higher percent than the old ones did.
Task<Result<>> tell_of_limits(Context& context, directory::Domain before, directory::Domain after) {
    const auto was = directory::bounds_of(before), is = directory::bounds_of(after);
    if (!is) co_return Result<>();
    if (is->of_domain() && after.total != before.total) {
        auto used = co_await context.quotas.used_by_domain(after.name);
        if (!used) co_return pass_on(used);
        context.quotas.total_changed(*used, was.get(), is.get());
    }
    if (!is->of_account() || after.quota == before.quota) co_return Result<>();
    auto tell = [&](directory::Account account) -> Task<Result<>> {
        auto held = co_await held_by(context, account.id);
        if (!held) co_return Result<>();  // the limit holds for it all the same
        const auto old_bounds = directory::bounds_of(account, was), new_bounds = directory::bounds_of(account, is);
        context.quotas.limits_changed(account.id, *held, old_bounds.get(), new_bounds.get());
        co_return Result<>();
    };
    co_return co_await each_account(context, after.name, tell);
}

Task<Result<api::Quota>> set_of_domain(Context& context, api::SetQuota wanted) {
    auto before = co_await find_domain(context, wanted.name);
    if (!before) co_return pass_on(before);
    auto change = [&wanted, &before](directory::MailLimits& accounts, directory::MailLimits& total) {
        before->quota = accounts;
        before->total = total;
        set(accounts.octets, wanted.bytes);
        set(accounts.messages, wanted.messages);
        set(total.octets, wanted.total_bytes);
        set(total.messages, wanted.total_messages);
    };
    auto stored = co_await context.directory.change_quota(before->name, change);
    if (!stored) co_return explain(stored.error(), Errc::not_found, fmt::format("no domain {}", wanted.name));
    log::info("admin.quota_set", {{"name", stored->name},
                                  {"octets", text_of(stored->quota.octets)},
                                  {"messages", text_of(stored->quota.messages)},
                                  {"total_octets", text_of(stored->total.octets)},
                                  {"total_messages", text_of(stored->total.messages)}});
    // A sum that was kept before knows nothing of accounts that came while the domain had no total.
    if (has_total(*stored) != has_total(*before)) context.quotas.forget_domain(stored->name);
    if (auto told = co_await tell_of_limits(context, *before, *stored); !told) co_return pass_on(told);
    co_return co_await quota_of(context, std::move(*stored));
}

Task<Result<api::Quota>> set_quota(Context& context, Caller, api::SetQuota wanted) {
    if (!wanted.bytes && !wanted.messages && !wanted.total_bytes && !wanted.total_messages)
        co_return fail(Errc::invalid,
                       "say what to set: \"bytes\", \"messages\", \"total_bytes\" or \"total_messages\"");
    if (is_account(wanted.name)) co_return co_await set_of_account(context, std::move(wanted));
    co_return co_await set_of_domain(context, std::move(wanted));
}

/// Holds an account's counters against its messages, and makes them fit.
Task<Result<>> recount(Context& context, directory::Account account, api::Recount& reply) {
    auto fits = co_await context.mail.check(account.id);
    if (!fits && fits.error().code() != Errc::corrupt) co_return fits;
    if (!fits) {
        auto repaired = co_await context.mail.repair(account.id);
        if (!repaired) co_return pass_on(repaired);
        log::warning("admin.recount_corrected", {{"account", account.address}, {"reason", fits.error().detail()}});
        reply.corrected.push_back(account.address);
    }
    auto held = co_await held_by(context, account.id);
    if (!held) co_return pass_on(held);
    ++reply.accounts;
    reply.used_messages += held->messages;
    reply.used_bytes += held->octets;
    co_return Result<>();
}

Task<Result<api::Recount>> recount_quota(Context& context, Caller, api::RecountQuota wanted) {
    api::Recount reply;
    if (is_account(wanted.name)) {
        auto account = co_await find_account(context, wanted.name);
        if (!account) co_return pass_on(account);
        reply.name = account->address;
        if (auto done = co_await recount(context, std::move(*account), reply); !done) co_return pass_on(done);
    } else {
        auto domain = co_await find_domain(context, wanted.name);
        if (!domain) co_return pass_on(domain);
        reply.name = domain->name;
        auto count = [&](directory::Account account) { return recount(context, std::move(account), reply); };
        if (auto done = co_await each_account(context, domain->name, count); !done) co_return pass_on(done);
        if (auto sum = co_await context.quotas.recount(domain->name); !sum) co_return pass_on(sum);
    }
    log::info("admin.recounted",
              {{"name", reply.name}, {"accounts", reply.accounts}, {"corrected", reply.corrected.size()}});
    co_return reply;
}

}  // namespace

const std::vector<Row>& quota_rows() {
    static const std::vector<Row> rows = {
        row<api::ShowQuota, show_quota>(),
        row<api::SetQuota, set_quota>(),
        row<api::RecountQuota, recount_quota>(),
    };
    return rows;
}

}  // namespace poplar::admin
