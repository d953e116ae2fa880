#include "upkeep/views.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace poplar::upkeep {

namespace {
constexpr auto kBeingAdded = std::chrono::hours(24) + mailstore::kUsedWithin;  // a view is made before its device

/// The views that the device ought to have.
std::vector<mailstore::MailboxView> views_of(const directory::Device& device) {
    std::vector<mailstore::MailboxView> views;
    if (!device.own_view) return views;
    const auto name = mailstore::view_of_device(device.id);
    for (auto id : device.mailboxes) views.emplace_back(name, mailstore::MailboxId(id));
    if (views.empty()) views.emplace_back(name);
    return views;
}

}  // namespace

Task<Result<std::uint64_t>> tend_views(directory::Directory& directory, mailstore::MailStore& store,
                                       directory::Account account, Timestamp now) {
    auto devices = co_await directory.devices(account.id);
    if (!devices) co_return pass_on(devices);
    auto views = co_await store.views(account.id);
    if (!views) co_return pass_on(views);
    std::vector<mailstore::ViewId> ignored;
    for (const auto& device : *devices) {
        for (const auto& view : views_of(device)) {
            if (std::ranges::find(*views, view, &mailstore::UsedView::id) != views->end()) continue;
            auto made = co_await store.make_view(account.id, view, mailstore::kFromTheFirst);
            if (!made && made.error().code() != Errc::not_found) co_return pass_on(made);  // else its mailbox is gone
            if (!made) continue;
            log::warning("mailstore.view_made_anew",
                         {{"account", account.id.value}, {"view", view.view.value}, {"mailbox", view.mailbox.value}});
        }
        if (directory.has_expired(device) || device.read_only || !device.serves(directory::Service::pop3))
            ignored.push_back(mailstore::view_of_device(device.id));
    }
    if (views->empty()) co_return 0;
    const bool keeps = account.settings.keep_deleted;
    const auto when = keeps ? mailstore::WhenAllDeleted::keep : mailstore::WhenAllDeleted::remove;
    std::uint64_t gone = 0;
    std::set<mailstore::MailboxId> with_views, with_own;
    for (const auto& view : *views) {
        with_views.insert(view.id.mailbox);
        if (view.id.view == mailstore::kClassicView) continue;
        auto is_its = [&](const directory::Device& device) {
            const auto its = views_of(device);
            return std::ranges::find(its, view.id) != its.end();
        };
        if (std::ranges::any_of(*devices, is_its) || now - view.used < kBeingAdded) {
            with_own.insert(view.id.mailbox);
            continue;
        }
        auto dropped = co_await store.drop_view(account.id, view.id, when);
        if (!dropped) co_return pass_on(dropped);
        gone += *dropped;
    }
    for (auto mailbox : with_views) {  // a crash came before the last step, or the account kept what was deleted
        if (with_own.contains(mailbox)) continue;
        auto dropped = co_await store.drop_view(account.id, {mailstore::kClassicView, mailbox}, when);
        if (!dropped) co_return pass_on(dropped);
        gone += *dropped;
    }
    if (keeps) co_return gone;
    auto unwanted = co_await store.let_go(account.id, std::move(ignored));
    if (!unwanted) co_return unwanted;
    co_return gone + *unwanted;
}

}  // namespace poplar::upkeep
