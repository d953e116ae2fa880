#include "upkeep/views.h"

#include <fmt/format.h>

#include "base/log.h"

namespace poplar::upkeep {

namespace {
constexpr std::size_t kAccounts = 100;  // then a pause, so that clients are served first
constexpr std::chrono::milliseconds kPause{100};
}  // namespace

Task<Result<>> Views::round(jobs::Control& control) {
    if (!now_()) co_return Result<>();
    std::uint64_t accounts = 0, messages = 0;
    directory::AccountId after{0};
    for (bool more = true; more;) {
        auto page = co_await directory_.accounts_with_devices(after, kAccounts);
        if (!page) co_return pass_on(page);
        for (auto account : *page) {
            after = account;
            ++accounts;
            auto gone = co_await let_go(account);
            if (gone)
                messages += *gone;
            else
                log::warning("views.failed", {{"account", account.value}, {"reason", gone.error().detail()}});
        }
        more = page->size() == kAccounts;
        control.tell(fmt::format("{} accounts", accounts));
        if (more)
            if (auto paused = co_await control.pause(kPause); !paused) co_return paused;
    }
    if (messages != 0) log::info("views.done", {{"accounts", accounts}, {"messages", messages}});
    co_return Result<>();
}

Task<Result<std::uint64_t>> Views::let_go(directory::AccountId account) {
    auto devices = co_await directory_.devices(account);
    if (!devices) co_return pass_on(devices);
    std::vector<mailstore::ViewId> ignored;
    bool own_views = false;
    for (const auto& device : *devices) {
        if (!device.own_view) continue;
        own_views = true;
        if (directory_.has_expired(device)) ignored.push_back(mailstore::view_of_device(device.id));
    }
    if (!own_views) co_return 0;
    co_return co_await store_.let_go(account, std::move(ignored));
}

}  // namespace poplar::upkeep
