#include "upkeep/views.h"

#include <algorithm>

namespace poplar::upkeep {

namespace {
constexpr auto kBeingAdded = std::chrono::hours(24) + mailstore::kUsedWithin;  // a view is made before its device
}  // namespace

Task<Result<std::uint64_t>> tend_views(directory::Directory& directory, mailstore::MailStore& store,
                                       directory::AccountId account, Timestamp now) {
    auto views = co_await store.views(account);
    if (!views) co_return pass_on(views);
    if (views->empty()) co_return 0;
    auto devices = co_await directory.devices(account);
    if (!devices) co_return pass_on(devices);
    std::vector<mailstore::ViewId> ignored;
    for (const auto& device : *devices) {
        if (!device.own_view) continue;
        const auto view = mailstore::view_of_device(device.id);
        if (std::ranges::find(*views, view, &mailstore::UsedView::id) == views->end())
            if (auto made = co_await store.make_view(account, view, mailstore::kFromTheFirst); !made)
                co_return pass_on(made);
        if (directory.has_expired(device) || device.read_only || !device.serves(directory::Service::pop3))
            ignored.push_back(view);
    }
    bool own_views = false;
    for (const auto& view : *views) {
        if (view.id == mailstore::kClassicView) continue;
        auto is_its = [&](const directory::Device& device) {
            return device.own_view && mailstore::view_of_device(device.id) == view.id;
        };
        if (std::ranges::any_of(*devices, is_its) || now - view.used < kBeingAdded) {
            own_views = true;
            continue;
        }
        if (auto dropped = co_await store.drop_view(account, view.id); !dropped) co_return pass_on(dropped);
    }
    if (!own_views)  // a crash came before the last step
        if (auto dropped = co_await store.drop_view(account, mailstore::kClassicView); !dropped)
            co_return pass_on(dropped);
    co_return co_await store.let_go(account, std::move(ignored));
}

}  // namespace poplar::upkeep
