#pragma once
// The queue's record of a message that waits to leave, and its octets on the disk (docs/reference/storage-format.md).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"
#include "mail/dsn.h"

namespace poplar::queue {

/// The queue's own partition.
inline constexpr engine::PartitionId kQueuePartition{5};

/// A message's name, the one that its Received field and the log have: so many characters.
inline constexpr std::size_t kIdLength = 12;
inline constexpr std::size_t kReplyLimit = 500;  ///< octets of a reply that is kept

/// The sender's word on TLS with the next servers (RFC 8689).
enum class TlsWish : std::uint8_t {
    usual,     ///< what routes and the other domain's policy say
    required,  ///< REQUIRETLS: only to servers that have proved their names and pass the demand on
    optional,  ///< `TLS-Required: No`: the other domain's policy must not keep the message from it
};

/// One address that a message is for.
struct Recipient {
    enum class State : std::uint8_t {
        waiting = 1,
        delivered = 2,  ///< the next host has taken it
        failed = 3,     ///< for good
        removed = 4,    ///< by an operator
    };
    std::string address;
    State state = State::waiting;
    mail::Notify notify = {};
    std::string orcpt = {};   ///< RFC 3461 s4.2, "" if the client gave none
    std::string reply = {};   ///< the last one, the host's or our own words; at most kReplyLimit octets, printable
    std::string status = {};  ///< its enhanced code, "4.4.1"; "" if it had none
    std::string host = {};    ///< that gave the reply; "": nobody was reached
    bool report_due = false;  ///< what became of it has still to be told to the sender
    bool delay_told = false;  ///< the sender knows that it takes long
    bool operator==(const Recipient&) const = default;
};

/// The recipients of one message at one domain: they are tried together.
struct Part {
    std::string message;
    std::uint32_t number = 0;  ///< within the message
    std::string domain;        ///< canonical, or an address literal
    bool held = false;         ///< not tried until somebody releases it
    std::uint32_t attempts = 0;
    Timestamp due{};                     ///< not before; no meaning while held or done
    std::optional<Timestamp> attempted;  ///< last
    /// When it was free to leave, where it was kept back before; nothing: when it arrived. Its age counts from there.
    std::optional<Timestamp> released = std::nullopt;
    std::vector<Recipient> recipients;
    /// Its place in the order of what is due, as it is stored; nothing: it has none.
    std::optional<Timestamp> stored_due = std::nullopt;

    /// Somebody waits, or has still to be told.
    bool open() const;
    bool waiting() const;  ///< a recipient waits
};

struct Message {
    std::string id = {};
    std::string sender = {};       ///< "": the null reverse-path
    std::string account = {};      ///< the address of the account that submitted it; "": it came from elsewhere
    std::string envelope_id = {};  ///< ENVID, decoded
    mail::ReturnContent ret = mail::ReturnContent::unspecified;
    bool utf8 = false;       ///< needs SMTPUTF8: a header or an address is not ASCII
    bool eight_bit = false;  ///< has octets over 0x7f
    TlsWish tls = TlsWish::usual;
    engine::BodyId body{};
    std::uint64_t octets = 0;  ///< unstuffed, as SIZE counts
    std::uint32_t parts = 0;
    Timestamp arrived{};
    std::optional<Timestamp> finished = std::nullopt;  ///< nobody waits any more, and the body is gone
};

// Keys. Each kind begins with an octet of its own.
std::string message_key(std::string_view id);
std::string part_key(std::string_view id, std::uint32_t number);
std::string parts_prefix(std::string_view id);
std::string due_key(Timestamp due, std::string_view id, std::uint32_t number);
std::string finished_key(Timestamp forget, std::string_view id);
inline constexpr std::string_view kMessages = "m", kDue = "d", kFinished = "e";

/// The content of a key of `kDue` or `kFinished`. Errors: corrupt.
struct Place {
    Timestamp time;
    std::string message;
    std::uint32_t number = 0;  ///< of the part
};
Result<Place> parse_due_key(std::string_view key);
Result<Place> parse_finished_key(std::string_view key);

std::string encode(const Message& message);
std::string encode(const Part& part);
/// Errors: corrupt.
Result<Message> decode_message(std::string_view id, std::string_view value);
Result<Part> decode_part(std::string_view key, std::string_view value);

/// `text` as a reply is kept: printable, in one line, not too long.
std::string kept_reply(std::string_view text);

std::string_view to_string(Recipient::State state);

}  // namespace poplar::queue
