#pragma once
// How much each account has sent in this hour and on this day, so that a stolen password can't send much.
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"

namespace poplar::queue {

/// Of an account; 0: any number. Hours and days are those of UTC.
struct SendingQuota {
    std::uint32_t messages_per_hour = 0, messages_per_day = 1000;
    std::uint32_t recipients_per_hour = 0, recipients_per_day = 5000;
    std::uint32_t new_recipients_per_hour = 0, new_recipients_per_day = 200;  ///< that it never wrote to before
};

/// May be used from any thread with an executor.
class SendingLimits {
public:
    using Account = engine::PartitionId;

    SendingLimits(engine::Engine& engine, const Clock& clock, SendingQuota quota)
        : engine_(engine), clock_(clock), quota_(quota) {}

    /// One message under way. What it has taken of the limits is given back unless commit() was called.
    class Sending {
    public:
        Sending(Sending&& other) noexcept;
        Sending& operator=(Sending&& other) noexcept {
            std::swap(limits_, other.limits_);
            std::swap(account_, other.account_);
            std::swap(recipients_, other.recipients_);
            std::swap(new_, other.new_);
            return *this;
        }
        ~Sending();

        enum class Where { here, elsewhere };
        /// One more recipient, by its canonical address; those here are never new ones. False: over a limit. Errors:
        /// those of the engine.
        Task<Result<bool>> add(std::string address, Where where);
        /// The entries that the queue is to write with the message.
        std::vector<engine::Entry> entries() const;
        /// The message is on its way: what it took stays taken.
        void commit() { limits_ = nullptr; }

    private:
        friend class SendingLimits;
        Sending(SendingLimits& limits, Account account) : limits_(&limits), account_(account) {}
        SendingLimits* limits_;
        Account account_;
        std::uint32_t recipients_ = 0;
        std::vector<std::string> new_;  ///< keys of addresses
    };

    /// Begins a message. Nothing: over a limit. Errors: those of the engine.
    Task<Result<std::optional<Sending>>> begin(Account account);

private:
    struct Usage {
        std::int64_t hour = 0, day = 0;                                     ///< since 1970
        std::uint32_t messages[2] = {}, recipients[2] = {}, fresh[2] = {};  ///< in the hour, on the day
    };
    static std::string encode(const Usage& usage);
    static std::optional<Usage> decode(std::string_view value);
    Usage& current(Account account);  ///< with mutex_ held; what is over is forgotten
    bool take(Account account, std::uint32_t messages, std::uint32_t recipients, std::uint32_t fresh);
    void give_back(Account account, std::uint32_t messages, std::uint32_t recipients, std::uint32_t fresh);

    engine::Engine& engine_;
    const Clock& clock_;
    const SendingQuota quota_;
    std::mutex mutex_;
    std::map<Account, Usage> usage_;
};

}  // namespace poplar::queue
