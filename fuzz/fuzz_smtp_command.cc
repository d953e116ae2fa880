// SMTP and LMTP command lines of any octets: a command that keeps its promises, or the reply that the line earns.
#include "base/ascii.h"
#include "fuzz/check.h"
#include "smtp/command.h"

namespace poplar::smtp {
namespace {

bool printable(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

void check(const Hello& hello) { CHECK(hello.name.size() <= 255 && printable(hello.name)); }

void check(const Mail& mail) {
    if (!mail.from) return;
    const auto back = mail::parse_address(mail::to_string(*mail.from), mail::Grammar::tolerant);
    CHECK(back && *back == *mail.from);
}

void check(const Rcpt& rcpt) {
    if (rcpt.to.domain.empty()) {
        CHECK(ascii::same(rcpt.to.local, "postmaster"));
        return;
    }
    const auto back = mail::parse_address(mail::to_string(rcpt.to));
    CHECK(back && *back == rcpt.to);
    const auto& notify = rcpt.notify;
    CHECK(!notify.never || !(notify.success || notify.failure || notify.delay));
}

void check(const auto&) {}

void check_line(std::string_view line) {
    const auto command = parse_command(line);
    if (!command) {
        const Reply& reply = command.error();
        CHECK(reply.code >= 400 && reply.code < 600);
        const std::string text = format(reply);
        CHECK(text.ends_with("\r\n") && printable(std::string_view(text).substr(0, text.size() - 2)));
        return;
    }
    std::visit([](const auto& c) { check(c); }, *command);
    CHECK(line.starts_with(verb_of(line)));
}

}  // namespace
}  // namespace poplar::smtp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::smtp::check_line(poplar::fuzz::Input(data, size).rest());
    return 0;
}
