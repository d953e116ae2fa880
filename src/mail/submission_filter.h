#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace poplar::mail {

/// Looks at the header of a message that a user submits as it passes, in wire form, and takes out Bcc and Resent-Bcc
/// (RFC 5322 s3.6.3, s3.6.6, RFC 6409 s8). All else passes unchanged. Incremental: the same octets give the same result
/// however they are cut.
/// Memory: a line's beginning, and up to kFromLimit of From and Sender.
class SubmissionFilter {
public:
    static constexpr std::size_t kFromLimit = 16 * 1024;  ///< octets of each

    /// A field that says who sent the message.
    struct Originator {
        std::uint32_t fields = 0;  ///< how many there are
        std::string text;          ///< the first, its name included, folded as it came; at most kFromLimit octets
        bool too_long = false;     ///< `text` is not all of it, so nobody knows which addresses it has
        bool operator==(const Originator&) const = default;
    };

    /// The octets to be kept in place of `wire`, good until the next call. After the header it is `wire` itself.
    std::string_view pass(std::string_view wire);
    /// After the last octet: what is still to be kept.
    std::string_view finish();
    bool in_body() const { return in_body_; }

    std::uint64_t removed() const { return removed_; }  ///< octets taken out, unstuffed
    bool has_date() const { return has_date_; }
    bool has_message_id() const { return has_message_id_; }
    const Originator& from() const { return from_; }
    const Originator& sender() const { return sender_; }

private:
    enum class Kind : std::uint8_t { other, from, sender, removed };
    void begin_line(std::string_view line);
    void take(std::string_view text);

    std::string held_, out_;
    bool in_body_ = false, decided_ = false;  // what the line at hand is
    Kind kind_ = Kind::other;
    bool has_date_ = false, has_message_id_ = false;
    std::uint64_t removed_ = 0;
    Originator from_, sender_;
};

}  // namespace poplar::mail
