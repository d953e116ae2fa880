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
    /// The same without these lines (ascending), those behind them numbered anew. A long one lets others have their
    /// turn; it and `numbers` must stay until then.
    Task<Listing> without(std::span<const MessageNumber> numbers) const;

    /// What the line with this number says behind its number; "" if there is none.
    std::string_view find(MessageNumber number) const;
    /// Adds what is to be sent, one behind the other. Valid as long as this or a copy.
    void add_pieces(std::vector<std::string_view>& pieces) const;
    bool empty() const { return blocks_.empty(); }
    std::size_t octets() const { return octets_; }

private:
    // Each ends in the final ".", so that the last one is sent whole, and those before it but for that.
    using Block = std::shared_ptr<const std::string>;

    std::string_view lines(std::size_t block) const;
    MessageNumber first_number(std::size_t block) const;
    /// The last block that begins with this number or one before it.
    std::size_t block_of(MessageNumber number) const;

    std::vector<Block> blocks_;
    std::size_t octets_ = 0;
};

}  // namespace poplar::pop3
