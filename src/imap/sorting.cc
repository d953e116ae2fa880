// SORT and THREAD (RFC 5256, RFC 5957).
#include <algorithm>

#include "base/turn.h"
#include "imap/client.h"
#include "imap/searching.h"
#include "imap/sort.h"
#include "imap/thread.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kMostSorted = 200'000;  // messages of one answer: all they are sorted by is in memory
constexpr std::size_t kSortedAtOnce = 200;    // messages whose structures are in memory at the same time

}  // namespace

// Takes the charset and the search keys, up to the end.
std::expected<SearchProgram, SearchRefusal> Client::parse_sorted_search(Cursor& in) {
    const SearchRefusal malformed{SearchRefusal::Why::bad, "arguments are missing, malformed or too many"};
    if (!in.space()) return std::unexpected(malformed);
    auto charset = in.astring();
    if (!charset || !in.space()) return std::unexpected(malformed);
    auto program = parse_search(in, SearchLimits(), std::move(*charset));
    if (program && !in.at_end()) return std::unexpected(malformed);
    return program;
}

Task<Result<>> Client::sort(Cursor in) {
    auto criteria = parse_sort_criteria(in);
    if (!criteria) co_return co_await bad(criteria.error().detail());
    auto program = parse_sorted_search(in);
    if (!program) co_return co_await refuse_search(std::move(program.error()));
    if (program->asks_numbers && uids_only_) co_return co_await refuse_numbers();
    Searching searching;
    searching.program = std::move(*program);
    if (searching.program.asks_numbers) expunges_ = Expunges::held;
    if (auto went = co_await find_messages(searching); !went) co_return went;
    if (searching.found.size() > kMostSorted) co_return co_await no("[LIMIT] too many messages to sort");
    std::vector<SortEntry> entries;
    entries.reserve(searching.found.size());
    const bool structures = needs_structure(*criteria);
    const auto take = [&](std::uint32_t index, const mailstore::StoredMessage& message,
                          const mail::Structure* structure) {
        entries.push_back(sort_entry(*criteria, index + 1, static_cast<std::uint32_t>(message.uid().value),
                                     message.received, message.octets, structure));
    };
    if (auto read = co_await read_found(searching, structures, take); !read) co_return read;
    if (searching.unread) co_return co_await no("[SERVERBUG] not all messages could be read");
    imap::sort(entries, *criteria);
    out_.append("* SORT");
    for (const auto& entry : entries)
        fmt::format_to(std::back_inserter(out_), " {}", by_uid() ? entry.uid : entry.number);
    out_.append("\r\n");
    co_return co_await ok("done");
}

Task<Result<>> Client::thread(Cursor in) {
    const auto name = in.atom();
    const auto algorithm = name ? find_thread_algorithm(*name) : std::nullopt;
    if (!algorithm) co_return co_await bad("unknown algorithm");
    auto program = parse_sorted_search(in);
    if (!program) co_return co_await refuse_search(std::move(program.error()));
    if (program->asks_numbers && uids_only_) co_return co_await refuse_numbers();
    Searching searching;
    searching.program = std::move(*program);
    if (searching.program.asks_numbers) expunges_ = Expunges::held;
    if (auto went = co_await find_messages(searching); !went) co_return went;
    if (searching.found.size() > kMostSorted) co_return co_await no("[LIMIT] too many messages to thread");
    std::vector<ThreadEntry> entries;
    entries.reserve(searching.found.size());
    const auto take = [&](std::uint32_t index, const mailstore::StoredMessage& message,
                          const mail::Structure* structure) {
        const auto id = by_uid() ? static_cast<std::uint32_t>(message.uid().value) : index + 1;
        entries.push_back(thread_entry(*algorithm, id, index + 1, message.received, *structure));
    };
    if (auto read = co_await read_found(searching, true, take); !read) co_return read;
    if (searching.unread) co_return co_await no("[SERVERBUG] not all messages could be read");
    out_.append("* THREAD");
    if (!entries.empty()) out_ += ' ';
    write_threads(out_, *algorithm, std::move(entries));
    out_.append("\r\n");
    co_return co_await ok("done");
}

// Messages that others have removed meanwhile are passed over.
Task<Result<>> Client::read_found(Searching& searching, bool structures, TakeFound take) {
    for (std::span<const std::uint32_t> left(searching.found); !left.empty();) {
        const auto some = left.first(std::min(left.size(), kSortedAtOnce));
        left = left.subspan(some.size());
        auto messages = co_await read_messages(some);
        if (!messages) {
            log_failure(messages.error(), "the messages can't be read");
            searching.unread = true;
            co_return Result<>();
        }
        std::vector<Result<mail::Structure>> made;
        if (structures) made = co_await services_.store.structures(account(), *messages, mail_key_);
        for (std::size_t i = 0; i < messages->size(); ++i) {
            const auto index = selected_->find(static_cast<std::uint32_t>((*messages)[i].uid().value));
            if (!index) continue;
            if (structures && !made[i]) {
                if (made[i].error().code() == Errc::not_found) continue;
                if (made[i].error().code() == Errc::denied) co_return co_await bye_locked();
                log_failure(made[i].error(), "a message can't be read");
                searching.unread = true;
                continue;
            }
            take(*index, (*messages)[i], structures ? &*made[i] : nullptr);
        }
        if (turn::over()) co_await turn::let_others();
        const auto done = searching.found.size() - left.size();
        if (auto goes_on = co_await breathe(done, searching.found.size()); !goes_on) co_return goes_on;
    }
    co_return Result<>();
}

}  // namespace poplar::imap
