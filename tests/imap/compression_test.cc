// COMPRESS=DEFLATE, by a peer of zlib's own.
#include "imap/compression.h"

#include <zlib.h>

#include "tests/imap/world.h"

namespace poplar::test {
namespace {

std::string deflated(std::string_view text, int how = Z_SYNC_FLUSH) {
    z_stream out{};
    EXPECT_EQ(deflateInit2(&out, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string made(text.size() + 1000, '\0');
    out.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    out.avail_in = static_cast<uInt>(text.size());
    out.next_out = reinterpret_cast<Bytef*>(made.data());
    out.avail_out = static_cast<uInt>(made.size());
    EXPECT_GE(deflate(&out, how), Z_OK);
    made.resize(made.size() - out.avail_out);
    deflateEnd(&out);
    return made;
}

/// Inflates up to the end of the octets, or of the compression; `rest` is what follows that.
std::string inflated(std::string_view octets, std::string* rest = nullptr) {
    z_stream in{};
    EXPECT_EQ(inflateInit2(&in, -15), Z_OK);
    std::string text(octets.size() * 1100 + 1000, '\0');
    in.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
    in.avail_in = static_cast<uInt>(octets.size());
    in.next_out = reinterpret_cast<Bytef*>(text.data());
    in.avail_out = static_cast<uInt>(text.size());
    EXPECT_GE(inflate(&in, Z_SYNC_FLUSH), Z_OK);
    text.resize(text.size() - in.avail_out);
    if (rest) *rest = octets.substr(octets.size() - in.avail_in);
    inflateEnd(&in);
    return text;
}

class Compression : public ImapWorld {
protected:
    static constexpr std::string_view kBegun = "z OK compressed from here on\r\n";
    /// Logs in and begins to compress; returns what the server then said, as it came.
    std::string say_compressed(std::string octets, std::size_t cut = 0) {
        const auto output =
            talk({.flights = {"l LOGIN fred@example.test secret\r\nz COMPRESS DEFLATE\r\n", std::move(octets)},
                  .cut = cut})
                .output;
        const auto begun = output.find(kBegun);
        EXPECT_NE(begun, output.npos) << output;
        return output.substr(begun + kBegun.size());
    }
};

TEST_F(Compression, IsBothWaysHoweverItsOctetsCome) {
    append_several(3);
    for (std::size_t cut : {0, 1, 7})
        EXPECT_TRUE(
            inflated(say_compressed(deflated("a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[TEXT]\r\nc LOGOUT\r\n"), cut))
                .ends_with("* 1 FETCH (BODY[TEXT] {6}\r\nbody\r\n)\r\n"
                           "b OK done\r\n* BYE goodbye\r\nc OK done\r\n"))
            << cut;
}

TEST_F(Compression, IsNotBegunTwiceAndNoTlsIsBegunInIt) {
    options_.tls = [] { return any_tls(); };
    const auto said = inflated(say_compressed(deflated("a COMPRESS DEFLATE\r\nb CAPABILITY\r\nc COMPRESS\r\n")));
    EXPECT_TRUE(said.starts_with("a NO [COMPRESSIONACTIVE] ")) << said;
    EXPECT_FALSE(said.contains("COMPRESS=DEFLATE")) << said;
    EXPECT_FALSE(said.contains("STARTTLS")) << said;
    EXPECT_TRUE(said.contains("c BAD ")) << said;
    EXPECT_TRUE(say_logged_in("a COMPRESS GZIP\r\n").starts_with("a BAD "));
    options_.compression = false;
    EXPECT_TRUE(say_logged_in("a COMPRESS DEFLATE\r\n").starts_with("a NO [CANNOT] "));
    EXPECT_FALSE(say_logged_in("a CAPABILITY\r\n").contains("COMPRESS"));
}

TEST_F(Compression, OctetsThatAreNoneEndTheSessionAndAreNoCommands) {
    EXPECT_EQ(say_compressed("a CREATE evil\r\n"), "");
    EXPECT_FALSE(run(store_.mailbox(fred_, "evil")));
}

// A few octets that inflate to a thousand times as many.
TEST_F(Compression, ALineThatInflatesWithoutEndIsTooLong) {
    EXPECT_EQ(inflated(say_compressed(deflated(std::string(30'000'000, 'x') + "\r\nb NOOP\r\n"))),
              "* BYE [TOOBIG] the command is too long\r\n");
}

// RFC 8437 s3.
TEST_F(Compression, EndsWithUnauthenticate) {
    std::string rest;
    EXPECT_EQ(inflated(say_compressed(deflated("a UNAUTHENTICATE\r\n", Z_FINISH) + "b NOOP\r\n"), &rest),
              "a OK who is next?\r\n");
    EXPECT_EQ(rest, "b OK done\r\n");
    // A client that only stops to compress has to hear the OK first.
    const auto output = talk({.flights = {"l LOGIN fred@example.test secret\r\nz COMPRESS DEFLATE\r\n",
                                          deflated("a UNAUTHENTICATE\r\n"), "b NOOP\r\n"}})
                            .output;
    EXPECT_TRUE(output.ends_with("b OK done\r\n")) << output;
}

}  // namespace
}  // namespace poplar::test
