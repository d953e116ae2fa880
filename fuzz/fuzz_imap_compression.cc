// A peer sends any octets as DEFLATE: lines come out the same however the octets come, none is longer than was
// wanted, and it comes to its end.
#include "fuzz/check.h"
#include "imap/compression.h"
#include "tests/support/run.h"
#include "tests/support/script_connection.h"

namespace poplar::imap {
namespace {

constexpr std::size_t kLongest = 1000;

Task<std::string> read_all(net::Connection& raw) {
    CompressedConnection connection(raw, nullptr);
    std::string all;
    for (int lines = 0; lines < 1000; ++lines) {
        auto line = co_await connection.read_line(kLongest, std::chrono::seconds(1), net::LineEnd::crlf_or_lf);
        if (!line && line.error().code() != Errc::too_large) break;
        if (line) CHECK(line->size() < kLongest);
        all.append(line ? *line : "too long").append("\n");
    }
    co_return all;
}

std::string play(std::string_view octets, std::size_t cut) {
    test::ScriptConnection::Script script;
    script.flights.emplace_back(octets);
    script.cut = cut;
    test::ScriptConnection raw(std::move(script), std::make_shared<test::Transcript>());
    return test::run(read_all(raw));
}

}  // namespace
}  // namespace poplar::imap

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto cut = 1 + input.number() % 100;
    const auto octets = input.rest();
    if (!octets.empty()) CHECK(poplar::imap::play(octets, 0) == poplar::imap::play(octets, cut));
    return 0;
}
