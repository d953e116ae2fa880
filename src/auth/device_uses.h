#pragma once
// The uses of devices. Sessions note them in memory, and they are written now and then in the background, so that a
// login or a poll never waits for that. A crash loses the notes of the last minute; they are no mail.
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/asio.h"
#include "base/async_mutex.h"
#include "base/clock.h"
#include "directory/directory.h"

namespace poplar::auth {

std::string_view to_string(directory::Service service);
std::optional<directory::Service> service_of(std::string_view word);

/// Functions may be called from any thread; must outlive its sessions.
class DeviceUses {
public:
    DeviceUses(directory::Directory& directory, const Clock& clock) : directory_(directory), clock_(clock) {}

    /// One session of a device. Its numbers of fetched and deleted messages are noted when it ends.
    class Session {
    public:
        Session(Session&& other) noexcept { swap(other); }
        Session& operator=(Session&& other) noexcept {
            swap(other);
            return *this;
        }
        ~Session();
        void add(std::uint64_t fetched, std::uint64_t deleted) {
            fetched_ += fetched;
            deleted_ += deleted;
        }

    private:
        friend class DeviceUses;
        Session(DeviceUses& uses, directory::AccountId account, std::uint32_t device)
            : uses_(&uses), account_(account), device_(device) {}
        void swap(Session& other) noexcept;
        DeviceUses* uses_ = nullptr;
        directory::AccountId account_;
        std::uint32_t device_ = 0;
        std::uint64_t fetched_ = 0, deleted_ = 0;
    };
    Session begin(directory::AccountId account, std::uint32_t device, std::string_view peer,
                  directory::Service service);

    /// Writes what was noted. One call at a time works, others wait for it. To be called every minute or so, before a
    /// list of uses is shown, and at the end.
    Task<> flush();

private:
    static constexpr std::size_t kPending = 10'000;  ///< devices between two writes; what is beyond is not counted
    static constexpr std::size_t kAtOnce = 500;      ///< devices a commit
    using Key = std::pair<directory::AccountId, std::uint32_t>;

    void add(const Key& key, directory::DeviceUse use);
    std::vector<directory::Directory::UsedDevice> take_some();

    directory::Directory& directory_;
    const Clock& clock_;
    AsyncMutex flushing_;
    std::mutex mutex_;
    std::map<Key, directory::DeviceUse> pending_;  // under mutex_
};

}  // namespace poplar::auth
