#include "mailstore/maildrop.h"

#include <algorithm>

#include "base/log.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

namespace {
constexpr std::size_t kPage = 1000;            // entries a scan
constexpr std::uint64_t kReserve = 1'000'000;  // messages to make room for at once, whatever the counter says
}  // namespace

Task<Result<engine::ChangeNumber>> InboxMaildrop::version() {
    if (!version_ && !snapshot_) version_ = engine::ChangeNumber(0);
    if (!version_) {
        auto number = co_await engine_.change_number(account_, snapshot_);
        if (!number) co_return pass_on(number);
        version_ = *number;
    }
    co_return *version_;
}

Task<Result<const std::vector<Message>*>> InboxMaildrop::messages() {
    if (snapshot_) {
        auto loaded = co_await load();
        if (!loaded) co_return pass_on(loaded);
    }
    co_return &messages_;
}

Task<Result<>> InboxMaildrop::load() {
    if (auto known = co_await version(); !known) co_return pass_on(known);
    std::vector<Message> messages;
    messages.reserve(std::min(count_, kReserve));
    std::uint64_t octets = 0, ascii_octets = 0;
    auto range = keys::messages();
    const auto limit = std::clamp<std::uint64_t>(count_ + 1, 16, kPage);  // no more than there should be
    for (;;) {
        auto page = co_await engine_.scan(account_, range, limit, snapshot_);
        if (!page) co_return pass_on(page);
        for (const auto& entry : *page) {
            auto message = decode_message(entry);
            if (!message) co_return pass_on(message);
            octets += message->octets;
            ascii_octets += message->ascii_octets != 0 ? message->ascii_octets : message->octets;
            messages.push_back(std::move(*message));
        }
        if (page->size() < limit) break;
        range.begin = page->back().key + '\0';
    }
    if (messages.size() != count_ || octets != octets_ || ascii_octets != ascii_octets_) {
        // Wrong counters must not keep anybody from their mail.
        log::error("mailstore.wrong_counters", {{"account", account_.value},
                                                {"messages", messages.size()},
                                                {"counted", count_},
                                                {"octets", octets},
                                                {"octets_counted", octets_},
                                                {"ascii_octets", ascii_octets},
                                                {"ascii_octets_counted", ascii_octets_}});
    }
    count_ = messages.size();
    octets_ = octets;
    ascii_octets_ = ascii_octets;
    messages_ = std::move(messages);
    snapshot_.reset();
    co_return Result<>{};
}

Task<Result<std::unique_ptr<engine::BodyReader>>> InboxMaildrop::open(const Message& message) {
    if (!bodies_) bodies_ = engine_.read_bodies(account_);
    return bodies_->open(message.body);
}

Task<Result<>> InboxMaildrop::remove(std::vector<std::uint32_t> numbers) {
    auto list = co_await messages();
    if (!list) co_return pass_on(list);
    std::vector<Victim> victims;
    victims.reserve(numbers.size());
    std::uint32_t last = 0;
    for (auto number : numbers) {
        if (number <= last || number > messages_.size())
            co_return fail(Errc::invalid, "not an ascending message number");
        last = number;
        victims.push_back({messages_[number - 1].order, messages_[number - 1].body});
    }
    if (victims.empty()) co_return Result<>{};
    co_return co_await remove_(std::move(victims), {kMaildropLease, lease_->token()});
}

}  // namespace poplar::mailstore
