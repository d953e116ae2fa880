#pragma once
// The mail that the load tool delivers and recognises again. The first line of each message tells how many octets
// follow in wire form (CRLF line ends, byte-stuffed) and their checksum, so that whoever drains a maildrop can hold
// what comes against what went in, whatever trace fields a server puts in front.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::bench {

/// How large messages are.
struct Sizes {
    std::size_t fixed = 4096;  ///< octets; 0: the realistic mix
    /// The mix: log-normal, median 10 KB, mean 40 KB, at most 5 MB, as mailboxes of people have it.
    static constexpr std::size_t kMedian = 10'000, kLargest = 5'000'000;
    static constexpr double kSigma = 1.69;
};

/// Messages ready to be sent after DATA: in wire form with the final ".".
class MessagePool {
public:
    /// The same arguments give the same messages.
    explicit MessagePool(Sizes sizes);
    const std::string& at(std::uint64_t number) const { return messages_[number % messages_.size()]; }
    std::size_t size() const { return messages_.size(); }

private:
    std::vector<std::string> messages_;
};

/// One message of about `octets` octets in wire form, without the final "."; never less than its header.
std::string make_message(std::size_t octets, std::uint64_t seed);

/// Reads one message from a stream in wire form, finds where it ends and holds it against its first line.
class MessageReader {
public:
    enum class Verdict { good, bad, unmarked };

    void begin();
    /// Takes octets up to the end of the message, its final "." included; returns how many. at_end() tells whether it
    /// came. At least 5 octets or the end must remain visible: what is not taken must be shown again with more behind.
    std::size_t take(std::string_view octets);
    bool at_end() const { return state_ == State::ended; }
    Verdict verdict() const { return verdict_; }
    /// Octets taken, the final "." included.
    std::uint64_t octets() const { return octets_; }

private:
    enum class State { searching_mark, marked, unmarked, ended };
    std::size_t take_marked(std::string_view octets);
    std::size_t take_unmarked(std::string_view octets);

    State state_ = State::searching_mark;
    Verdict verdict_ = Verdict::unmarked;
    std::uint64_t octets_ = 0, left_ = 0;
    std::uint32_t wanted_crc_ = 0, crc_ = 0;
};

}  // namespace poplar::bench
