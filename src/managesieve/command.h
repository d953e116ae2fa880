#pragma once
// ManageSieve's commands (RFC 5804 s2, s4): bytes in, values out. A command is one line, or several with a literal
// behind each but the last.
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace poplar::managesieve {

struct Authenticate {
    std::string mechanism;
    std::optional<std::string> initial_response;  ///< as it came: base64
};
struct StartTls {};
struct Logout {};
struct Capability {};
struct HaveSpace {
    std::string name;
    std::uint64_t octets = 0;
};
struct PutScript {
    std::string name, text;
};
struct ListScripts {};
struct SetActive {
    std::string name;  ///< "": none
};
struct GetScript {
    std::string name;
};
struct DeleteScript {
    std::string name;
};
struct RenameScript {
    std::string from, to;
};
struct CheckScript {
    std::string text;
};
struct Noop {
    std::optional<std::string> tag;
};
struct Unauthenticate {};

using Command = std::variant<Authenticate, StartTls, Logout, Capability, HaveSpace, PutScript, ListScripts, SetActive,
                             GetScript, DeleteScript, RenameScript, CheckScript, Noop, Unauthenticate>;

/// Why there is no command: a text for the client. Nothing that it sent is in it.
struct Malformed {
    std::string_view text;
    bool too_large = false;  ///< a literal was; the rest may be fine
};

/// Gathers one command. Whatever is wrong with a line, a literal that it announces is one: its octets are never a
/// command.
class CommandReader {
public:
    enum class Then : std::uint8_t {
        finish,   ///< the command is whole
        literal,  ///< literal_octets() follow, then a line
        hopeless  ///< nobody knows where the next command begins
    };
    /// A line without its end.
    Then line(std::string_view text);
    std::uint64_t literal_octets() const { return literal_octets_; }
    /// Whether the octets of the literal matter; else they may be thrown away.
    bool wants_literal() const { return !malformed_; }
    void literal(std::string octets);
    /// The literal was larger than the session takes.
    void literal_too_large();

    /// The command's name so far, even if there is no whole command yet; "" if there is no word. In upper case.
    std::string_view verb() const { return verb_; }
    std::expected<Command, Malformed> finish();

private:
    struct Argument {
        bool is_number = false;
        std::uint64_t number = 0;
        std::string text;
    };
    void read_arguments(std::string_view text);
    void refuse(std::string_view why);

    std::string verb_;
    std::vector<Argument> arguments_;
    std::optional<Malformed> malformed_;
    std::uint64_t literal_octets_ = 0;
    bool begun_ = false;
};

/// The client's answer to a challenge (RFC 5804 s2.1): one string, and nothing else.
class ResponseReader {
public:
    CommandReader::Then line(std::string_view text);
    std::uint64_t literal_octets() const { return literal_octets_; }
    bool wants_literal() const { return !broken_ && !text_; }
    void literal(std::string octets);
    /// Nothing: it was no string.
    std::optional<std::string> finish();

private:
    std::optional<std::string> text_;
    std::uint64_t literal_octets_ = 0;
    bool broken_ = false, begun_ = false;
};

/// `text` as a string (RFC 5804 s4): quoted if it can be, else as a literal.
std::string to_string(std::string_view text);

}  // namespace poplar::managesieve
