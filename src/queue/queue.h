#pragma once
// Mail that waits to leave, in a partition of its own: each body once, a record for each message and destination, and
// an order by due time. It knows neither SMTP nor DNS: outbound/ takes out what is due and says what became of it.
#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/async_mutex.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"
#include "queue/record.h"

namespace poplar::queue {

struct Options {
    /// How long a message that is done with stays visible, without its body.
    std::chrono::seconds keep_finished = std::chrono::days(4);
};

struct NewMessage {
    /// `id` of kIdLength characters, and what the record wants; `body`, `parts` and `arrived` are filled in.
    Message message;
    std::string head;                                   ///< trace fields, and those that were missing
    std::shared_ptr<const engine::StagedBody> content;  ///< wire form, behind `head`
    std::vector<Recipient> recipients;                  ///< at least one, all waiting
    Timestamp due{};                                    ///< not before; in the past: at once
    std::vector<engine::Entry> beside;                  ///< written in the same commit (SendingLimits)
};

/// Names a part of a message.
using PartId = std::pair<std::string, std::uint32_t>;

/// A part whose time has come, or comes.
struct Due {
    PartId part;
    Timestamp time;
};

/// The only right to change a part, for as long as it lives. Movable, not copyable.
class Claim {
public:
    Claim() = default;
    Claim(Claim&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)), part_(std::move(other.part_)) {}
    Claim& operator=(Claim&& other) noexcept {
        std::swap(queue_, other.queue_);
        std::swap(part_, other.part_);
        return *this;
    }
    ~Claim();
    const PartId& part() const { return part_; }

private:
    friend class Queue;
    Claim(class Queue* queue, PartId part) : queue_(queue), part_(std::move(part)) {}
    class Queue* queue_ = nullptr;
    PartId part_;
};

/// A message with its parts, in the order of their numbers.
struct Item {
    Message message;
    std::vector<Part> parts;
};

/// May be used from any thread with an executor. Changes are durable when they return. Errors of all calls: io,
/// no_space, corrupt, cancelled.
class Queue {
public:
    Queue(engine::Engine& engine, const Clock& clock, Options options);

    /// Takes a message in: one commit. When it succeeds the message leaves, or its sender is told.
    Task<Result<>> add(NewMessage message);
    /// Called, on any thread, for each part that was added or has another time: the time may be long from now.
    void on_due(std::function<void(Due)> listener);

    /// The first `limit` parts behind `behind` that are due until `until`, in that order. Those that somebody works on
    /// are among them.
    Task<Result<std::vector<Due>>> due(Timestamp until, std::size_t limit, std::optional<Due> behind = std::nullopt);
    /// Nothing: somebody works on it.
    std::optional<Claim> claim(const PartId& part);

    /// Errors: not_found.
    Task<Result<Part>> part(PartId id);
    Task<Result<Message>> message(std::string id);
    Task<Result<Item>> item(std::string id);
    /// In order of id, behind `after`. `finished`: those that are done with, too.
    Task<Result<std::vector<Item>>> list(std::string after, std::size_t limit, bool finished);
    /// Its octets in wire form. Errors: not_found.
    Task<Result<std::unique_ptr<engine::BodyReader>>> open(const Message& message);

    /// Stores parts that the caller has claimed, in one commit. Where nothing of a message is open any more, its body
    /// goes with the same commit.
    Task<Result<>> save(std::vector<Part> parts);

    /// Forgets messages that were done with long enough ago, at most `limit`. Returns how many.
    Task<Result<std::size_t>> forget_finished(std::size_t limit);

    const Clock& clock() const { return clock_; }

private:
    friend class Claim;
    void release(const PartId& part);
    Task<Result<>> write(std::vector<Part> saved, std::vector<Message> perhaps_done);
    Task<Result<>> finish(engine::Batch& batch, const std::vector<Part>& saved, Message& ending);
    Task<Result<std::vector<Part>>> parts(std::string id);
    void tell(const Part& part);

    engine::Engine& engine_;
    const Clock& clock_;
    const Options options_;
    /// Each for some messages, by their ids: held by a commit that may be the last of one of several parts.
    std::array<AsyncMutex, 64> finishing_;
    std::mutex mutex_;  ///< for those that follow
    std::set<PartId> claimed_;
    std::function<void(Due)> listener_;
};

}  // namespace poplar::queue
