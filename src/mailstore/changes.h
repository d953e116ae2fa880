#pragma once
// Every change to an account's mail: each reads what it needs, builds one batch and commits it, expecting that nobody
// else came between; if somebody did, it begins again. Only the account's leader runs them (account_queues.h).
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "mailstore/account_queues.h"

namespace poplar::mailstore {

/// A message to remove, if it is still there: the body tells it from a later one at the same place (after a purge).
struct Victim {
    OrderKey order;
    engine::BodyId body;
};

/// Times further ahead than this are of a wrong clock.
inline constexpr auto kFuture = std::chrono::hours(24);

class Changes {
public:
    Changes(engine::Engine& engine, const Clock& clock, const Options& options);

    Task<> append_all(AccountId account, Hot& hot, std::vector<Append> appends);
    /// `victims` in ascending order of their keys, each once.
    Task<Result<>> remove(AccountId account, Hot& hot, std::vector<Victim> victims, std::string reason,
                          std::optional<engine::Batch::Fence> fence);
    Task<Result<>> remove_by_id(AccountId account, Hot& hot, std::vector<std::string> unique_ids, std::string reason);
    Task<Result<Message>> restore(AccountId account, Hot& hot, std::string unique_id);

    struct Expired {
        std::uint64_t messages = 0;
        std::string next;  ///< the key to go on from; "" if that was all
    };
    /// One commit's worth of what has expired, from the key `from` on ("" to start).
    Task<Result<Expired>> expire(AccountId account, Hot& hot, Timestamp now, std::string from);
    /// As much of the retained messages that were deleted in the future.
    Task<Result<Expired>> mend_times(AccountId account, Hot& hot, Timestamp now, std::string from);
    Task<Result<>> purge(AccountId account, Hot& hot, Afterwards afterwards);
    Task<Result<>> close(AccountId account, Hot& hot);

private:
    Task<Result<MailboxState>> load(AccountId account, Hot& hot);
    Task<Result<>> commit(AccountId account, Hot& hot, MailboxState state, engine::Batch batch);
    /// Runs `attempt` until its outcome is known, or it lost to others too often.
    template <class Attempt>
    auto repeated(Attempt attempt) -> decltype(attempt());

    Task<Result<>> try_append(AccountId account, Hot& hot, const std::vector<Append>& appends,
                              std::vector<Result<Message>>& results);
    Task<Result<>> admit(AccountId account, std::string_view generation, const std::string& unique_id);
    Task<Result<bool>> is_stored(AccountId account, Message message);
    Task<Result<>> try_remove(AccountId account, Hot& hot, const std::vector<Victim>& victims, std::string_view reason,
                              const std::optional<engine::Batch::Fence>& fence);
    Task<Result<std::vector<Message>>> still_there(AccountId account, const std::vector<Victim>& victims);
    Task<Result<>> try_remove_by_id(AccountId account, Hot& hot, const std::vector<std::string>& unique_ids,
                                    std::string_view reason);
    Task<Result<Message>> try_restore(AccountId account, Hot& hot, const std::string& unique_id);
    Task<Result<Expired>> try_expire(AccountId account, Hot& hot, Timestamp now, const std::string& from);
    Task<Result<Expired>> try_mend_times(AccountId account, Hot& hot, Timestamp now, const std::string& from);
    Task<Result<>> try_purge(AccountId account, Hot& hot, Afterwards afterwards);
    Task<Result<>> try_close(AccountId account, Hot& hot);
    Task<Result<>> purge_area(AccountId account, Hot& hot, Place::Area area);
    Task<Result<>> purge_index(AccountId account, Hot& hot, MailboxRecord last);

    engine::Engine& engine_;
    const Clock& clock_;
    const Options& options_;
    /// Of this start of the server. 60 random bits, drawn anew each time: nothing of it need be stored, so nothing that
    /// is put back from a copy can bring an old one back.
    const std::string generation_;
};

}  // namespace poplar::mailstore
