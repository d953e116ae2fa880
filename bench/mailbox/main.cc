// poplar-mailbox: what a large mailbox costs those who see more of it than POP does. Fills one in a folder of its own,
// with an engine on the disk, and prints each figure beside the most that it should be. docs/performance.md has them.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "base/log.h"
#include "engine/local/local_engine.h"
#include "mailstore/keys.h"
#include "mailstore/mail_store.h"
#include "tests/support/run.h"

namespace {

using namespace poplar;
using namespace poplar::mailstore;
using test::run;

constexpr AccountId kAccount{7};

template <class T>
T must(Result<T> result) {
    if (!result) {
        fmt::print(stderr, "poplar-mailbox: {}\n", result.error().detail());
        std::exit(1);
    }
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double seconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void print(std::string_view what, double figure, std::string_view unit, double most) {
    fmt::print("{:<58} {:>10.3f} {:<10} {}\n", what, figure, unit,
               most == 0 ? "" : fmt::format("at most {}{}", most, figure > most ? "  MISSED" : ""));
}

/// Microseconds of CPU that `work` takes, by all threads.
template <class Work>
double cpu(Work work) {
    const auto before = seconds(CLOCK_PROCESS_CPUTIME_ID);
    work();
    return (seconds(CLOCK_PROCESS_CPUTIME_ID) - before) * 1e6;
}
template <class Work>
double wall(Work work) {
    const auto before = seconds(CLOCK_MONOTONIC);
    work();
    return (seconds(CLOCK_MONOTONIC) - before) * 1e6;
}

std::string letter(std::uint64_t n) {
    return fmt::format(
        "From: Some Body <some.body@example.org>\r\nTo: user@example.test\r\nSubject: message {}\r\n"
        "Date: Tue, 1 Dec 2026 00:00:00 +0000\r\nMessage-ID: <{}@example.org>\r\nReferences: <{}@example.org>\r\n\r\n"
        "A short text.\r\n",
        n / 4, n, n - n % 4);
}

/// Groups of messages that share a commit.
void fill(MailStore& store, std::uint64_t messages) {
    constexpr std::uint64_t kTogether = 400;
    for (std::uint64_t n = 0; n < messages;) {
        asio::io_context context(1);
        for (std::uint64_t i = 0; i < kTogether && n < messages; ++i, ++n) {
            auto append = [](MailStore& s, std::string text) -> Task<> {
                auto writer = s.stage(text.size());
                must(co_await writer->write(text));
                auto content = must(co_await writer->finish(text.size(), 1));
                NewMessage message;
                message.content = std::move(content);
                must(co_await s.append(kAccount, std::move(message)));
            };
            asio::co_spawn(context, append(store, letter(n)), asio::detached);
        }
        context.run();
    }
}

std::vector<Uid> uids(std::uint64_t first, std::uint64_t count, std::uint64_t step = 1) {
    std::vector<Uid> all;
    for (std::uint64_t n = 0; n < count; ++n) all.emplace_back(first + n * step);
    return all;
}

void flag(MailStore& store, std::vector<Uid> which, FlagChange::How how) {
    must(run(store.change_flags(kAccount, kInbox, std::move(which), {how, 1, {}, {}})));
}

/// Microseconds of CPU a row: what the engine alone takes to write the rows of these messages again, as the same number
/// of commits. What a change of flags costs beyond that is the mail store's.
double rows_alone(engine::Engine& engine, std::uint64_t many, std::size_t together) {
    std::vector<engine::Batch> batches;
    for (std::uint64_t n = 0; n < many; ++n) {
        if (n % together == 0) batches.emplace_back();
        auto key = keys::message(kInbox, OrderKey{n + 1});
        auto value = must(run(engine.get(kAccount, key)));
        batches.back().put(std::move(key), std::move(value));
    }
    constexpr AccountId kOther{8};
    const auto write = [&] {
        for (auto& batch : batches) must(run(engine.commit(kOther, std::move(batch))));
    };
    return cpu(write) / static_cast<double>(many);
}

void measure(MailStore& store, engine::Engine& engine, std::uint64_t messages) {
    const auto count = static_cast<double>(messages);
    const auto all = must(run(store.mailbox(kAccount, "INBOX")));
    if (all.totals.messages != messages) std::abort();
    print("counts, UIDNEXT, unseen", wall([&] { must(run(store.mailbox(kAccount, "INBOX"))); }), "us", 200);

    std::shared_ptr<const MessageList> list;
    const auto anew = cpu([&] { list = must(run(store.list_uids(kAccount, kInbox))); });
    print("UIDs and flags listed, read anew", anew / count, "us each", 0);
    print("memory of that list", static_cast<double>(list->messages.capacity() * sizeof(list->messages[0])) / count,
          "octets each", 60);
    const auto again = cpu([&] { must(run(store.list_uids(kAccount, kInbox))); });
    print("UIDs and flags listed, kept", again / count, "us each", 0.15);

    const auto many = messages / 10;
    const auto alone = rows_alone(engine, many, Options().commit_messages);
    const auto flags = cpu([&] { flag(store, uids(1, many), FlagChange::How::add); }) / static_cast<double>(many);
    print("their rows, written by the engine alone", alone, "us each", 0);
    print("flags of a tenth set, beyond that", flags - alone, "us each", 1);
    must(run(store.list_uids(kAccount, kInbox)));
    const auto number = must(run(store.changes_since(kAccount, all.changed, 1))).number;
    auto latest = number;
    for (;;) {  // the reader that comes often is where the log ends
        const auto told = must(run(store.changes_since(kAccount, latest, 100'000)));
        if (told.number == latest) break;
        latest = told.number;
    }
    flag(store, uids(5, 10, messages / 11), FlagChange::How::remove);
    double best = 1e9;
    for (int i = 0; i < 20; ++i) best = std::min(best, wall([&] { must(run(store.changes_since(kAccount, latest))); }));
    print("changes since ten changed", best, "us", 100);
    print("UIDs and flags listed, ten changed", cpu([&] { must(run(store.list_uids(kAccount, kInbox))); }) / count,
          "us each", 0.15);

    constexpr std::size_t kSome = 10'000;
    const auto some = must(run(store.list(kAccount, kInbox, OrderKey(0), kSome)));
    print("structures made", cpu([&] { run(store.structures(kAccount, some)); }) / static_cast<double>(some.size()),
          "us each", 0);
    print("structures kept", cpu([&] { run(store.structures(kAccount, some)); }) / static_cast<double>(some.size()),
          "us each", 0);
    print("threads found", cpu([&] { run(store.threads(kAccount, some)); }) / static_cast<double>(some.size()),
          "us each", 0);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    print("memory at its highest", static_cast<double>(usage.ru_maxrss) / 1024, "MB", 0);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("What a large mailbox costs those who see more of it than POP does.");
    std::uint64_t messages = 1'000'000;
    std::string directory;
    app.add_option("--messages", messages, "How many it has")->capture_default_str();
    app.add_option("directory", directory, "A folder to be made for it; removed afterwards")->required();
    CLI11_PARSE(app, argc, argv);
    log::configure(log::Level::warning, log::Format::text, "");
    engine::local::Options options;
    options.directory = directory;
    {
        auto engine = must(engine::local::LocalEngine::open(options));
        MailStore store(*engine, system_clock(), {});
        const auto cost = cpu([&] { fill(store, messages); });
        print("appended, 400 a commit", cost / static_cast<double>(messages), "us each", 0);
        measure(store, *engine, messages);
    }
    std::filesystem::remove_all(directory);
    return 0;
}
