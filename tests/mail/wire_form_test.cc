// Wire form, both ways, held against a plain reference; the end of DATA and nothing like it; TOP.
#include "mail/wire_form.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

namespace poplar::mail {
namespace {

using namespace std::string_literals;

constexpr auto kNormalize = BareNewlines::normalize;
constexpr auto kReject = BareNewlines::reject;

struct Decoded {
    std::string wire;
    std::size_t consumed = 0;
    bool at_end = false, bare = false;
    std::uint64_t octets = 0, wire_octets = 0;
    bool operator==(const Decoded&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Decoded& d) {
    return out << testing::PrintToString(d.wire) << " consumed " << d.consumed << " end " << d.at_end << " bare "
               << d.bare << " octets " << d.octets << '/' << d.wire_octets;
}

/// Decodes `pieces` one after the other, and holds each step against the promised bound on growth and against what is
/// decoded in place.
Decoded decode(const std::vector<std::string_view>& pieces, BareNewlines policy = kNormalize) {
    DataDecoder decoder(policy), in_place(policy);
    Decoded d;
    for (std::string_view piece : pieces) {
        std::string out, changed;
        const auto used = decoder.decode(piece, out);
        const auto same = in_place.decode_in_place(piece, changed);
        EXPECT_EQ(same.wire, out);
        EXPECT_EQ(same.used, used);
        EXPECT_EQ(in_place.sizes().wire_octets, decoder.sizes().wire_octets);
        d.consumed += used;
        EXPECT_LE(out.size(), 2 * piece.size() + 4);
        d.wire += out;
    }
    d.at_end = decoder.at_end();
    d.bare = decoder.bare_newline();
    d.octets = decoder.sizes().octets;
    d.wire_octets = decoder.sizes().wire_octets;
    return d;
}
Decoded decode(std::string_view in, BareNewlines policy = kNormalize) { return decode(std::vector{in}, policy); }

struct Encoded {
    std::string wire;
    bool bare = false;
    std::uint64_t octets = 0, wire_octets = 0;
    bool operator==(const Encoded&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Encoded& e) {
    return out << testing::PrintToString(e.wire) << " bare " << e.bare << " octets " << e.octets << '/'
               << e.wire_octets;
}

Encoded encode(const std::vector<std::string_view>& pieces, BareNewlines policy = kNormalize) {
    WireEncoder encoder(policy);
    Encoded e;
    for (std::string_view piece : pieces) {
        std::string out;
        encoder.encode(piece, out);
        EXPECT_LE(out.size(), 2 * piece.size() + 4);
        e.wire += out;
    }
    encoder.finish(e.wire);
    e.bare = encoder.bare_newline();
    e.octets = encoder.sizes().octets;
    e.wire_octets = encoder.sizes().wire_octets;
    return e;
}
Encoded encode(std::string_view in, BareNewlines policy = kNormalize) { return encode(std::vector{in}, policy); }

std::string plain(const std::vector<std::string_view>& pieces) {
    WireDecoder decoder;
    std::string out;
    for (auto piece : pieces) decoder.decode(piece, out);
    return out;
}

// --- The reference: the same rules, one octet at a time, over the whole text ---------------------------------------

/// CRLF canon: LF alone becomes CRLF, CR alone a space.
std::string canon(std::string_view in) {
    std::string out;
    for (std::size_t i = 0; i < in.size(); ++i) {
        if (in[i] == '\r' && i + 1 < in.size() && in[i + 1] == '\n') {
            out += "\r\n";
            ++i;
        } else if (in[i] == '\n') {
            out += "\r\n";
        } else {
            out += in[i] == '\r' ? ' ' : in[i];
        }
    }
    return out;
}

std::string stuff(std::string_view canonical) {
    std::string out;
    for (std::size_t i = 0; i < canonical.size(); ++i) {
        if (canonical[i] == '.' && (i == 0 || canonical[i - 1] == '\n')) out += '.';
        out += canonical[i];
    }
    return out;
}

/// The plain octets before the end of data; nothing if the end isn't there.
std::optional<std::string> reference_data(std::string_view in) {
    const std::string framed = "\r\n" + std::string(in);  // the CRLF that ended the DATA line
    const std::size_t end = framed.find("\r\n.\r\n");
    if (end == std::string::npos) return std::nullopt;
    const std::string lines = framed.substr(0, end + 2);
    std::string content;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const bool starts = i >= 2 && lines[i - 1] == '\n' && lines[i - 2] == '\r';
        // A "." before a bare CR or LF makes no line of SMTP with it: it stays.
        const bool alone = i + 1 < lines.size() && (lines[i + 1] == '\n' || lines[i + 1] == '\r');
        if (starts && lines[i] == '.' && !alone) continue;
        content += lines[i];
    }
    return canon(content).substr(2);
}

std::string random_text(std::mt19937& random, std::string_view alphabet, std::size_t max) {
    std::string text(random() % (max + 1), '\0');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    return text;
}

std::vector<std::string_view> random_cuts(std::mt19937& random, std::string_view text) {
    std::vector<std::string_view> pieces;
    while (!text.empty()) {
        const std::size_t size = random() % std::min<std::size_t>(text.size() + 1, 40);
        pieces.push_back(text.substr(0, size));
        text.remove_prefix(size);
    }
    return pieces;
}

constexpr std::string_view kNasty("\r\n.\r\n..\r\n\r\n.\n\ra\0\xff", 17);

// --- DATA ------------------------------------------------------------------------------------------------------------

TEST(DataDecoder, TakesWellBehavedDataAsItIs) {
    EXPECT_EQ(decode("a: b\r\n\r\nbody\r\n.\r\n"), (Decoded{"a: b\r\n\r\nbody\r\n", 17, true, false, 14, 14}));
}

TEST(DataDecoder, CopiesNothingOfWellBehavedDataInPlace) {
    const std::string_view in = "a: b\r\n\r\nbody\r\n.\r\n";
    std::string out;
    auto decoded = DataDecoder(kReject).decode_in_place(in, out);
    EXPECT_EQ(decoded.wire.data(), in.data());
    EXPECT_EQ(decoded.wire, in.substr(0, 14));
    EXPECT_TRUE(out.empty());
    const std::string_view stuffed = "..a\r\n..\r\n...b\r\n.\r\n";  // as it will be sent again
    decoded = DataDecoder(kReject).decode_in_place(stuffed, out);
    EXPECT_EQ(decoded.wire.data(), stuffed.data());
    EXPECT_EQ(decoded.wire, stuffed.substr(0, stuffed.size() - 3));
    EXPECT_TRUE(out.empty());
    decoded = DataDecoder(kReject).decode_in_place("a\r\n.b\r\n.\r\n", out);
    EXPECT_EQ(decoded.wire.data(), out.data()) << "what has to be changed is a copy";
}

TEST(DataDecoder, DropsTheDotOfTransparencyAndStuffsAgain) {  // RFC 5321 s4.5.2
    struct Case {
        std::string_view in, wire;
        std::uint64_t octets;
    };
    for (auto [in, wire, octets] : {Case{"..x\r\n.\r\n", "..x\r\n", 4},
                                    {".x\r\n.\r\n", "x\r\n", 3},
                                    {"..\r\n.\r\n", "..\r\n", 3},
                                    {"...\r\n.\r\n", "...\r\n", 4},
                                    {".\r\n", "", 0},
                                    {"\r\n.\r\n", "\r\n", 2},
                                    {"a..\r\n.\r\n", "a..\r\n", 5}}) {
        auto d = decode(in);
        EXPECT_EQ(d.wire, wire) << testing::PrintToString(in);
        EXPECT_EQ(d.octets, octets) << testing::PrintToString(in);
        EXPECT_EQ(d.wire_octets, wire.size()) << testing::PrintToString(in);
        EXPECT_TRUE(d.at_end && !d.bare) << testing::PrintToString(in);
        EXPECT_EQ(d.consumed, in.size()) << testing::PrintToString(in);
    }
}

TEST(DataDecoder, ConsumesNothingBehindTheEnd) {
    DataDecoder decoder(kReject);
    std::string out;
    EXPECT_EQ(decoder.decode("x\r\n.\r\nMAIL FROM:<>\r\n", out), 6u);
    EXPECT_EQ(out, "x\r\n");
    EXPECT_EQ(decoder.decode("RSET\r\n", out), 0u);
    EXPECT_EQ(out, "x\r\n");
    EXPECT_TRUE(decoder.at_end());
}

// CVE-2023-51764, CVE-2023-51765, CVE-2023-51766 and kin: what other servers took, or passed on, as the end of data.
TEST(DataDecoder, EndsOnlyAtCrlfDotCrlf) {
    struct Case {
        std::string separator, content;
        bool bare = true;
    };
    const std::vector<Case> cases = {
        {"\n.\r\n", "\r\n..\r\n"},
        {"\n.\n", "\r\n..\r\n"},
        {"\r\n.\n", "\r\n..\r\n"},
        {"\r.\r", " . "},
        {"\r.\r\n", " .\r\n"},
        {"\r.\n", " .\r\n"},
        {"\r\n.\r", "\r\n.. "},
        {"\n.\r", "\r\n.. "},
        {"\r\r\n.\n", " \r\n..\r\n"},
        {"\n\n.\r\n", "\r\n\r\n..\r\n"},
        {"\n\n.\n\n", "\r\n\r\n..\r\n\r\n"},
        {"\n\r.\r\n", "\r\n .\r\n"},
        {"\n\r\n.\n\r\n", "\r\n\r\n..\r\n\r\n"},
        {"\r\n.\r\r\n", "\r\n.. \r\n"},
        {"\r\n.\n\r\n", "\r\n..\r\n\r\n"},
        {"\r\n\0.\r\n"s, "\r\n\0.\r\n"s, false},
        {"\r\n.\0\r\n"s, "\r\n\0\r\n"s, false},
        {"\r\0\n.\r\n"s, " \0\r\n..\r\n"s},
        {"\r\n.\r\0\n"s, "\r\n.. \0\r\n"s},
        {"\0\r\n.\n"s, "\0\r\n..\r\n"s},
        {"\r\n. \r\n", "\r\n \r\n", false},
        {"\r\n.\t\r\n", "\r\n\t\r\n", false},
        {"\r\n .\r\n", "\r\n .\r\n", false},
        {"\r\n.\x0b\r\n", "\r\n\x0b\r\n", false},
        {"\xc2\x85.\xc2\x85", "\xc2\x85.\xc2\x85", false},
        {"\xe2\x80\xa8.\xe2\x80\xa8", "\xe2\x80\xa8.\xe2\x80\xa8", false},
    };
    for (const auto& [separator, content, bare] : cases) {
        const std::string in = "A: 1\r\n\r\nfirst" + separator + "MAIL FROM:<evil@example>\r\n.\r\nQUIT\r\n";
        for (auto policy : {kNormalize, kReject}) {
            for (std::size_t cut = 0; cut <= in.size(); ++cut) {
                auto d = decode({std::string_view(in).substr(0, cut), std::string_view(in).substr(cut)}, policy);
                EXPECT_TRUE(d.at_end) << testing::PrintToString(separator) << " cut " << cut;
                EXPECT_EQ(d.consumed, in.size() - 6) << testing::PrintToString(separator) << " cut " << cut;
                EXPECT_EQ(d.bare, bare) << testing::PrintToString(separator);
                if (policy == kNormalize || !bare)
                    EXPECT_EQ(d.wire, "A: 1\r\n\r\nfirst" + content + "MAIL FROM:<evil@example>\r\n")
                        << testing::PrintToString(separator) << " cut " << cut;
            }
        }
    }
}

TEST(DataDecoder, WhatItStoresHasNoLineThatOthersTakeForTheEnd) {
    std::mt19937 random(1);
    for (int i = 0; i < 20000; ++i) {
        const std::string wire = decode(random_text(random, kNasty, 60)).wire;
        EXPECT_EQ(("\r\n" + wire).find("\r\n.\r"), std::string::npos) << testing::PrintToString(wire);
        for (std::size_t at = 0; at < wire.size(); ++at) {
            if (wire[at] == '\n') EXPECT_TRUE(at > 0 && wire[at - 1] == '\r') << testing::PrintToString(wire);
            if (wire[at] == '\r' && at + 1 < wire.size()) EXPECT_EQ(wire[at + 1], '\n') << testing::PrintToString(wire);
        }
    }
}

TEST(DataDecoder, AgreesWithTheReferenceOverAnyOctets) {
    std::mt19937 random(2);
    int ends = 0;
    for (int i = 0; i < 50000; ++i) {
        const std::string in = random_text(random, kNasty, 80);
        const auto expected = reference_data(in);
        const auto d = decode(in);
        ASSERT_EQ(d.at_end, expected.has_value()) << testing::PrintToString(in);
        if (!expected) {
            EXPECT_EQ(d.consumed, in.size());
            continue;
        }
        ++ends;
        EXPECT_EQ(d.wire, stuff(*expected)) << testing::PrintToString(in);
        EXPECT_EQ(d.octets, expected->size()) << testing::PrintToString(in);
        EXPECT_EQ(d.wire_octets, d.wire.size()) << testing::PrintToString(in);
    }
    EXPECT_GT(ends, 3000);
}

TEST(DataDecoder, GivesTheSameResultHoweverTheInputIsCut) {
    std::mt19937 random(3);
    for (int i = 0; i < 20000; ++i) {
        const std::string in = random_text(random, kNasty, 150);
        for (auto policy : {kNormalize, kReject})
            EXPECT_EQ(decode(random_cuts(random, in), policy), decode(in, policy)) << testing::PrintToString(in);
    }
}

TEST(DataDecoder, StoresNothingMoreOnceItRejects) {
    auto d = decode("one\r\ntwo\nthree\r\n.\r\n", kReject);
    EXPECT_EQ(d.wire, "one\r\ntwo");
    EXPECT_TRUE(d.bare && d.at_end);
    EXPECT_EQ(d.octets, 17u);  // counting goes on: the size limit still holds
}

/// Whole blocks of usual lines are looked at together: nothing unusual between them may be missed.
TEST(DataDecoder, SeesWhatIsUnusualWhereverItStandsAmongUsualLines) {
    constexpr std::string_view kUnusual[] = {"\r",         "\n",       ".",        "\r\n",      "\n.",
                                             "\r.",        "\r\r\n",   "\n\r",     "\r\n.\r\n", "\r\n.\n\r\n",
                                             "\r\n..\r\n", "\r\n.\rx", "\r\n.x\n."};
    for (std::size_t line : {0u, 5u, 62u, 63u, 100u}) {
        std::string usual;
        while (usual.size() < 300) usual += std::string(line, 'x') + "\r\n";
        for (auto unusual : kUnusual)
            for (std::size_t at = 0; at < 200; ++at) {
                auto in = usual;
                in.insert(at, unusual);
                std::vector<std::string_view> octets;
                for (std::size_t i = 0; i < in.size(); ++i) octets.push_back(std::string_view(in).substr(i, 1));
                for (auto policy : {kNormalize, kReject}) {
                    EXPECT_EQ(decode(in, policy), decode(octets, policy)) << testing::PrintToString(in);
                    EXPECT_EQ(encode(in, policy), encode(octets, policy)) << testing::PrintToString(in);
                }
            }
    }
}

// --- Encoding and decoding -------------------------------------------------------------------------------------------

TEST(WireEncoder, StuffsAndEndsTheLastLine) {
    struct Case {
        std::string_view in, wire;
        bool bare;
    };
    for (auto [in, wire, bare] : {Case{"", "", false},
                                  {"x", "x\r\n", false},
                                  {"x\r\n", "x\r\n", false},
                                  {".", "..\r\n", false},
                                  {".\r\n", "..\r\n", false},
                                  {".\r\n.\r\n", "..\r\n..\r\n", false},
                                  {"..x", "...x\r\n", false},
                                  {"a\n.b", "a\r\n..b\r\n", true},
                                  {"a\r.b", "a .b\r\n", true},
                                  {"a\r", "a \r\n", true},
                                  {"a\r\r\n", "a \r\n", true},
                                  {"\n", "\r\n", true},
                                  {"\r", " \r\n", true}}) {
        auto e = encode(in);
        EXPECT_EQ(e.wire, wire) << testing::PrintToString(in);
        EXPECT_EQ(e.bare, bare) << testing::PrintToString(in);
    }
}

TEST(WireEncoder, AgreesWithTheReferenceHoweverTheInputIsCut) {
    std::mt19937 random(4);
    for (int i = 0; i < 20000; ++i) {
        const std::string in = random_text(random, kNasty, 150);
        std::string content = canon(in);
        if (!content.empty() && !content.ends_with('\n')) content += "\r\n";
        const auto e = encode(in);
        ASSERT_EQ(e.wire, stuff(content)) << testing::PrintToString(in);
        EXPECT_EQ(e.octets, content.size()) << testing::PrintToString(in);
        EXPECT_EQ(e.wire_octets, e.wire.size()) << testing::PrintToString(in);
        EXPECT_EQ(encode(random_cuts(random, in)), e) << testing::PrintToString(in);
        const auto rejecting = encode(in, kReject);
        EXPECT_EQ(encode(random_cuts(random, in), kReject), rejecting) << testing::PrintToString(in);
        if (!e.bare) EXPECT_EQ(rejecting, e) << testing::PrintToString(in);
    }
}

TEST(WireDecoder, UndoesTheEncoderHoweverTheWireIsCut) {
    std::mt19937 random(5);
    for (int i = 0; i < 20000; ++i) {
        const std::string in = random_text(random, kNasty, 150);
        std::string content = canon(in);
        if (!content.empty() && !content.ends_with('\n')) content += "\r\n";
        const std::string wire = encode(in).wire;
        EXPECT_EQ(plain({wire}), content) << testing::PrintToString(wire);
        EXPECT_EQ(plain(random_cuts(random, wire)), content) << testing::PrintToString(wire);
    }
}

TEST(WireDecoder, WhatPlainOctetsBecomeOverDataIsWhatTheEncoderMakes) {
    std::mt19937 random(6);
    for (int i = 0; i < 20000; ++i) {
        const std::string wire = encode(random_text(random, kNasty, 100)).wire;
        auto d = decode(wire + ".\r\n");
        EXPECT_EQ(d.wire, wire);
        EXPECT_TRUE(d.at_end && !d.bare);
    }
}

// --- TOP -------------------------------------------------------------------------------------------------------------

std::string top(const std::vector<std::string_view>& pieces, std::uint64_t lines, bool* done = nullptr) {
    TopLimiter limiter(lines);
    std::string out;
    for (auto piece : pieces) {
        const std::size_t taken = limiter.take(piece);
        EXPECT_TRUE(taken == piece.size() || limiter.done());
        out += piece.substr(0, taken);
    }
    if (done) *done = limiter.done();
    return out;
}

TEST(TopLimiter, GivesHeaderBlankLineAndTheLinesAskedFor) {  // RFC 1939 s7
    const std::string head = "A: 1\r\n b\r\nC: 2\r\n\r\n", body = "one\r\n\r\n..three\r\nfour\r\n";
    struct Case {
        std::string message;
        std::uint64_t lines;
        std::string expected;
        bool done;
    };
    const std::vector<Case> cases = {
        {head + body, 0, head, true},
        {head + body, 1, head + "one\r\n", true},
        {head + body, 2, head + "one\r\n\r\n", true},
        {head + body, 3, head + "one\r\n\r\n..three\r\n", true},
        {head + body, 4, head + body, true},
        {head + body, 5, head + body, false},
        {head + body, ~0ull, head + body, false},
        {head, 0, head, true},
        {"A: 1\r\nC: 2\r\n", 0, "A: 1\r\nC: 2\r\n", false},  // no blank line: all of it is header
        {"\r\nbody\r\n", 0, "\r\n", true},
        {"\r\nbody\r\n", 1, "\r\nbody\r\n", true},
        {"", 0, "", false},
        {"A: 1\r\n \r\nB: 2\r\n\r\nx\r\n", 0, "A: 1\r\n \r\nB: 2\r\n\r\n", true},  // a line of white space folds
    };
    for (const auto& [message, lines, expected, done] : cases) {
        for (std::size_t cut = 0; cut <= message.size(); ++cut) {
            bool is_done = !done;
            const std::string_view view = message;
            EXPECT_EQ(top({view.substr(0, cut), view.substr(cut)}, lines, &is_done), expected)
                << lines << " cut " << cut;
            EXPECT_EQ(is_done, done) << testing::PrintToString(message) << lines << " cut " << cut;
        }
    }
}

TEST(TopLimiter, GivesTheSameResultHoweverTheWireIsCut) {
    std::mt19937 random(7);
    for (int i = 0; i < 20000; ++i) {
        const std::string in = random_text(random, kNasty, 120);
        const std::uint64_t lines = random() % 5;
        EXPECT_EQ(top(random_cuts(random, in), lines), top({in}, lines)) << testing::PrintToString(in);
    }
}

}  // namespace
}  // namespace poplar::mail
