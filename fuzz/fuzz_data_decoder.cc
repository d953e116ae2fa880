// DATA and BDAT: however the octets come, the same wire form; nothing in it that another server could take for the end
// of data; and back again without loss.
#include "fuzz/check.h"
#include "mail/wire_form.h"

namespace poplar::mail {
namespace {

struct Outcome {
    std::string wire;
    std::size_t consumed = 0;
    bool at_end = false, bare = false;
    std::uint64_t octets = 0, wire_octets = 0;
    bool operator==(const Outcome&) const = default;
};

template <class Codec>
void note(const Codec& codec, Outcome& outcome) {
    outcome.bare = codec.bare_newline();
    outcome.octets = codec.sizes().octets;
    outcome.wire_octets = codec.sizes().wire_octets;
}

Outcome decode(const std::vector<std::string_view>& pieces, BareNewlines policy) {
    DataDecoder decoder(policy);
    Outcome outcome;
    for (auto piece : pieces) {
        std::string out;
        const std::size_t consumed = decoder.decode(piece, out);
        CHECK(consumed == piece.size() || decoder.at_end());
        CHECK(out.size() <= 2 * piece.size() + 4);
        outcome.consumed += consumed;
        outcome.wire += out;
    }
    outcome.at_end = decoder.at_end();
    note(decoder, outcome);
    return outcome;
}

Outcome encode(const std::vector<std::string_view>& pieces, BareNewlines policy) {
    WireEncoder encoder(policy);
    Outcome outcome;
    for (auto piece : pieces) {
        std::string out;
        encoder.encode(piece, out);
        CHECK(out.size() <= 2 * piece.size() + 4);
        outcome.wire += out;
    }
    encoder.finish(outcome.wire);
    note(encoder, outcome);
    return outcome;
}

std::string plain(const std::vector<std::string_view>& pieces) {
    WireDecoder decoder;
    std::string out;
    for (auto piece : pieces) decoder.decode(piece, out);
    return out;
}

std::string top(const std::vector<std::string_view>& pieces, std::uint64_t lines) {
    TopLimiter limiter(lines);
    std::string out;
    for (auto piece : pieces) out += piece.substr(0, limiter.take(piece));
    return out;
}

/// Lines end in CRLF, CR and LF stand nowhere else, and no line is ".".
void check_wire(std::string_view wire) {
    for (std::size_t i = 0; i < wire.size(); ++i) {
        if (wire[i] == '\n') CHECK(i > 0 && wire[i - 1] == '\r');
        if (wire[i] == '\r' && i + 1 < wire.size()) CHECK(wire[i + 1] == '\n');
        const bool line_start = i == 0 || wire[i - 1] == '\n';
        if (line_start && wire[i] == '.' && i + 1 < wire.size()) CHECK(wire[i + 1] == '.');
    }
}

void check(std::string_view in, std::uint32_t seed, BareNewlines policy, std::uint64_t lines) {
    const Outcome data = decode({in}, policy);
    CHECK(decode(fuzz::cut(in, seed), policy) == data);
    check_wire(data.wire);
    const bool kept = policy == BareNewlines::normalize || !data.bare;
    if (data.at_end) {
        CHECK(data.consumed >= 3 && in.substr(data.consumed - 3, 3) == ".\r\n");
        CHECK(data.consumed == 3 || in.substr(data.consumed - 5, 2) == "\r\n");
    } else {
        CHECK(("\r\n" + std::string(in)).find("\r\n.\r\n") == std::string::npos);
    }
    if (data.at_end && kept) {
        CHECK(data.wire.size() == data.wire_octets);
        CHECK(data.wire.empty() || data.wire.ends_with("\r\n"));
        const std::string content = plain({data.wire});
        CHECK(content.size() == data.octets);
        CHECK(encode({content}, policy).wire == data.wire);
    }

    const Outcome chunks = encode({in}, policy);
    CHECK(encode(fuzz::cut(in, seed), policy) == chunks);
    check_wire(chunks.wire);
    if (policy == BareNewlines::reject && chunks.bare) return;
    CHECK(chunks.wire.empty() || chunks.wire.ends_with("\r\n"));
    const std::string content = plain({chunks.wire});
    CHECK(plain(fuzz::cut(chunks.wire, seed)) == content);
    CHECK(content.size() == chunks.octets);
    if (!chunks.bare) CHECK(content == in || content == std::string(in) + "\r\n");
    const Outcome again = decode({chunks.wire + ".\r\n"}, BareNewlines::reject);
    CHECK(again.at_end && !again.bare && again.wire == chunks.wire);
    CHECK(top(fuzz::cut(chunks.wire, seed), lines) == top({chunks.wire}, lines));
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using poplar::mail::BareNewlines;
    poplar::fuzz::Input input(data, size);
    const auto steer = input.number();
    poplar::mail::check(input.rest(), steer >> 3, steer & 1 ? BareNewlines::reject : BareNewlines::normalize,
                        steer >> 1 & 3);
    return 0;
}
