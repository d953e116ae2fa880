// POP3 command lines of any octets: what is understood, written the plain way, is understood the same; texts stay
// inside the line; a password is what follows the one space.
#include <fmt/format.h>

#include "fuzz/check.h"
#include "pop3/command.h"

namespace poplar::pop3 {
namespace {

bool inside(std::string_view text, std::string_view line) {
    return text.data() >= line.data() && text.data() + text.size() <= line.data() + line.size();
}

std::string of_message(std::string_view keyword, std::optional<MessageNumber> message) {
    return message ? fmt::format("{} {}", keyword, *message) : std::string(keyword);
}

struct Plain {
    std::string_view line;
    std::string operator()(const User& user) const {
        CHECK(!user.name.empty() && inside(user.name, line));
        return fmt::format("USER {}", user.name);
    }
    std::string operator()(const Pass& pass) const {
        CHECK(inside(pass.password, line) && line.size() == 5 + pass.password.size());
        return fmt::format("PASS {}", pass.password);
    }
    std::string operator()(const Apop& apop) const {
        CHECK(!apop.name.empty() && !apop.digest.empty() && inside(apop.name, line) && inside(apop.digest, line));
        return fmt::format("APOP {} {}", apop.name, apop.digest);
    }
    std::string operator()(const Auth& auth) const {
        CHECK(!auth.mechanism.contains(' '));
        if (!auth.initial_response) return fmt::format("AUTH {}", auth.mechanism);
        CHECK(!auth.mechanism.empty() && inside(*auth.initial_response, line));
        return fmt::format("AUTH {} {}", auth.mechanism, *auth.initial_response);
    }
    std::string operator()(const Top& top) const { return fmt::format("TOP {} {}", top.message, top.lines); }
    std::string operator()(const List& list) const { return of_message("LIST", list.message); }
    std::string operator()(const Uidl& uidl) const { return of_message("UIDL", uidl.message); }
    std::string operator()(const Retr& retr) const { return of_message("RETR", retr.message); }
    std::string operator()(const Dele& dele) const { return of_message("DELE", dele.message); }
    std::string operator()(const Quit&) const { return "QUIT"; }
    std::string operator()(const Stat&) const { return "STAT"; }
    std::string operator()(const Noop&) const { return "NOOP"; }
    std::string operator()(const Rset&) const { return "RSET"; }
    std::string operator()(const Capa&) const { return "CAPA"; }
    std::string operator()(const Stls&) const { return "STLS"; }
    std::string operator()(const Utf8&) const { return "UTF8"; }
    std::string operator()(const Lang& c) const { return "LANG " + std::string(c.range); }
};

void check(std::string_view line) {
    const auto command = parse_command(line);
    if (!command) return;
    const std::string plain = std::visit(Plain{line}, *command);
    const auto again = parse_command(plain);
    CHECK(again && again->index() == command->index());
    CHECK(std::visit(Plain{plain}, *again) == plain);
}

}  // namespace
}  // namespace poplar::pop3

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::pop3::check(poplar::fuzz::Input(data, size).rest());
    return 0;
}
