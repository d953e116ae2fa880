#include "mail/structure.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace poplar::mail {
namespace {

using Kind = ContentType::Kind;

Structure read(std::string_view wire, std::size_t step = std::string_view::npos) {
    StructureReader reader;
    for (std::size_t at = 0; at < wire.size(); at += std::min(step, wire.size() - at))
        reader.feed(wire.substr(at, step));
    return reader.finish();
}

/// A part a line: level, kind, octets of header and body, lines; then its fields.
std::string shown(const Structure& structure) {
    std::string text;
    for (const auto& part : structure.parts) {
        text += fmt::format("{} {} {}+{} {}", part.level, static_cast<int>(part.kind), part.header_octets,
                            part.body_octets, part.body_lines);
        for (const auto& field : part.fields) text += fmt::format(" {}={}", static_cast<int>(field.name), field.value);
        text += "\n";
    }
    return text;
}

constexpr std::string_view kLetter =
    "Date: Tue, 1 Dec 2026 00:00:00 +0000\r\n"
    "subject: two\r\n parts\r\n"
    "From: A <a@example.org>\r\n"
    "Subject: another\r\n"
    "X-Other: no\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n"
    "\r\n"
    "preamble\r\n"
    "--b\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Subject: not of a part\r\n"
    "\r\n"
    "..begins with a dot\r\n"
    "second\r\n"
    "--b\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "From: inner@example.org\r\n"
    "Subject: inner\r\n"
    "\r\n"
    "body\r\n"
    "--b--\r\n"
    "epilogue\r\n";

TEST(Structure, HasPartsSizesAndFields) {
    const auto structure = read(kLetter);
    ASSERT_EQ(structure.parts.size(), 4u);
    const auto& [whole, text, enclosed, inner] =
        std::tie(structure.parts[0], structure.parts[1], structure.parts[2], structure.parts[3]);
    EXPECT_EQ(whole.kind, Kind::multipart);
    EXPECT_EQ(whole.level, 0u);
    EXPECT_EQ(whole.field(KeptField::subject), "two parts") << "the first of them, unfolded";
    EXPECT_EQ(whole.field(KeptField::from), "A <a@example.org>");
    EXPECT_EQ(whole.field(KeptField::to), std::nullopt);
    EXPECT_EQ(whole.end, kLetter.size());
    EXPECT_EQ(whole.header_octets + whole.body_octets, kLetter.size() - 1) << "one dot is of the wire";

    EXPECT_EQ(text.level, 1u);
    EXPECT_EQ(text.field(KeptField::content_type), "text/plain; charset=utf-8");
    EXPECT_EQ(text.field(KeptField::subject), std::nullopt);
    EXPECT_EQ(kLetter.substr(text.body, text.end - text.body), "..begins with a dot\r\nsecond");
    EXPECT_EQ(text.body_octets, 26u);
    EXPECT_EQ(text.body_lines, 1u) << "the line end behind it is the delimiter's";

    EXPECT_EQ(enclosed.kind, Kind::message);
    EXPECT_EQ(enclosed.level, 1u);
    EXPECT_EQ(inner.level, 2u);
    EXPECT_EQ(inner.field(KeptField::subject), "inner");
    EXPECT_EQ(enclosed.body, inner.begin);
    EXPECT_EQ(enclosed.body_octets, inner.header_octets + inner.body_octets);
    EXPECT_EQ(kLetter.substr(inner.body, inner.end - inner.body), "body");
}

TEST(Structure, IsTheSameHoweverTheOctetsCome) {
    const auto whole = shown(read(kLetter));
    for (std::size_t step = 1; step < 80; ++step) EXPECT_EQ(shown(read(kLetter, step)), whole) << step;
}

TEST(Structure, OfAMessageWithoutAnything) {
    EXPECT_EQ(shown(read("")), "0 0 0+0 0\n");
    EXPECT_EQ(shown(read("\r\n")), "0 0 2+0 0\n");
    EXPECT_EQ(shown(read("no header\r\n")), "0 0 0+11 1\n");
    EXPECT_EQ(shown(read("To: x")), "0 0 5+0 0 6=x\n");
}

TEST(Structure, IsDecodedAsItWasEncoded) {
    for (auto text : {kLetter, std::string_view(""), std::string_view("To: x\r\n\r\n.")}) {
        const auto structure = read(text);
        const auto bytes = encode(structure);
        const auto decoded = decode_structure(bytes);
        ASSERT_TRUE(decoded);
        EXPECT_EQ(*decoded, structure);
        for (std::size_t size = 0; size < bytes.size(); ++size)
            EXPECT_FALSE(decode_structure(std::string_view(bytes).substr(0, size))) << size;
        EXPECT_FALSE(decode_structure(bytes + "x"));
        auto later = bytes;
        ++later[0];
        EXPECT_FALSE(decode_structure(later)) << "of a version to come";
    }
}

TEST(Structure, IsNotDecodedWithPartsThatLieWhereNoneCan) {
    const auto sound = read(kLetter);
    const auto refused = [&](auto change) {
        auto broken = sound;
        change(broken.parts);
        return !decode_structure(encode(broken));
    };
    EXPECT_FALSE(refused([](auto&) {}));
    EXPECT_TRUE(refused([](auto& parts) { parts.clear(); }));
    EXPECT_TRUE(refused([](auto& parts) { parts[0].level = 1; }));
    EXPECT_TRUE(refused([](auto& parts) { parts[1].level = 0; }));
    EXPECT_TRUE(refused([](auto& parts) { parts[1].level = 2; }));
    EXPECT_TRUE(refused([](auto& parts) { parts[1].begin = 0; })) << "in front of its multipart's body";
    EXPECT_TRUE(refused([](auto& parts) { parts[1].end = parts[0].end + 1; })) << "behind its multipart";
    EXPECT_TRUE(refused([](auto& parts) { parts[1].end = parts[2].begin + 1; })) << "in the next part";
    EXPECT_TRUE(refused([](auto& parts) { parts[3].end = parts[2].end + 1; })) << "behind the part that encloses it";
    EXPECT_TRUE(refused([](auto& parts) { parts[1].body = parts[1].begin - 1; })) << "a sum beyond 64 bits";
    EXPECT_TRUE(refused([](auto& parts) { parts[1].header_octets += 1; }));
    EXPECT_TRUE(refused([](auto& parts) { parts[1].body_octets += 2; }));
    EXPECT_TRUE(refused([](auto& parts) { parts[1].body_lines = parts[1].body_octets + 1; }));
    EXPECT_TRUE(refused([](auto& parts) { parts[0].fields.resize(30, parts[0].fields[0]); }));
    EXPECT_TRUE(refused([](auto& parts) {
        for (std::uint32_t level = 3; level < 100; ++level) {
            parts.push_back(parts.back());
            parts.back().level = level;
            parts.back().begin = parts.back().body;
            parts.back().header_octets = 0;
        }
    })) << "deeper than any walk goes";
}

TEST(Structure, KeepsNoMoreThanItMay) {
    std::string many = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (int i = 0; i < 20'000; ++i) many += "--b\r\nContent-Description: " + std::string(30, 'd') + "\r\n\r\nx\r\n";
    const auto structure = read(many);
    std::size_t fields = 0;
    for (const auto& part : structure.parts)
        for (const auto& field : part.fields) fields += field.value.size();
    EXPECT_LE(fields + StructureReader::kPartCosts * structure.parts.size(),
              StructureReader::kMost + StructureReader::kPartCosts * 10'000);
    EXPECT_LE(structure.parts.size(), 10'000u) << "the walk's bound";

    std::string nested;
    for (int i = 0; i < 100; ++i)
        nested += "Subject: " + std::string(20'000, 's') + "\r\nContent-Type: message/rfc822\r\n\r\n";
    const auto deep = read(nested);
    EXPECT_LT(deep.parts.size(), 20u) << "what is behind the bound is a leaf";
    EXPECT_EQ(deep.parts.back().kind, Kind::leaf);
    EXPECT_EQ(deep.parts.back().end, nested.size());
}

}  // namespace
}  // namespace poplar::mail
