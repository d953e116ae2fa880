#pragma once
#include <gtest/gtest.h>

#include "mailstore/mail_store.h"
#include "tests/support/flip_codec.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::mailstore {

/// A mail store over an engine in memory, its functions run to their end.
class StoreTest : public testing::Test {
protected:
    static constexpr AccountId kAccount{7};

    Content stage(std::string text, std::uint64_t stuffed = 0) {
        auto writer = store_.stage();
        EXPECT_TRUE(test::run(writer->write(text)));
        auto content = test::run(writer->finish(text.size() - stuffed, 1));
        EXPECT_TRUE(content);
        return *content;
    }
    /// `stuffed` octets of `text` were added by byte-stuffing.
    NewMessage message(std::string text, std::string unique_id = "", std::uint64_t stuffed = 0) {
        return {"Delivered-To: x\r\n", stage(std::move(text), stuffed), std::move(unique_id)};
    }
    Message append(std::string text, std::string unique_id = "", AccountId account = kAccount) {
        auto done = test::run(store_.append(account, message(std::move(text), std::move(unique_id))));
        EXPECT_TRUE(done) << done.error().detail();
        return done ? *done : Message{};
    }
    std::unique_ptr<Maildrop> open_maildrop() {
        auto maildrop = test::run(store_.open_maildrop(kAccount));
        EXPECT_TRUE(maildrop);
        return std::move(*maildrop);
    }
    AccountTotals totals() {
        auto totals = test::run(store_.totals(kAccount));
        EXPECT_TRUE(totals);
        return *totals;
    }
    /// The unique-ids of the live messages in order, joined by spaces.
    std::string live() {
        auto list = test::run(store_.list(kAccount, OrderKey(0), 10'000));
        EXPECT_TRUE(list);
        std::string text;
        for (const auto& m : *list) text += (text.empty() ? "" : " ") + m.unique_id;
        return text;
    }
    std::string retained() {
        auto list = test::run(store_.list_retained(kAccount, 0, 10'000));
        EXPECT_TRUE(list);
        std::string text;
        for (const auto& r : *list) text += (text.empty() ? "" : " ") + r.message.unique_id;
        return text;
    }
    /// The bytes of a message, or "!" and the code of the failure.
    std::string bytes(Message m) { return read(test::run(store_.open(kAccount, std::move(m)))); }
    static std::string read(Result<std::unique_ptr<engine::BodyReader>> reader) {
        if (!reader) return "!" + std::string(to_string(reader.error().code()));
        std::string text;
        for (;;) {
            auto chunk = test::run((*reader)->next());
            if (!chunk) return "!" + std::string(to_string(chunk.error().code()));
            if (chunk->empty()) return text;
            text += *chunk;
        }
    }
    void expect_sound() {
        auto sound = test::run(store_.check(kAccount));
        EXPECT_TRUE(sound) << sound.error().detail();
    }
    void put(std::string key, std::string value) {
        engine::Batch batch;
        batch.put(std::move(key), std::move(value));
        ASSERT_TRUE(test::run(engine_.commit(kAccount, std::move(batch))));
    }

    test::MemoryEngine engine_;
    test::ManualClock clock_;
    Options options_ = [] {
        Options options;
        options.codec = test::codec_of_tests();
        return options;
    }();
    MailStore store_{engine_, clock_, options_};
};

/// Starts all tasks on one context and returns their results in order.
template <class T>
std::vector<T> run_together(std::vector<Task<T>> tasks) {
    asio::io_context context(1);
    std::vector<std::optional<T>> results(tasks.size());
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        auto done = [&results, i](std::exception_ptr failure, T result) {
            if (failure) std::rethrow_exception(failure);
            results[i] = std::move(result);
        };
        asio::co_spawn(context, std::move(tasks[i]), std::move(done));
    }
    context.run();
    std::vector<T> out;
    for (auto& result : results) out.push_back(std::move(*result));
    return out;
}

template <class T>
Errc code_of(const Result<T>& result) {
    EXPECT_FALSE(result.has_value()) << "it should have failed";
    return result ? Errc::timed_out : result.error().code();
}

}  // namespace poplar::mailstore
