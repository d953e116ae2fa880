// ManageSieve's grammar: what is a command, what is none, and that a literal is never one.
#include "managesieve/command.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace poplar::managesieve {
namespace {

/// Writes a command in one spelling.
struct Show {
    std::string operator()(const Authenticate& one) const {
        return fmt::format("authenticate {} {}", one.mechanism, one.initial_response.value_or("-"));
    }
    std::string operator()(const StartTls&) const { return "starttls"; }
    std::string operator()(const Logout&) const { return "logout"; }
    std::string operator()(const Capability&) const { return "capability"; }
    std::string operator()(const HaveSpace& one) const {
        return fmt::format("havespace <{}> {}", one.name, one.octets);
    }
    std::string operator()(const PutScript& one) const { return fmt::format("put <{}> <{}>", one.name, one.text); }
    std::string operator()(const ListScripts&) const { return "list"; }
    std::string operator()(const SetActive& one) const { return fmt::format("activate <{}>", one.name); }
    std::string operator()(const GetScript& one) const { return fmt::format("get <{}>", one.name); }
    std::string operator()(const DeleteScript& one) const { return fmt::format("delete <{}>", one.name); }
    std::string operator()(const RenameScript& one) const { return fmt::format("rename <{}> <{}>", one.from, one.to); }
    std::string operator()(const CheckScript& one) const { return fmt::format("check <{}>", one.text); }
    std::string operator()(const Noop& one) const { return fmt::format("noop {}", one.tag.value_or("-")); }
    std::string operator()(const Unauthenticate&) const { return "unauthenticate"; }
};

/// Reads `input`, lines with CRLF and literals: each command, "!" and why for each that is none, and "?" where
/// nobody knows how to go on.
std::string read(std::string_view input, std::uint64_t most = 1000) {
    std::string out;
    CommandReader reader;
    while (!input.empty()) {
        const auto end = input.find("\r\n");
        const auto line = input.substr(0, end);
        input.remove_prefix(end == input.npos ? input.size() : end + 2);
        const auto then = reader.line(line);
        if (then == CommandReader::Then::hopeless) return out + "?";
        if (then == CommandReader::Then::literal) {
            const auto octets = std::min<std::uint64_t>(reader.literal_octets(), input.size());
            if (reader.literal_octets() > most)
                reader.literal_too_large();
            else if (reader.wants_literal())
                reader.literal(std::string(input.substr(0, octets)));
            input.remove_prefix(octets);
            continue;
        }
        auto command = reader.finish();
        if (!out.empty()) out += "; ";
        if (command)
            out += std::visit(Show(), *command);
        else
            out += fmt::format("!{}{}", command.error().too_large ? "too large: " : "", command.error().text);
        reader = CommandReader();
    }
    return out;
}

TEST(ManageSieveCommand, IsUnderstood) {
    for (const auto& [input, wanted] : {
             std::pair<std::string_view, std::string_view>{"CAPABILITY", "capability"},
             {"capability", "capability"},
             {"Logout", "logout"},
             {"STARTTLS", "starttls"},
             {"UnAuthenticate", "unauthenticate"},
             {"LISTSCRIPTS", "list"},
             {"NOOP", "noop -"},
             {"NOOP \"\"", "noop "},
             {"NOOP \"a \\\"b\\\\\"", "noop a \"b\\"},
             {"NOOP {3+}\r\na\"b\r\n", "noop a\"b"},
             {"NOOP {0+}\r\n\r\n", "noop "},
             {"AUTHENTICATE \"PLAIN\"", "authenticate PLAIN -"},
             {"AUTHENTICATE \"PLAIN\" \"\"", "authenticate PLAIN "},
             {"AUTHENTICATE \"PLAIN\" {4+}\r\nAAAA\r\n", "authenticate PLAIN AAAA"},
             {"AUTHENTICATE {5+}\r\nPLAIN {4+}\r\nAAAA\r\n", "authenticate PLAIN AAAA"},
             {"HAVESPACE \"my script\" 4294967296", "havespace <my script> 4294967296"},
             {"PUTSCRIPT \"m\" {6+}\r\nkeep;\n\r\n", "put <m> <keep;\n>"},
             {"PUTSCRIPT \"m\" \"keep;\"", "put <m> <keep;>"},
             {"PUTSCRIPT {1+}\r\nm {0+}\r\n\r\n", "put <m> <>"},
             {"SETACTIVE \"\"", "activate <>"},
             {"GETSCRIPT \"\xc3\xa4\"", "get <\xc3\xa4>"},
             {"DELETESCRIPT \"x\"", "delete <x>"},
             {"RENAMESCRIPT \"x\"  \"y\" ", "rename <x> <y>"},
             {"CHECKSCRIPT {4+}\r\nstop\r\n", "check <stop>"},
         })
        EXPECT_EQ(read(input), wanted) << input;
}

TEST(ManageSieveCommand, IsRefusedWithAReason) {
    const std::string arguments = "!the arguments are not those of this command";
    const std::string syntax = "!the command can't be understood", none = "!there is no such command";
    const std::string quoted = "!a quoted string can't be read";
    for (const auto& [input, wanted] : {
             std::pair<std::string_view, std::string>{"\r\n", "!an empty line is no command"},
             {" NOOP", none},
             {"HELO", none},
             {"GETSCRIPT", arguments},
             {"GETSCRIPT \"a\" \"b\"", arguments},
             {"GETSCRIPT \"a\" \"b\" \"c\"", arguments},
             {"GETSCRIPT 5", arguments},
             {"GETSCRIPT a", syntax},
             {"GETSCRIPT \"a\"x", syntax},
             {"GETSCRIPT \"a", quoted},
             {"GETSCRIPT \"a\\n\"", quoted},
             {"GETSCRIPT \"a\\", quoted},
             {"GETSCRIPT \"\xff\"", quoted},
             {std::string_view("GETSCRIPT \"a\0\"", 14), quoted},
             {"GETSCRIPT \"a\rb\"", quoted},
             {"HAVESPACE \"a\" \"5\"", arguments},
             {"HAVESPACE \"a\" -5", syntax},
             {"HAVESPACE \"a\" 18446744073709551616", syntax},
             {"HAVESPACE 5 \"a\"", arguments},
             {"LOGOUT now", syntax},
             {"LOGOUT \"now\"", arguments},
             {"NOOP{3+}\r\nabc\r\n", syntax},
         })
        EXPECT_EQ(read(input), wanted) << input;
}

TEST(ManageSieveCommand, OctetsOfALiteralAreNeverACommand) {
    for (const auto& [input, wanted] : {
             std::pair<std::string_view, std::string_view>{"HELO {8+}\r\nLOGOUT\r\n\r\nNOOP",
                                                           "!there is no such command; noop -"},
             {"LOGOUT {8+}\r\nLOGOUT\r\n\r\nNOOP", "!the arguments are not those of this command; noop -"},
             {"GETSCRIPT \"a {8+}\r\nLOGOUT\r\n\r\nNOOP", "!a quoted string can't be read; noop -"},
             {"PUTSCRIPT \"a\" \"b\" {8+}\r\nLOGOUT\r\n\r\nNOOP",
              "!the arguments are not those of this command; noop -"},
             {"PUTSCRIPT \"a\" {1001+}\r\n", ""},
             {"PUTSCRIPT \"a\" {8}\r\nLOGOUT\r\n\r\nNOOP", "?"},
             {"PUTSCRIPT \"a\" {99999999999999999999+}\r\nLOGOUT\r\n", "?"},
             {"CHECKSCRIPT {3+}\r\nabcLOGOUT\r\nNOOP", "!the command can't be understood; noop -"},
         })
        EXPECT_EQ(read(input), wanted) << input;
    const std::string large(1001, 'x');
    EXPECT_EQ(read("PUTSCRIPT \"a\" {1001+}\r\n" + large + "\r\nNOOP"), "!too large: the literal is too large; noop -");
    EXPECT_EQ(read("HELO {1001+}\r\n" + large + "\r\nNOOP"), "!there is no such command; noop -");
}

TEST(ManageSieveResponse, IsOneStringAlone) {
    auto read_response = [](std::string_view first, std::string literal = {}, std::string_view second = {}) {
        ResponseReader reader;
        const auto then = reader.line(first);
        if (then == CommandReader::Then::hopeless) return std::string("?");
        if (then == CommandReader::Then::literal) {
            if (reader.wants_literal()) reader.literal(std::move(literal));
            if (reader.line(second) != CommandReader::Then::finish) return std::string("more");
        }
        return reader.finish().value_or("none");
    };
    EXPECT_EQ(read_response("\"AAAA\""), "AAAA");
    EXPECT_EQ(read_response("\"\""), "");
    EXPECT_EQ(read_response("\"*\""), "*");
    EXPECT_EQ(read_response("{4+}", "AAAA"), "AAAA");
    EXPECT_EQ(read_response("AAAA"), "none");
    EXPECT_EQ(read_response("*"), "none");
    EXPECT_EQ(read_response(""), "none");
    EXPECT_EQ(read_response("\"AAAA\" "), "none");
    EXPECT_EQ(read_response("{4+}", "AAAA", "x"), "none");
    EXPECT_EQ(read_response("\"A\" {4+}", "AAAA"), "none");
    EXPECT_EQ(read_response("{4}", "AAAA"), "?");
}

TEST(ManageSieveString, IsQuotedWhereItCanBe) {
    EXPECT_EQ(to_string(""), "\"\"");
    EXPECT_EQ(to_string("a \"b\" \\"), "\"a \\\"b\\\" \\\\\"");
    EXPECT_EQ(to_string("\xc3\xa4"), "\"\xc3\xa4\"");
    EXPECT_EQ(to_string("a\r\nb"), "{4}\r\na\r\nb");
    EXPECT_EQ(to_string("\xff"), "{1}\r\n\xff");
    EXPECT_EQ(to_string(std::string(1025, 'x')), "{1025}\r\n" + std::string(1025, 'x'));
}

}  // namespace
}  // namespace poplar::managesieve
