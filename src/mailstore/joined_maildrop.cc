#include "mailstore/joined_maildrop.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/turn.h"

namespace poplar::mailstore {

namespace {
constexpr std::size_t kAtOnce = 256;  // messages between two looks at the clock
}  // namespace

JoinedMaildrop::JoinedMaildrop(std::vector<Part> parts, MailboxMaildrop::Remove remove)
    : parts_(std::move(parts)), remove_(std::move(remove)) {
    hides_ = std::ranges::all_of(parts_, [](const Part& part) { return part->hides(); });
    auto& all = version_.emplace();
    for (const auto& part : parts_) {
        const auto& one = *part->version();
        all.generation += fmt::format("{} {} {} {};", one.generation, part->of().mailbox.value, one.next_order.value,
                                      one.list_changes);
        all.messages += one.messages;
        all.octets += one.octets;
    }
    count_parts();
}

ViewOf JoinedMaildrop::of() const {
    auto of = parts_.front()->of();
    of.mailbox = kSeveral;
    return of;
}

void JoinedMaildrop::count_parts() {
    totals_ = {};
    for (const auto& part : parts_) put_in(totals_, part->totals());
}

bool JoinedMaildrop::comes_before(const Place& a, const Place& b) {
    return std::tuple(a.message->received, a.part, a.message->order) <
           std::tuple(b.message->received, b.part, b.message->order);
}

// Each part is in its own order, which is that of arrival unless somebody moved or restored messages.
Task<std::vector<JoinedMaildrop::Place>> JoinedMaildrop::in_order(std::vector<Place> places) {
    const auto size = places.size();
    for (std::size_t at = 0; at < size; at += kAtOnce) {
        const auto begin = places.begin() + static_cast<std::ptrdiff_t>(at);
        std::sort(begin, begin + static_cast<std::ptrdiff_t>(std::min(kAtOnce, size - at)), comes_before);
        if (turn::over()) co_await turn::let_others();
    }
    std::vector<Place> merged(size);
    for (std::size_t width = kAtOnce; width < size; width *= 2) {
        for (std::size_t at = 0; at < size; at += 2 * width) {
            const auto middle = std::min(at + width, size), end = std::min(middle + width, size);
            auto left = at, right = middle;
            for (auto out = at; out < end; ++out) {
                const bool from_right = left == middle || (right < end && comes_before(places[right], places[left]));
                merged[out] = places[from_right ? right++ : left++];
                if (out % kAtOnce == 0 && turn::over()) co_await turn::let_others();
            }
        }
        places.swap(merged);
    }
    co_return places;
}

Task<Result<const std::vector<Message>*>> JoinedMaildrop::messages() {
    if (messages_) co_return &*messages_;
    std::vector<Place> places;
    places.reserve(message_count());
    for (std::size_t n = 0; n < parts_.size(); ++n) {
        auto list = co_await parts_[n]->messages();
        if (!list) co_return pass_on(list);
        for (const auto& message : **list) places.push_back({n, &message});
        if (!parts_[n]->version()) version_.reset();
    }
    count_parts();  // wrong counters were found out by now
    places = co_await in_order(std::move(places));
    std::vector<Message> messages;
    messages.reserve(places.size());
    part_of_.clear();
    part_of_.reserve(places.size());
    for (const auto& place : places) {
        messages.push_back(*place.message);
        part_of_.push_back(place.part);
        if (messages.size() % kAtOnce == 0 && turn::over()) co_await turn::let_others();
    }
    co_return &messages_.emplace(std::move(messages));
}

Task<Result<std::span<const Message>>> JoinedMaildrop::messages_since(ListVersion older) {
    if (!version_ || *version_ != older) co_return fail(Errc::invalid, "not an earlier version of the list");
    co_return std::span<const Message>();
}

Task<Result<const Message*>> JoinedMaildrop::message(std::uint32_t number, std::string unique_id) {
    auto all = co_await messages();
    if (!all) co_return pass_on(all);
    if (number == 0 || number > (*all)->size() || (**all)[number - 1].unique_id != unique_id)
        co_return fail(Errc::not_found, "no such message");
    co_return &(**all)[number - 1];
}

// Bodies are the account's, not a mailbox's.
Task<Result<std::unique_ptr<engine::BodyReader>>> JoinedMaildrop::open(const Message& message) {
    return parts_.front()->open(message);
}

std::unique_ptr<engine::BodyReader> JoinedMaildrop::try_open_whole(const Message& message) {
    return parts_.front()->try_open_whole(message);
}

void JoinedMaildrop::become_idle() {
    for (const auto& part : parts_) part->become_idle();
}

Task<Result<>> JoinedMaildrop::remove(std::vector<std::uint32_t> numbers) {
    auto all = co_await messages();
    if (!all) co_return pass_on(all);
    std::vector<Deletions> deletions;
    for (const auto& part : parts_) deletions.push_back(part->no_deletions());
    std::uint32_t last = 0;
    for (auto number : numbers) {
        if (number <= last || number > (*all)->size()) co_return fail(Errc::invalid, "not an ascending message number");
        last = number;
        const auto& message = (**all)[number - 1];
        deletions[part_of_[number - 1]].victims.push_back({message.order, message.body, message.unique_id});
    }
    if (numbers.empty()) co_return Result<>{};
    for (auto& part : deletions) std::ranges::sort(part.victims, {}, &Victim::order);
    co_return co_await remove_(std::move(deletions));
}

}  // namespace poplar::mailstore
