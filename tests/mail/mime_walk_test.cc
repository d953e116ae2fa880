// The walk over a message's parts: what it tells, where parts begin and end, and its bounds.
#include "mail/mime_walk.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace poplar::mail {
namespace {

using namespace std::string_literals;
using Kind = ContentType::Kind;

/// Writes down what it hears, a line each; body and frame as one line, however they came.
class Scribe final : public MimeListener {
public:
    void part_begins(std::uint64_t offset, std::size_t level) override { line("begin {} @{}", level, offset); }
    void field(std::string_view field) override { line("field {}", shown(field)); }
    void long_field(std::string_view octets) override { add("long", octets); }
    bool header_ends(const ContentType& type, std::uint64_t offset) override {
        line("header {} @{}", static_cast<int>(type.kind), offset);
        return enters;
    }
    void body(std::string_view octets) override { add("body", octets); }
    void frame(std::string_view octets) override { line("frame {}", shown(octets)); }
    void part_ends(std::uint64_t offset) override { line("end @{}", offset); }

    std::vector<std::string> heard;
    bool enters = true;

private:
    template <class... Args>
    void line(fmt::format_string<Args...> format, Args&&... args) {
        heard.push_back(fmt::format(format, std::forward<Args>(args)...));
        last_.clear();
    }
    void add(std::string_view what, std::string_view octets) {
        EXPECT_FALSE(octets.empty());
        if (last_ != what) heard.push_back(fmt::format("{} ", what));
        heard.back() += shown(octets);
        last_ = what;
    }
    static std::string shown(std::string_view octets) {
        std::string out;
        for (char c : octets)
            if (c == '\n')
                out += "|";
            else if (c != '\r')
                out += c;
        return out;
    }
    std::string last_;
};

std::vector<std::string> walk(std::string_view text, MimeWalk::Bounds bounds = {}, bool enters = true,
                              std::size_t step = std::string_view::npos) {
    Scribe scribe;
    scribe.enters = enters;
    MimeWalk walk(scribe, bounds);
    for (; !text.empty(); text.remove_prefix(std::min(step, text.size()))) walk.feed(text.substr(0, step));
    walk.finish();
    return scribe.heard;
}

/// The same, in pieces of every size up to a few octets.
std::vector<std::string> heard(std::string_view text, MimeWalk::Bounds bounds = {}, bool enters = true) {
    auto whole = walk(text, bounds, enters);
    for (std::size_t step = 1; step < 8; ++step) EXPECT_EQ(walk(text, bounds, enters, step), whole) << step;
    return whole;
}

std::string crlf(std::string text) {
    for (std::size_t at = 0; (at = text.find('\n', at)) != text.npos; at += 2) text.insert(at, "\r");
    return text;
}

using Heard = std::vector<std::string>;

TEST(MimeWalk, TellsAPlainMessagesFieldsAndItsBody) {
    EXPECT_EQ(heard(crlf("Subject: a\n b\nTo: c\n\ntext\n--\n\nmore\n")),
              (Heard{"begin 0 @0", "field Subject: a| b|", "field To: c|", "frame |", "header 0 @25",
                     "body text|--||more|", "end @43"}));
}

TEST(MimeWalk, TellsEachPartOfAMultipartWithoutTheLineEndInFrontOfItsDelimiter) {
    const auto text = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\none\n--b\nX: y\n\ntwo\n\n--b--\nepilogue\n");
    const auto at = [&](std::string_view what) { return text.find(what); };
    EXPECT_EQ(heard(text), (Heard{"begin 0 @0",
                                  "field Content-Type: multipart/mixed; boundary=b|",
                                  "frame |",
                                  fmt::format("header 1 @{}", at("preamble")),
                                  "body preamble|",
                                  "frame --b|",
                                  fmt::format("begin 1 @{}", at("\r\none")),
                                  "frame |",
                                  fmt::format("header 0 @{}", at("one")),
                                  "body one|",
                                  fmt::format("end @{}", at("one") + 3),
                                  "frame --b|",
                                  fmt::format("begin 1 @{}", at("X: y")),
                                  "field X: y|",
                                  "frame |",
                                  fmt::format("header 0 @{}", at("two")),
                                  "body two||",
                                  fmt::format("end @{}", at("two") + 5),
                                  "frame --b--|",
                                  "body epilogue|",
                                  fmt::format("end @{}", text.size())}));
}

TEST(MimeWalk, APartEndsWhereItsBodyDoes) {
    struct Case {
        std::string_view part;
        std::size_t octets;
    };
    for (auto [part, octets] : {Case{"\r\n\r\n", 2},   // an empty body, then the delimiter's line end
                                {"\r\n", 2},           // no octet of a body, and none of the delimiter's line end
                                {"\r\nx\r\n", 3},      // without an end of its own
                                {"\r\nx\n", 3},        // in front of the delimiter, a bare LF
                                {"\r\nx\r\n\r\n", 5},  //
                                {"X: y\r\n", 6},       // a header alone
                                {"X: y\r\n\r\n", 8}}) {
        const auto text = fmt::format("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{}--b--\r\n", part);
        const auto begin = text.find("--b\r\n") + 5;
        const auto all = heard(text);
        const auto end = std::ranges::find_if(all, [](auto& line) { return line.starts_with("end @"); });
        EXPECT_EQ(*end, fmt::format("end @{}", begin + octets)) << text;
    }
}

TEST(MimeWalk, LooksIntoMessagesDigestsAndReports) {
    const auto levels = [](std::string_view text) {
        std::string out;
        for (const auto& line : heard(text))
            if (line.starts_with("begin")) out += line.substr(6, line.find(" @") - 6) + " ";
        return out;
    };
    EXPECT_EQ(levels(crlf("Content-Type: message/rfc822\n\nSubject: in\n\nx\n")), "0 1 ");
    EXPECT_EQ(levels(crlf("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\nx\n--b--\n")), "0 1 2 ");
    EXPECT_EQ(levels(crlf("Content-Type: multipart/digest; boundary=b\n\n--b\nContent-Type: text/plain\n\nx\n--b--\n")),
              "0 1 ");
    EXPECT_EQ(heard(crlf("Content-Type: message/delivery-status\n\nA: b\n\nC: d\n")),
              (Heard{"begin 0 @0", "field Content-Type: message/delivery-status|", "frame |", "header 5 @41",
                     "field A: b|", "frame |", "field C: d|", "end @55"}));
    EXPECT_EQ(levels(crlf("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; "
                          "boundary=b\n\n--b\n\n1\n--b--\n--a\n\n2\n--a--\n")),
              "0 1 2 1 ");
}

TEST(MimeWalk, AListenerMayDeclineAndHearsTheWholeBodyAsItIs) {
    const auto text = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n");
    EXPECT_EQ(heard(text, {}, false),
              (Heard{"begin 0 @0", "field Content-Type: multipart/mixed; boundary=b|", "frame |", "header 1 @45",
                     "body --b||one|--b--|", fmt::format("end @{}", text.size())}));
}

TEST(MimeWalk, ADelimiterOfAnOuterMultipartEndsAllWithin) {
    const auto all =
        heard(crlf("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; "
                   "boundary=b\n\n--b\nContent-Type: "
                   "message/rfc822\n\nSubject: in\n\nx\n--a--\n"));
    EXPECT_EQ(std::ranges::count_if(all, [](auto& line) { return line.starts_with("end @"); }), 4)
        << "three, and the whole";
    EXPECT_EQ(all[all.size() - 2], "frame --a--|");
}

TEST(MimeWalk, EveryPartHasAHeaderThatEndsAndAnEnd) {
    for (const auto& text : {""s, "x"s, "Subject: x"s, "Subject: x\r\n"s, "Content-Type: message/rfc822\r\n"s,
                             "Content-Type: message/rfc822\r\n\r\n"s,
                             "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b--"s,
                             "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX"s,
                             "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y"s,
                             "Content-Type: message/delivery-status\r\n\r\nx y"s}) {
        std::size_t begun = 0, headers = 0, ended = 0;
        for (const auto& line : heard(text)) {
            begun += line.starts_with("begin");
            headers += line.starts_with("header");
            ended += line.starts_with("end");
        }
        EXPECT_GT(begun, 0u) << text;
        EXPECT_EQ(begun, headers) << text;
        EXPECT_EQ(begun, ended) << text;
    }
}

TEST(MimeWalk, LevelsAndPartsAreBounded) {
    const auto begun = [](const Heard& all) {
        return std::ranges::count_if(all, [](auto& line) { return line.starts_with("begin"); });
    };
    std::string nested, parts = crlf("Content-Type: multipart/mixed; boundary=b\n\n");
    for (int i = 0; i < 100; ++i) nested += crlf("Content-Type: message/rfc822\n\n");
    for (int i = 0; i < 100; ++i) parts += crlf("--b\n\nx\n");
    EXPECT_EQ(begun(walk(nested)), 65) << "64 levels below the message";
    EXPECT_EQ(begun(heard(nested, {.levels = 3, .parts = 1000})), 4);
    EXPECT_EQ(begun(heard(parts, {.levels = 3, .parts = 10})), 10);
    EXPECT_EQ(begun(heard(nested, {.levels = 1000, .parts = 5})), 5);
    EXPECT_EQ(begun(heard(parts, {.levels = 0, .parts = 10})), 1);
    const auto all = heard(parts + crlf("--b--\nepilogue\n"), {.levels = 3, .parts = 3});
    EXPECT_TRUE(all[all.size() - 2].starts_with("body |x|--b||x|")) << all[all.size() - 2];
}

TEST(MimeWalk, AFieldThatIsTooLongIsToldInPieces) {
    const std::string field = "Subject: " + std::string(MimeWalk::kFieldLimit, 'x') + "\r\n";
    const auto all = walk(field + "To: a\r\n\r\nbody\r\n", {}, true, 1000);
    EXPECT_TRUE(all[1].starts_with("long Subject: xxx"));
    EXPECT_EQ(all[1].size(), field.size() + 5 - 1) << "the CR is not shown";
    EXPECT_EQ(all[2], "field To: a|");
}

TEST(MimeWalk, APlainMessageInOnePieceHoldsNoMemory) {
    struct Nothing final : MimeListener {
    } nothing;
    const std::string text = "Subject: something long enough\r\n\r\n" + std::string(100'000, 'y') + "\r\n";
    MimeWalk walk(nothing);
    const auto before = mallinfo2().uordblks;
    walk.feed(text);
    EXPECT_EQ(mallinfo2().uordblks, before);
    walk.finish();
}

}  // namespace
}  // namespace poplar::mail
