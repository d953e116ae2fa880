#pragma once
// Accounts whose address is gone while their mail is still kept: an operator's slip must not cost anybody's mail.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "directory/directory.h"
#include "engine/engine.h"

namespace poplar::directory {

/// The server's own partition. Keys: "removed/" and the account's id (8 octets, big-endian); value: version, address,
/// removed and expires (milliseconds since 1970).
inline constexpr engine::PartitionId kServerPartition{2};

struct RemovedAccount {
    AccountId id;
    std::string address;  ///< that it had
    Timestamp removed{};
    Timestamp expires{};  ///< when its mail may be purged
};

/// May be used from any thread. Errors of all calls: io, no_space, corrupt, cancelled.
class RemovedAccounts {
public:
    RemovedAccounts(engine::Engine& engine, const Clock& clock, std::chrono::seconds retention)
        : engine_(engine), clock_(clock), retention_(retention) {}

    /// To be called before the account is removed, so that a crash in between can't lose track of the mail. A purge
    /// must therefore ask the directory first whether the account is still there.
    /// `keep`: how long the mail is kept; nothing: as long as any other.
    Task<Result<RemovedAccount>> add(AccountId id, std::string address,
                                     std::optional<std::chrono::seconds> keep = std::nullopt);
    /// Forgets this record, unless another took its place: a removal that is tried again writes a new one.
    Task<Result<>> forget(RemovedAccount seen);
    /// In order of id, after `after`, at most `limit`.
    Task<Result<std::vector<RemovedAccount>>> list(AccountId after, std::size_t limit);

private:
    engine::Engine& engine_;
    const Clock& clock_;
    std::chrono::seconds retention_;
};

}  // namespace poplar::directory
