#pragma once
// Jobs that write what parts of the server keep in memory.
#include "auth/authenticator.h"
#include "auth/device_uses.h"
#include "base/clock.h"
#include "base/log.h"
#include "directory/outside/outside.h"
#include "directory/server_records.h"
#include "jobs/runner.h"

namespace poplar::server {

/// Writes what devices were used for.
class KeepDeviceUses final : public jobs::Job {
public:
    explicit KeepDeviceUses(auth::DeviceUses& uses) : uses_(uses) {}
    std::string_view name() const override { return "device-uses"; }
    Task<Result<>> round(jobs::Control&) override {
        co_await uses_.flush();
        co_return Result<>();
    }

private:
    auth::DeviceUses& uses_;
};

/// Writes which limits of logins were passed, so that a restart does not forget them.
class KeepLimits final : public jobs::Job {
public:
    KeepLimits(auth::Authenticator& authenticator, directory::ServerRecords& records)
        : authenticator_(authenticator), records_(records) {}
    std::string_view name() const override { return "login-limits"; }
    Task<Result<>> round(jobs::Control&) override {
        auto kept = co_await authenticator_.keep_limits(records_, system_clock());
        if (!kept) log::warning("auth.limits_not_kept", {{"reason", kept.error().detail()}});
        co_return kept;
    }
    Task<> load() {
        auto loaded = co_await authenticator_.load_limits(records_, system_clock());
        if (!loaded) log::error("auth.limits_unreadable", {{"reason", loaded.error().detail()}});
    }

private:
    auth::Authenticator& authenticator_;
    directory::ServerRecords& records_;
};

/// Writes what other directories said, so that a restart while one is silent locks nobody out.
class KeepOutside final : public jobs::Job {
public:
    explicit KeepOutside(directory::outside::Outside* outside) : outside_(outside) {}
    std::string_view name() const override { return "other-directories"; }
    Task<Result<>> round(jobs::Control&) override { co_return co_await flush(); }
    Task<Result<>> flush() {
        if (outside_ == nullptr) co_return Result<>();
        auto kept = co_await outside_->flush();
        if (!kept) log::warning("outside.not_kept", {{"reason", kept.error().detail()}});
        co_return kept;
    }
    Task<> add_domains() {
        if (outside_ == nullptr) co_return;
        auto added = co_await outside_->add_domains();
        if (!added) log::error("outside.domains_not_added", {{"reason", added.error().detail()}});
    }

private:
    directory::outside::Outside* const outside_;
};

}  // namespace poplar::server
