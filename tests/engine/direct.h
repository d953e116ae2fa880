#pragma once
// An engine in tests, without its coroutines: octets in and out, failures as codes.
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/support/run.h"

namespace poplar::test {

using namespace engine;

/// Bytes that differ from place to place, so that a chunk out of order shows.
inline std::string pattern(std::uint64_t size, std::uint64_t seed) {
    std::string text(size, '\0');
    std::uint64_t x = seed * 2654435761u + 88172645463325252u;
    for (char& c : text) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        c = static_cast<char>(x >> 56);
    }
    return text;
}

/// An engine's functions without the waiting: each runs to its end on a context of its own.
class Direct {
public:
    explicit Direct(Engine& engine) : engine_(engine) {}

    Result<std::string> get(PartitionId p, std::string key, std::shared_ptr<const Snapshot> s = nullptr) {
        return run(engine_.get(p, std::move(key), std::move(s)));
    }
    /// The keys found, joined by spaces; "!" and the code on failure.
    std::string keys(PartitionId p, KeyRange range, std::size_t limit = 1000,
                     std::shared_ptr<const Snapshot> s = nullptr) {
        auto found = run(engine_.scan(p, std::move(range), limit, std::move(s)));
        if (!found) return "!" + std::string(to_string(found.error().code()));
        std::string text;
        for (const auto entry : *found) text.append(text.empty() ? "" : " ").append(entry.key);
        return text;
    }
    Result<ChangeNumber> commit(PartitionId p, Batch batch, std::optional<ChangeNumber> expected = std::nullopt) {
        return run(engine_.commit(p, std::move(batch), expected));
    }
    Result<ChangeNumber> put(PartitionId p, std::string key, std::string value) {
        Batch batch;
        batch.put(std::move(key), std::move(value));
        return commit(p, std::move(batch));
    }
    Result<ChangeNumber> number(PartitionId p, std::shared_ptr<const Snapshot> s = nullptr) {
        return run(engine_.change_number(p, std::move(s)));
    }
    Result<std::unique_ptr<Lease>> lease(PartitionId p, std::string name) {
        return run(engine_.lease(p, std::move(name)));
    }

    /// Writes in pieces of 10,000 octets, as a session would.
    std::shared_ptr<const StagedBody> stage(std::string text, std::uint64_t hint = 0, std::size_t bodies = 1) {
        auto staged = run(write_all(engine_.write_body(hint), std::move(text), bodies));
        EXPECT_TRUE(staged.has_value());
        return staged ? *staged : nullptr;
    }
    Result<std::string> body(PartitionId p, BodyId id) {
        auto reader = run(engine_.read_bodies(p)->open(id));
        if (!reader) return pass_on(reader);
        return run(read_all(std::move(*reader), Verify::no));
    }
    Result<std::string> verified_body(PartitionId p, BodyId id) {
        auto reader = run(engine_.read_bodies(p)->open(id));
        if (!reader) return pass_on(reader);
        auto text = run(read_all(std::move(*reader), Verify::yes));
        auto whole = whole_body(p, id);
        EXPECT_TRUE(!whole || (text && *text == *whole)) << "what is read without waiting is not what is read else";
        return text;
    }
    /// The body, if it can be had without waiting for anything.
    std::optional<std::string> whole_body(PartitionId p, BodyId id) {
        auto reader = engine_.read_bodies(p)->try_open_whole(id);
        if (!reader) return std::nullopt;
        std::string text;
        for (auto piece : reader->whole()) text += piece;
        EXPECT_EQ(text.size(), reader->size());
        return text;
    }
    Result<BodyId> add_body(PartitionId p, std::string head, std::shared_ptr<const StagedBody> rest) {
        Batch batch;
        BodyId id = engine_.next_body_id(p);
        batch.add_body(id, std::move(head), std::move(rest));
        if (auto done = commit(p, std::move(batch)); !done) return pass_on(done);
        return id;
    }

private:
    enum class Verify { no, yes };
    static Task<Result<std::shared_ptr<const StagedBody>>> write_all(std::unique_ptr<BodyWriter> writer,
                                                                     std::string text, std::size_t bodies) {
        for (std::size_t at = 0; at < text.size(); at += 10'000) {
            auto written = co_await writer->write(std::string_view(text).substr(at, 10'000));
            if (!written) co_return pass_on(written);
        }
        co_return co_await writer->finish(bodies);
    }
    static Task<Result<std::string>> read_all(std::unique_ptr<BodyReader> reader, Verify verify) {
        if (verify == Verify::yes) {
            auto sound = co_await reader->verify();
            if (!sound) co_return pass_on(sound);
        }
        std::string text;
        for (;;) {
            auto chunk = co_await reader->next();
            if (!chunk) co_return pass_on(chunk);
            if (chunk->empty()) break;
            EXPECT_LE(chunk->size(), 64u * 1024);
            text += *chunk;
        }
        EXPECT_EQ(text.size(), reader->size());
        co_return text;
    }
    Engine& engine_;
};

template <class T>
Errc code_of(const Result<T>& result) {
    EXPECT_FALSE(result.has_value()) << "it should have failed";
    return result ? Errc::outcome_unknown : result.error().code();
}

}  // namespace poplar::test
