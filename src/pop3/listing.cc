// A listing as blocks of whole lines that copies share.
#include "pop3/listing.h"

#include "base/turn.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace poplar::pop3 {

namespace {
constexpr std::string_view kEnd = ".\r\n";  // RFC 1939 s3: ends an answer of several lines; no line of ours begins so
}  // namespace

void Listing::append(std::string_view lines) {
    if (lines.empty()) return;
    std::string_view before;
    if (!blocks_.empty() && this->lines(blocks_.size() - 1).size() + lines.size() <= kBlock)
        before = this->lines(blocks_.size() - 1);
    std::string text;
    text.reserve(before.size() + lines.size() + kEnd.size());
    text.append(before).append(lines).append(kEnd);
    octets_ += text.size();
    auto block = std::make_shared<const std::string>(std::move(text));
    if (before.empty()) {
        blocks_.push_back(std::move(block));
    } else {
        octets_ -= blocks_.back()->size();
        blocks_.back() = std::move(block);
    }
}

// RFC 1939 s4: the next session's numbers count from 1 without a gap.
Task<Listing> Listing::without(std::span<const MessageNumber> numbers) const {
    if (numbers.empty() || blocks_.empty()) co_return *this;
    Listing left;
    auto block = block_of(numbers.front());
    for (std::size_t i = 0; i < block; ++i) {
        left.blocks_.push_back(blocks_[i]);
        left.octets_ += blocks_[i]->size();
    }
    auto gone = numbers.begin();
    auto number = first_number(block), next = number;  // of the line at hand, and of the next one that stays
    std::string made;
    for (; block < blocks_.size(); ++block) {
        if (turn::over()) co_await turn::let_others();
        for (auto rest = lines(block); !rest.empty(); ++number) {
            auto line = rest.substr(0, rest.find('\n') + 1);
            rest.remove_prefix(line.size());
            if (gone != numbers.end() && *gone == number) {
                ++gone;
                continue;
            }
            fmt::format_int digits(next++);
            made.append(digits.data(), digits.size()).append(line.substr(line.find(' ')));
            if (made.size() < kBlock) continue;
            left.append(made);
            made.clear();
        }
    }
    left.append(made);
    co_return left;
}

// RFC 1939 s5: a scan listing is the number, a space, the octets; s7: so is a unique-id listing, with the unique-id.
std::string_view Listing::find(MessageNumber number) const {
    if (number == 0 || blocks_.empty()) return {};
    auto text = lines(block_of(number));
    fmt::memory_buffer wanted;
    fmt::format_to(std::back_inserter(wanted), "\n{} ", number);
    std::string_view mark(wanted.data(), wanted.size());
    if (text.starts_with(mark.substr(1))) {
        text.remove_prefix(mark.size() - 1);
    } else {
        auto at = text.find(mark);
        if (at == text.npos) return {};
        text.remove_prefix(at + mark.size());
    }
    return text.substr(0, text.find('\r'));
}

void Listing::add_pieces(std::vector<std::string_view>& pieces) const {
    if (blocks_.empty()) return pieces.push_back(kEnd);
    for (std::size_t block = 0; block + 1 < blocks_.size(); ++block) pieces.push_back(lines(block));
    pieces.push_back(*blocks_.back());
}

std::string_view Listing::lines(std::size_t block) const {
    std::string_view text = *blocks_[block];
    text.remove_suffix(kEnd.size());
    return text;
}

MessageNumber Listing::first_number(std::size_t block) const {
    const auto& text = *blocks_[block];
    MessageNumber number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::size_t Listing::block_of(MessageNumber number) const {
    std::size_t low = 0, high = blocks_.size();
    while (high - low > 1) {
        const auto middle = low + (high - low) / 2;
        (first_number(middle) <= number ? low : high) = middle;
    }
    return low;
}

}  // namespace poplar::pop3
