#include "mailstore/joined_maildrop.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace poplar::mailstore {

JoinedMaildrop::JoinedMaildrop(std::vector<Part> parts, MailboxMaildrop::Remove remove)
    : parts_(std::move(parts)), remove_(std::move(remove)) {
    auto& all = version_.emplace();
    for (const auto& part : parts_) {
        const auto& one = *part->version();
        all.generation += fmt::format("{} {} {} {};", one.generation, part->of().mailbox.value, one.next_order.value,
                                      one.list_changes);
        all.messages += one.messages;
        all.octets += one.octets;
    }
}

ViewOf JoinedMaildrop::of() const {
    auto of = parts_.front()->of();
    of.mailbox = kSeveral;
    return of;
}

std::uint64_t JoinedMaildrop::message_count() const {
    std::uint64_t sum = 0;
    for (const auto& part : parts_) sum += part->message_count();
    return sum;
}

std::uint64_t JoinedMaildrop::octets() const {
    std::uint64_t sum = 0;
    for (const auto& part : parts_) sum += part->octets();
    return sum;
}

std::uint64_t JoinedMaildrop::ascii_octets() const {
    std::uint64_t sum = 0;
    for (const auto& part : parts_) sum += part->ascii_octets();
    return sum;
}

bool JoinedMaildrop::has_utf8() const {
    return std::ranges::any_of(parts_, [](const Part& part) { return part->has_utf8(); });
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
    std::ranges::sort(places, {}, [](const Place& place) {
        return std::tuple(place.message->received, place.part, place.message->order);
    });
    std::vector<Message> messages;
    messages.reserve(places.size());
    part_of_.clear();
    part_of_.reserve(places.size());
    for (const auto& place : places) {
        messages.push_back(*place.message);
        part_of_.push_back(place.part);
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
