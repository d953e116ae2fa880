#pragma once
// The milter protocol, version 6, as its client speaks it: packets, terms, and what a program wants changed. Pure
// functions over bytes; the program at the other end may be anything.
//
// There is no RFC. Sendmail's libmilter/docs and include/libmilter/mfdef.h say what it is.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::inspection::milter {

inline constexpr std::uint32_t kVersion = 6, kOldestVersion = 2;
inline constexpr std::size_t kMostPacket = 512 * 1024;  ///< octets of a packet of the program's, its command included
inline constexpr std::size_t kBodyChunk = 65'535;       ///< octets of a body that go in one packet
inline constexpr std::size_t kMostFields = 5000;        ///< of a header, with those that are added
inline constexpr std::size_t kMostHeader = 2u << 20;    ///< octets of a header, with what is added
inline constexpr std::size_t kMostBody = 16u << 20;     ///< octets of a body that takes the place of the message's
inline constexpr std::size_t kMostText = 400;           ///< octets of a reply's text that is told on

/// The message is changed in these ways only, and programs are told so (SMFIF_*): the envelope stays as it is.
enum Action : std::uint32_t { add_headers = 0x01, change_body = 0x02, change_headers = 0x10, quarantine = 0x20 };
inline constexpr std::uint32_t kActions = add_headers | change_body | change_headers | quarantine;

/// Steps that a program may leave out, or leave without an answer (SMFIP_*).
enum Step : std::uint32_t {
    no_connect = 0x01,
    no_helo = 0x02,
    no_mail = 0x04,
    no_recipients = 0x08,
    no_body = 0x10,
    no_headers = 0x20,
    no_end_of_headers = 0x40,
    quiet_header = 0x80,
    no_unknown = 0x100,
    no_data = 0x200,
    may_skip = 0x400,
    quiet_connect = 0x1000,
    quiet_helo = 0x2000,
    quiet_mail = 0x4000,
    quiet_recipient = 0x8000,
    quiet_data = 0x10000,
    quiet_unknown = 0x20000,
    quiet_end_of_headers = 0x40000,
    quiet_body = 0x80000,
    leading_space = 0x100000,
};
inline constexpr std::uint32_t kSteps = 0x7f | quiet_header | no_unknown | no_data | may_skip | quiet_connect |
                                        quiet_helo | quiet_mail | quiet_recipient | quiet_data | quiet_unknown |
                                        quiet_end_of_headers | quiet_body | leading_space;

struct Packet {
    char command = 0;
    std::string data;
    bool operator==(const Packet&) const = default;
};

/// With its length in front.
std::string encode(char command, std::string_view data);
/// Takes the first packet out of `input`; nothing: it is not all there. Errors: invalid (too long, or empty).
Result<std::optional<Packet>> take_packet(std::string& input);

std::string offer();  ///< our terms, as the data of the first packet
struct Terms {
    std::uint32_t version = 0, actions = 0, steps = 0;
    bool has(Step step) const { return (steps & step) != 0; }
};
/// The program's. Errors: invalid (no terms; more than was offered).
Result<Terms> parse_terms(const Packet& packet);

/// Texts with a NUL behind each.
std::string strings(std::initializer_list<std::string_view> texts);
/// Names and values for a step; those without a value are left out.
std::string macros(char step, const std::vector<std::pair<std::string_view, std::string>>& values);
/// A field of a message as a packet of its own has it: lines end in LF; without the space behind the colon, unless the
/// terms say otherwise. `field` is whole, with its line ends.
std::string header_data(std::string_view field, const Terms& terms);

/// A program's word on the message, or on the step.
struct Answer {
    enum class Kind : std::uint8_t {
        go_on,
        accept,  ///< it wants to see no more of the message
        skip,    ///< no more of the body
        reject,
        defer,
        discard,  ///< it should vanish
        wait,     ///< it is still at work
        change,   ///< not an answer yet: something of the message is to be changed
    };
    Kind kind = Kind::go_on;
    std::string text = {};  ///< for the sender, of reject and defer: printable ASCII, one line
    bool operator==(const Answer&) const = default;
};
/// Errors: invalid (no packet that we know).
Result<Answer> parse_answer(const Packet& packet);

/// A message's header, and the changes that a program wants.
class Changes {
public:
    /// `header`: plain, CRLF line ends, with its blank line.
    Changes(std::string_view header, const Terms& terms);

    const std::vector<std::string>& fields() const { return fields_; }  ///< whole, with line ends
    /// A packet of Answer::change. Errors: invalid (it makes no sense; too much).
    Result<> apply(const Packet& packet);

    bool header_changed() const { return header_changed_; }
    std::string header() const;                                       ///< with its blank line
    const std::optional<std::string>& body() const { return body_; }  ///< in place of the message's; plain
    bool quarantined() const { return quarantined_; }

private:
    Result<std::string> field(std::string_view name, std::string_view value) const;
    Result<> insert(std::size_t at, std::string_view name, std::string_view value);

    const Terms terms_;
    std::vector<std::string> fields_;
    std::string rest_;  // of a header: what is no field
    std::size_t octets_ = 0;
    std::optional<std::string> body_;
    bool header_changed_ = false, quarantined_ = false;
};

}  // namespace poplar::inspection::milter
