#include "upkeep/archive.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "mailstore/mailbox_name.h"

namespace poplar::upkeep {

namespace {

constexpr std::size_t kAtOnce = 500;  // messages whose entries are read together

Task<Result<mailstore::MailboxId>> find_or_make(mailstore::MailStore& store, mailstore::AccountId account,
                                                std::string name) {
    auto there = co_await store.mailbox(account, name);
    if (there) co_return there->id;
    if (there.error().code() != Errc::not_found) co_return pass_on(there);
    // One of the default mailboxes gets its special use so, when it is made.
    static_cast<void>(co_await store.find_mailbox(account, name.substr(0, name.find('/'))));
    auto made = co_await store.add_mailbox(account, name);
    if (!made && made.error().code() == Errc::exists) made = co_await store.mailbox(account, name);
    if (!made) co_return pass_on(made);
    co_return made->id;
}

}  // namespace

Result<std::string> archive_name(std::string_view to, Timestamp received) {
    const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(received));
    std::string name;
    for (auto left = to; !left.empty();) {
        const auto begin = left.find('{');
        name += left.substr(0, begin);
        if (begin == left.npos) break;
        left.remove_prefix(begin + 1);
        const auto end = left.find('}');
        const auto word = end == left.npos ? std::string_view() : left.substr(0, end);
        if (word == "year")
            name += fmt::format("{:04}", static_cast<int>(day.year()));
        else if (word == "month")
            name += fmt::format("{:02}", static_cast<unsigned>(day.month()));
        else if (word == "day")
            name += fmt::format("{:02}", static_cast<unsigned>(day.day()));
        else
            return fail(Errc::invalid, fmt::format("\"{}\": in braces there is year, month or day", to));
        left.remove_prefix(end + 1);
    }
    const auto canonical = mailstore::canonical_name(name);
    if (!canonical) return fail(Errc::invalid, fmt::format("no mailbox can be called \"{}\"", name));
    return *canonical;
}

Task<Result<ArchiveTotals>> archive_mail(mailstore::MailStore& store, mailstore::AccountId account, ArchiveRule rule,
                                         Timestamp now, ArchiveWatcher& watcher) {
    if (auto name = archive_name(rule.to, now); !name) co_return pass_on(name);
    auto from = co_await store.mailbox(account, rule.mailbox);
    if (!from) co_return pass_on(from);
    ArchiveTotals totals;
    std::set<mailstore::MailboxId> targets;
    const auto last = now - rule.older;
    mailstore::OrderKey after{0};
    for (bool more = true; more;) {
        auto page = co_await store.list(account, from->id, after, kAtOnce);
        if (!page) co_return pass_on(page);
        more = page->size() == kAtOnce;
        std::map<std::string, std::vector<mailstore::Uid>> wanted;
        for (const auto& message : *page) {
            after = message.order;
            // Not the first younger one ends it: mail that was imported, or came by a wrong clock, has no order.
            if (message.received > last) continue;
            auto name = archive_name(rule.to, message.received);
            if (!name) co_return pass_on(name);
            wanted[*name].push_back(message.uid());
        }
        for (auto& [name, uids] : wanted) {
            auto to = co_await find_or_make(store, account, name);
            if (!to) co_return pass_on(to);
            if (*to == from->id) continue;
            auto moved = co_await store.move(account, from->id, std::move(uids), *to);
            if (!moved) co_return pass_on(moved);
            targets.insert(*to);
            totals.moved += moved->size();
            totals.mailboxes = targets.size();
            if (auto told = co_await watcher.on_moved(totals); !told) co_return pass_on(told);
        }
    }
    co_return totals;
}

}  // namespace poplar::upkeep
