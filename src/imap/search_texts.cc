// SEARCH in the octets of messages. They are read by the session, a little at a time, and decoded and looked through by
// the pool: a search takes no time that other sessions of the thread need, and ends between two pieces of work if its
// client is gone.
#include <algorithm>
#include <new>

#include "base/fair_pool.h"
#include "imap/searching.h"

namespace poplar::imap {

namespace {

using Depth = MessageText::Depth;

constexpr std::size_t kTogether = 256 * 1024;  // octets of small messages that are looked through in one piece of work

/// Octets of the message that have to be read.
std::uint64_t needed(const mail::Structure& structure, std::uint64_t wire_octets, Depth depth) {
    return depth == Depth::header ? std::min(structure.parts.front().body, wire_octets) : wire_octets;
}

}  // namespace

Task<Result<>> Client::read_texts(Searching& searching, std::span<Opened> opened) {
    // Those whose header leaves them open come again, for the rest.
    for (bool again = true; again;) {
        again = false;
        std::vector<Opened*> together;
        std::uint64_t octets = 0;
        for (std::size_t i = 0; i <= opened.size(); ++i) {
            const bool last = i == opened.size();
            if (!last && (opened[i].answer.is != SearchAnswer::Is::unknown || !opened[i].structure)) continue;
            const auto size = last ? 0 : needed(*opened[i].structure, opened[i].message.wire_octets, opened[i].depth());
            if (!last && size > kTogether / 4) {
                again = again || opened[i].depth() == Depth::header;
                if (auto read = co_await read_alone(searching, opened[i]); !read) co_return read;
                continue;
            }
            if (!together.empty() && (last || octets + size > kTogether)) {
                if (auto read = co_await read_together(searching, together); !read) co_return read;
                together.clear();
                octets = 0;
                if (auto goes_on = co_await breathe(0, 0); !goes_on) co_return goes_on;
            }
            if (last) break;
            again = again || opened[i].depth() == Depth::header;
            together.push_back(&opened[i]);
            octets += size;
        }
    }
    co_return Result<>();
}

void Client::note_unread(Searching& searching, const Error& why) {
    if (why.code() == Errc::not_found) return;
    log_failure(why, "a message can't be read");
    searching.unread = true;
}

// Null: it can't be read, or is gone.
Task<std::unique_ptr<engine::BodyReader>> Client::open_for_search(Searching& searching, Opened& one) {
    auto reader = co_await services_.store.open(account(), one.message, mail_key_);
    if (reader) co_return std::move(*reader);
    note_unread(searching, reader.error());
    co_return nullptr;
}

Task<Result<>> Client::read_together(Searching& searching, std::span<Opened*> some) {
    std::vector<Opened*> read;
    for (auto* one : some) {
        const auto depth = one->depth();
        const auto enough = needed(*one->structure, one->message.wire_octets, depth);
        one->wire.clear();
        auto reader = co_await open_for_search(searching, *one);
        bool whole = reader != nullptr;
        while (whole && one->wire.size() < enough) {
            auto chunk = co_await reader->next();
            if (!chunk) note_unread(searching, chunk.error());
            if (!chunk) whole = false;
            if (!chunk || chunk->empty()) break;
            one->wire.append(chunk->substr(0, enough - one->wire.size()));
        }
        if (whole)
            read.push_back(one);
        else
            one->answer = {};
    }
    const auto work = [&searching, &read] {
        for (auto* one : read) {
            const auto depth = one->depth();
            searching.text.begin(*one->structure, depth);
            searching.text.feed(one->wire);
            searching.text.finish();
            one->look_at(searching.program, searching.text, depth);
        }
    };
    auto looked = co_await run_beside(work);
    for (auto* one : read) one->wire = std::string();
    if (!looked) co_return pass_on(looked);
    if (!*looked) searching.unread = true;
    if (!*looked)
        for (auto* one : read) one->answer = {};
    co_return Result<>();
}

Task<Result<>> Client::read_alone(Searching& searching, Opened& one) {
    const auto depth = one.depth();
    auto reader = co_await open_for_search(searching, one);
    bool whole = reader != nullptr;
    bool more = true;
    searching.text.begin(*one.structure, depth);
    while (whole && more) {
        auto chunk = co_await reader->next();
        if (!chunk) note_unread(searching, chunk.error());
        if (!chunk) whole = false;
        if (!chunk || chunk->empty()) break;
        const auto feed = [&searching, &more, octets = *chunk] { more = searching.text.feed(octets); };
        auto fed = co_await run_beside(feed);
        if (!fed) co_return pass_on(fed);
        if (!*fed) whole = false, searching.unread = true;
        if (auto goes_on = co_await breathe(0, 0); !goes_on) co_return goes_on;
    }
    if (!whole) {
        one.answer = {};
        co_return Result<>();
    }
    const auto look = [&searching, &one, depth] {
        searching.text.finish();
        one.look_at(searching.program, searching.text, depth);
    };
    auto looked = co_await run_beside(look);
    if (!looked) co_return pass_on(looked);
    if (!*looked) searching.unread = true, one.answer = {};
    co_return Result<>();
}

Task<Result<bool>> Client::run_beside(std::function<void()> work) {
    auto guarded = [work = std::move(work)]() noexcept {
        try {
            work();
            return true;
        } catch (const std::bad_alloc&) {
            return false;
        }
    };
    if (!services_.searches) co_return guarded();
    // Accounts take turns, and the sessions of an account do.
    const Share share{Standing::good, account().value, std::hash<std::string_view>()(session_id_)};
    co_return co_await services_.searches->run(share, std::move(guarded));
}

}  // namespace poplar::imap
