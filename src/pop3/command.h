#pragma once
// The grammar of POP3 commands: bytes in, values out, no I/O.
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <variant>

#include "pop3/texts.h"

namespace poplar::pop3 {

using MessageNumber = std::uint32_t;  ///< as the client wrote it; there may be no such message

// RFC 1939 s4 to s7. The texts point into the line.
struct User {
    std::string_view name;
};
struct Pass {
    std::string_view password;  ///< the rest of the line as it is, spaces and all; may be empty
};
struct Apop {
    std::string_view name, digest;  ///< RFC 1939 s7; any word is taken as a digest
};
struct Quit {};
struct Stat {};
struct List {
    std::optional<MessageNumber> message;
};
struct Retr {
    MessageNumber message;
};
struct Dele {
    MessageNumber message;
};
struct Noop {};
struct Rset {};
struct Top {
    MessageNumber message;
    std::uint64_t lines;
};
struct Uidl {
    std::optional<MessageNumber> message;
};
// Extensions.
struct Capa {};              // RFC 2449 s5
struct Stls {};              // RFC 2595 s4
struct Utf8 {};              // RFC 6856 s2.1
struct Lang {                // RFC 6856 s3.2
    std::string_view range;  ///< empty: the client asks for the list
};
struct Auth {                                          // RFC 5034 s4
    std::string_view mechanism;                        ///< empty: the client asks for the list
    std::optional<std::string_view> initial_response;  ///< not decoded; "=" is an empty one
};

inline constexpr Text kUnknownCommand = "unknown command";

using Command =
    std::variant<User, Pass, Apop, Quit, Stat, List, Retr, Dele, Noop, Rset, Top, Uidl, Capa, Stls, Auth, Utf8, Lang>;

/// Parses one command line, without its line end. Any bytes are allowed in `line`. Keywords in any case (RFC 1939 s3);
/// more spaces than one between arguments, and spaces at the end, are forgiven, except in a password. The error is the
/// reply's text: kUnknownCommand, or what the command wants for arguments.
std::expected<Command, Text> parse_command(std::string_view line);

}  // namespace poplar::pop3
