#pragma once
// The answer to LIST or UIDL: a line for each message, and the final ".".
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "pop3/command.h"

namespace poplar::pop3 {

/// Lines are "number SP text CRLF", numbered from 1 without a gap. They lie in blocks that never change, so that a copy
/// with more lines at its end shares nearly all of its memory with the original.
class Listing {
public:
    static constexpr std::size_t kBlock = 64 * 1024;  ///< octets of a block, about

    /// Adds whole lines, at most about a block of them at once.
    void append(std::string_view lines);
    /// A copy without these lines (ascending); those behind them get new numbers. Lets others have their turn if it is
    /// long, so this listing and `numbers` must stay until it returns.
    Task<Listing> without(std::span<const MessageNumber> numbers) const;

    /// The text behind this number; "" if there is no such line.
    std::string_view find(MessageNumber number) const;
    /// Appends the pieces to send, in order. They are valid as long as this listing or a copy.
    void add_pieces(std::vector<std::string_view>& pieces) const;
    bool empty() const { return blocks_.empty(); }
    std::size_t octets() const { return octets_; }

private:
    // Each ends in the final ".". The last block is sent whole, the others without it.
    using Block = std::shared_ptr<const std::string>;

    std::string_view lines(std::size_t block) const;
    MessageNumber first_number(std::size_t block) const;
    /// The last block that begins with this number or one before it.
    std::size_t block_of(MessageNumber number) const;

    std::vector<Block> blocks_;
    std::size_t octets_ = 0;
};

}  // namespace poplar::pop3
