#pragma once
// Directories whose libraries block: asked on threads of their own, by connections that are kept.
#include <functional>
#include <mutex>

#include "base/fair_pool.h"
#include "directory/outside/source.h"

namespace poplar::directory::outside {

class Pooled final : public Source {
public:
    using Connect = std::function<std::unique_ptr<Connection>()>;  ///< may be called on any thread; must not block

    /// `connections`: threads, and questions at a time; `waiting`: further questions that may wait for one.
    Pooled(Connect connect, std::size_t connections, std::size_t waiting);

    /// Answers by the question's deadline, even if the library does not come back.
    Task<Result<Answer>> ask(Question question) override;

private:
    Result<Answer> ask_now(const Question& question);

    const Connect connect_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Connection>> idle_;
    FairPool pool_;  // last: its threads end before what they use
};

}  // namespace poplar::directory::outside
