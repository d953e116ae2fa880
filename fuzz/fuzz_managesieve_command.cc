// ManageSieve of any octets: a command that keeps its promises, or a reason; and whatever a line was, a literal that it
// announced is swallowed, so that the next command begins where the client began it.
#include <fmt/format.h>

#include "fuzz/check.h"
#include "managesieve/command.h"

namespace poplar::managesieve {
namespace {

constexpr std::uint64_t kMostLiteral = 1000;

/// A string that comes back as it was, by the grammar of a client.
void check_string(std::string_view text) {
    CommandReader reader;
    const auto line = fmt::format("NOOP {{{}+}}", text.size());
    CHECK(reader.line(line) == CommandReader::Then::literal && reader.literal_octets() == text.size());
    reader.literal(std::string(text));
    CHECK(reader.line("") == CommandReader::Then::finish);
    const auto command = reader.finish();
    CHECK(command && std::get<Noop>(*command).tag == text);
    const auto written = to_string(text);
    if (written.front() != '"') return;
    CommandReader quoted;
    CHECK(quoted.line("NOOP " + written) == CommandReader::Then::finish);
    const auto again = quoted.finish();
    CHECK(again && std::get<Noop>(*again).tag == text);
}

void check(std::string_view input) {
    check_string(input);
    CommandReader reader;
    while (!input.empty()) {
        const auto end = input.find("\r\n");
        const auto line = input.substr(0, end);
        input.remove_prefix(end == input.npos ? input.size() : end + 2);
        const auto then = reader.line(line);
        if (then == CommandReader::Then::hopeless) return;
        if (then == CommandReader::Then::literal) {
            CHECK(line.ends_with("+}"));
            const auto octets = std::min<std::uint64_t>(reader.literal_octets(), input.size());
            if (reader.literal_octets() > kMostLiteral)
                reader.literal_too_large();
            else if (reader.wants_literal())
                reader.literal(std::string(input.substr(0, octets)));
            input.remove_prefix(octets);
            continue;
        }
        const auto command = reader.finish();
        if (!command) CHECK(!command.error().text.empty());
        reader = CommandReader();
    }
}

void check_response(std::string_view input) {
    ResponseReader reader;
    const auto end = input.find("\r\n");
    if (reader.line(input.substr(0, end)) != CommandReader::Then::finish) return;
    const auto text = reader.finish();
    if (text) CHECK(input.starts_with('"') && text->size() + 2 <= input.size());
}

}  // namespace
}  // namespace poplar::managesieve

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = poplar::fuzz::Input(data, size).rest();
    poplar::managesieve::check(input);
    poplar::managesieve::check_response(input);
    return 0;
}
