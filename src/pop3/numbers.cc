#include "pop3/numbers.h"

namespace poplar::pop3 {

namespace {

// Looking up one message singly costs as much as reading kSingleCost of them in a row. Up to kFewMessages are always
// read at once.
constexpr std::size_t kSingleCost = 32, kFewMessages = 256;

}  // namespace

Task<Result<>> MessageNumbers::load() {
    auto loaded = co_await maildrop_.messages();
    if (!loaded) co_return pass_on(loaded);
    known_ = **loaded;
    first_ = 1;
    complete_ = true;
    co_return Result<>();
}

void MessageNumbers::learn(std::uint64_t first, std::span<const Message> messages) {
    if (complete_ || (!known_.empty() && first >= first_)) return;
    known_ = messages;
    first_ = first;
}

const mailstore::Message* MessageNumbers::find_singly(MessageNumber number) const {
    auto found = singly_.find(number);
    return found == singly_.end() ? nullptr : found->second;
}

bool MessageNumbers::pays_singly(MessageNumber number) const {
    const auto count = maildrop_.message_count();
    return count >= kFewMessages && number != 0 && number <= count && singly_.size() * kSingleCost < count;
}

Task<const mailstore::Message*> MessageNumbers::read_one(MessageNumber number, std::string unique_id) {
    auto found = co_await maildrop_.message(number, std::move(unique_id));
    if (!found) co_return nullptr;
    singly_.emplace(number, *found);
    co_return *found;
}

}  // namespace poplar::pop3
