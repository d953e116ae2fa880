// The grammar: what is understood, and what is refused with which code.
#include "smtp/command.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "smtp/parameters.h"

namespace poplar::smtp {
namespace {

// The parsed command as text, or the refusal's code and status.
std::string show(const Hello& h) {
    auto verb = h.verb == Hello::Verb::ehlo ? "ehlo" : h.verb == Hello::Verb::helo ? "helo" : "lhlo";
    return std::string(verb) + " " + h.name;
}
std::string show(const Mail& m) {
    std::string out = "mail " + (m.from ? mail::to_string(*m.from) : "<>");
    if (m.size) out += " size=" + std::to_string(*m.size);
    if (m.body == Mail::Body::eight_bit) out += " 8bit";
    if (m.smtputf8) out += " utf8";
    if (m.ret != Mail::Return::unspecified) out += m.ret == Mail::Return::full ? " full" : " headers";
    if (!m.envid.empty()) out += " envid=" + m.envid;
    if (m.hold_for) out += " for=" + std::to_string(*m.hold_for);
    if (m.hold_until) out += " until=" + std::to_string(m.hold_until->time_since_epoch().count() / 1000);
    if (m.authenticated_as) out += " auth";
    return out;
}
std::string show(const Rcpt& r) {
    std::string out = "rcpt " + (r.to.domain.empty() ? r.to.local : mail::to_string(r.to));
    if (r.notify.given)
        out += std::string(" notify=") + (r.notify.never ? "n" : "") + (r.notify.success ? "s" : "") +
               (r.notify.failure ? "f" : "") + (r.notify.delay ? "d" : "");
    if (!r.orcpt.empty()) out += " orcpt=" + r.orcpt;
    return out;
}
std::string show(const Bdat& b) { return "bdat " + std::to_string(b.octets) + (b.last ? " last" : ""); }
std::string show(const Data&) { return "data"; }
std::string show(const Rset&) { return "rset"; }
std::string show(const Noop&) { return "noop"; }
std::string show(const Quit&) { return "quit"; }
std::string show(const Vrfy&) { return "vrfy"; }
std::string show(const Expn&) { return "expn"; }
std::string show(const Help&) { return "help"; }
std::string show(const StartTls&) { return "starttls"; }
std::string show(const Auth& a) {
    return "auth " + a.mechanism + (a.initial_response ? " " + *a.initial_response : "");
}
std::string show(const Xclient&) { return "XCLIENT"; }  // xclient_test.cc

std::string parsed(std::string_view line) {
    auto command = parse_command(line);
    if (!command) return std::to_string(command.error().code) + " " + std::string(command.error().status);
    return std::visit([](const auto& c) { return show(c); }, *command);
}

struct Case {
    std::string line, expected;
};

void check(std::initializer_list<Case> cases) {
    for (const auto& [line, expected] : cases) EXPECT_EQ(parsed(line), expected) << '"' << line << '"';
}

TEST(SmtpCommand, KnowsEachVerbInAnyCase) {
    check({{"DATA", "data"},
           {"data", "data"},
           {"dAtA  ", "data"},
           {"DATA \t", "data"},
           {"RSET", "rset"},
           {"QUIT", "quit"},
           {"NOOP", "noop"},
           {"NOOP anything at all", "noop"},
           {"HELP", "help"},
           {"HELP MAIL", "help"},
           {"VRFY someone", "vrfy"},
           {"EXPN list", "expn"},
           {"STARTTLS", "starttls"},
           {"EHLO client.example", "ehlo client.example"},
           {"HELO client.example ", "helo client.example"},
           {"LHLO [192.0.2.1]", "lhlo [192.0.2.1]"},
           {"EHLO [IPv6:2001:db8::1]", "ehlo [IPv6:2001:db8::1]"},
           {"EHLO MY_PC", "ehlo MY_PC"},
           {"EHLO b\xc3\xbc"
            "cher.example",
            "ehlo b\xc3\xbc"
            "cher.example"}});
}

TEST(SmtpCommand, RefusesWhatIsNoCommand) {
    check({{"", "500 5.5.2"},
           {" ", "500 5.5.2"},
           {" NOOP", "500 5.5.2"},
           {"MAILFROM:<a@b.example>", "500 5.5.2"},
           {"DATAX", "500 5.5.2"},
           {"DAT", "500 5.5.2"},
           {"\x80\xff", "500 5.5.2"},
           {std::string("NO\0OP", 5), "500 5.5.2"},
           {"NO\tOP", "500 5.5.2"},
           {"etrn example.org", "502 5.5.1"}});
}

TEST(SmtpCommand, ReadsMechanismsWithTheirInitialResponse) {
    check({{"AUTH PLAIN", "auth PLAIN"},
           {"auth plain AGEAYg== ", "auth plain AGEAYg=="},
           {"AUTH EXTERNAL =", "auth EXTERNAL ="},
           {"AUTH", "501 5.5.4"},
           {"AUTH PLAIN a b", "501 5.5.4"}});
}

TEST(SmtpCommand, RefusesArgumentsWhereThereAreNone) {
    check({{"DATA now", "501 5.5.4"},
           {"RSET x", "501 5.5.4"},
           {"QUIT x", "501 5.5.4"},
           {"STARTTLS x", "501 5.5.4"},
           {"VRFY", "501 5.5.4"},
           {"EXPN  ", "501 5.5.4"},
           {"EHLO", "501 5.5.4"},
           {"HELO ", "501 5.5.4"},
           {"EHLO two words", "501 5.5.4"},
           {"EHLO a\tb", "501 5.5.4"},
           {"EHLO " + std::string(255, 'a'), "ehlo " + std::string(255, 'a')},
           {"EHLO " + std::string(256, 'a'), "501 5.5.4"}});
}

TEST(SmtpCommand, ReadsReversePaths) {
    check({{"MAIL FROM:<a@b.example>", "mail a@b.example"},
           {"mail from:<a@b.example>", "mail a@b.example"},
           {"MAIL FROM:<>", "mail <>"},
           {"MAIL FROM: <>", "mail <>"},
           {"MAIL FROM: <a@b.example>", "mail a@b.example"},
           {"MAIL  FROM:  <a@b.example>  ", "mail a@b.example"},
           {"MAIL FROM:<a@b.example>\t", "mail a@b.example"},
           {"MAIL FROM:<a..b.@b.example>", "mail \"a..b.\"@b.example"},
           {"MAIL FROM:<a@b_c.example>", "mail a@b_c.example"},
           {"MAIL FROM:<" + std::string(255, 'a') + "@b.example>", "mail " + std::string(255, 'a') + "@b.example"},
           {"MAIL FROM:a@b.example", "mail a@b.example"},
           {"MAIL FROM:a@b.example SIZE=5", "mail a@b.example size=5"},
           {"MAIL FROM:<a@[192.0.2.1]>", "mail a@[192.0.2.1]"},
           {"MAIL FROM:<a@[IPv6:2001:db8::1]>", "mail a@[IPv6:2001:db8::1]"},
           {"MAIL FROM:<\"a b>c\"@b.example>", "mail \"a b>c\"@b.example"},
           {"MAIL FROM:<\"a\\\"> b\"@b.example> SIZE=1", "mail \"a\\\"> b\"@b.example size=1"},
           {"MAIL FROM:<@one.example,@two.example:a@b.example>", "mail a@b.example"},
           {"MAIL FROM:<j\xc3\xb6rg@b.example>", "mail j\xc3\xb6rg@b.example"}});
}

TEST(SmtpCommand, RefusesBrokenReversePaths) {
    check({{"MAIL", "501 5.5.4"},
           {"MAIL FROM", "501 5.5.4"},
           {"MAIL FROM <a@b.example>", "501 5.5.4"},
           {"MAIL TO:<a@b.example>", "501 5.5.4"},
           {"MAIL FROM:", "501 5.1.7"},
           {"MAIL FROM:<a@b.example", "501 5.1.7"},
           {"MAIL FROM:<\"a@b.example>", "501 5.1.7"},
           {"MAIL FROM:<a@b.example>SIZE=1", "501 5.1.7"},
           {"MAIL FROM:<a@b.example>>", "501 5.1.7"},
           {"MAIL FROM:<a>", "501 5.1.7"},
           {"MAIL FROM:<a@>", "501 5.1.7"},
           {"MAIL FROM:<@one.example>", "501 5.1.7"},
           {"MAIL FROM:<@one.example:>", "501 5.1.7"},
           {"MAIL FROM:<a@b@c.example>", "501 5.1.7"},
           {"MAIL FROM:<" + std::string(256, 'a') + "@b.example>", "501 5.1.7"}});
}

TEST(SmtpCommand, ReadsForwardPaths) {
    check({{"RCPT TO:<a@b.example>", "rcpt a@b.example"},
           {"RCPT TO: a@b.example", "rcpt a@b.example"},
           {"RCPT TO:<@relay.example:a@b.example>", "rcpt a@b.example"},
           {"RCPT TO:<postmaster>", "rcpt postmaster"},
           {"RCPT TO:<Postmaster>", "rcpt Postmaster"},
           {"RCPT TO:<>", "501 5.1.3"},
           {"RCPT TO:<abuse>", "501 5.1.3"},
           {"RCPT TO:", "501 5.1.3"},
           {"RCPT FROM:<a@b.example>", "501 5.5.4"}});
}

TEST(SmtpCommand, ReadsParametersOfMail) {
    check({{"MAIL FROM:<> SIZE=0", "mail <> size=0"},
           {"MAIL FROM:<> size=12345 body=8bitmime smtputf8", "mail <> size=12345 8bit utf8"},
           {"MAIL FROM:<>   BODY=7BIT   RET=HDRS", "mail <> headers"},
           {"MAIL FROM:<> RET=full ENVID=QQ314159+2B", "mail <> full envid=QQ314159+"},
           {"MAIL FROM:<> SIZE", "501 5.5.4"},
           {"MAIL FROM:<> SIZE=", "501 5.5.4"},
           {"MAIL FROM:<> SIZE=-1", "501 5.5.4"},
           {"MAIL FROM:<> SIZE=1x", "501 5.5.4"},
           {"MAIL FROM:<> SIZE=123456789012345678901", "501 5.5.4"},
           {"MAIL FROM:<> SIZE=99999999999999999999", "552 5.3.4"},
           {"MAIL FROM:<> SIZE=1 SIZE=1", "501 5.5.4"},
           {"MAIL FROM:<> BODY", "501 5.5.4"},
           {"MAIL FROM:<> BODY=BINARYMIME", "504 5.5.4"},
           {"MAIL FROM:<> SMTPUTF8=1", "501 5.5.4"},
           {"MAIL FROM:<> REQUIRETLS=1", "501 5.5.4"},
           {"MAIL FROM:<> RET=SOME", "501 5.5.4"},
           {"MAIL FROM:<> ENVID=a+2", "501 5.5.4"},
           {"MAIL FROM:<> ENVID=a+0A", "501 5.5.4"},
           {"MAIL FROM:<> ENVID=" + std::string(100, 'e'), "mail <> envid=" + std::string(100, 'e')},
           {"MAIL FROM:<> ENVID=" + std::string(101, 'e'), "501 5.5.4"},
           {"MAIL FROM:<> AUTH=", "501 5.5.4"},
           {"MAIL FROM:<> AUTH=a+2", "501 5.5.4"},
           {"MAIL FROM:<> AUTH=<>", "mail <> auth"},
           {"MAIL FROM:<> HOLDFOR=86400", "mail <> for=86400"},
           {"MAIL FROM:<> HOLDFOR=", "501 5.5.4"},
           {"MAIL FROM:<> HOLDFOR=-1", "501 5.5.4"},
           {"MAIL FROM:<> HOLDFOR=1234567890", "501 5.5.4"},
           {"MAIL FROM:<> HOLDUNTIL=2030-01-02T03:04:05Z", "mail <> until=1893553445"},
           {"MAIL FROM:<> HOLDUNTIL=2030-02-30T00:00:00Z", "501 5.5.4"},
           {"MAIL FROM:<> HOLDUNTIL=2030-01-02T24:00:00Z", "501 5.5.4"},
           {"MAIL FROM:<> HOLDUNTIL=2030-01-02T03:04:05+01:00", "501 5.5.4"},
           {"MAIL FROM:<> HOLDUNTIL=tomorrow", "501 5.5.4"},
           {"MAIL FROM:<> NOTIFY=NEVER", "555 5.5.4"},
           {"MAIL FROM:<> -X", "501 5.5.4"},
           {"MAIL FROM:<> X=", "501 5.5.4"},
           {"MAIL FROM:<> =1", "501 5.5.4"}});
}

TEST(SmtpCommand, ReadsParametersOfRcpt) {
    check({{"RCPT TO:<a@b.example> NOTIFY=NEVER", "rcpt a@b.example notify=n"},
           {"RCPT TO:<a@b.example> NOTIFY=success,DELAY,FAILURE", "rcpt a@b.example notify=sfd"},
           {"RCPT TO:<a@b.example> ORCPT=rfc822;x+2By@c.example", "rcpt a@b.example orcpt=rfc822;x+y@c.example"},
           {"RCPT TO:<a@b.example> NOTIFY=NEVER,DELAY", "501 5.5.4"},
           {"RCPT TO:<a@b.example> NOTIFY=", "501 5.5.4"},
           {"RCPT TO:<a@b.example> NOTIFY=DELAY,", "501 5.5.4"},
           {"RCPT TO:<a@b.example> ORCPT=x@c.example", "501 5.5.4"},
           {"RCPT TO:<a@b.example> ORCPT=rfc822;", "501 5.5.4"},
           {"RCPT TO:<a@b.example> SIZE=1", "555 5.5.4"}});
}

TEST(SmtpCommand, ReadsChunkSizes) {
    check({{"BDAT 0", "bdat 0"},
           {"BDAT 86 LAST", "bdat 86 last"},
           {"bdat 86  last ", "bdat 86 last"},
           {"BDAT 18446744073709551615", "bdat 18446744073709551615"},
           {"BDAT 18446744073709551616", "501 5.5.4"},
           {"BDAT", "501 5.5.4"},
           {"BDAT LAST", "501 5.5.4"},
           {"BDAT -1", "501 5.5.4"},
           {"BDAT +1", "501 5.5.4"},
           {"BDAT 0x10", "501 5.5.4"},
           {"BDAT 1 FIRST", "501 5.5.4"},
           {"BDAT 1 LAST LAST", "501 5.5.4"}});
}

TEST(SmtpXtext, DecodesHexAndRefusesControls) {
    EXPECT_EQ(decode_xtext("a+2Bb+3D"), "a+b=");
    EXPECT_EQ(decode_xtext(""), "");
    for (auto bad : {"a+2", "a+", "a+2b", "a=b", "a b", "+00", "+7F", "a\x01"}) EXPECT_FALSE(decode_xtext(bad)) << bad;
}

TEST(SmtpReply, HasItsEnhancedCodeWhereItHasOne) {
    EXPECT_EQ(format(replies::kUnknownUser), "550 5.1.1 No such user here\r\n");
    EXPECT_EQ(format(replies::kStored, "x1"), "250 2.0.0 Ok: stored as x1\r\n");
    EXPECT_EQ(format(replies::kGoAhead), "354 End data with <CR><LF>.<CR><LF>\r\n");
}

}  // namespace
}  // namespace poplar::smtp
