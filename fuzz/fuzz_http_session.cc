// A whole HTTP session: any octets in. How they are cut changes nothing, except for malformed trailers of chunked
// bodies, which Beast judges as far as they have come; no body grows beyond the octets that came; a session that
// refused something obeys nothing behind it.
#include "base/ascii.h"
#include "fuzz/check.h"
#include "http/message.h"
#include "http/session.h"
#include "tests/support/run.h"
#include "tests/support/script_connection.h"

namespace poplar::http {
namespace {

class Listener final : public Handler {
public:
    Task<Reply> answer(Request request, Body& body, Stream& stream) override {
        CHECK(!refused && !request.target.path.empty());
        std::size_t octets = 0;
        const bool reads = request.method != "SKIP";
        while (reads) {
            auto part = co_await body.next();
            if (!part) co_return Reply{400, {}, "", false};
            if (part->empty()) break;
            octets += part->size();
        }
        taken += octets;
        if (request.target.query.contains("stream")) {
            (void)co_await stream.begin("text/plain");
            (void)co_await stream.write("x");
            co_return Reply{200, {}, "", true};
        }
        co_return Reply{200, {}, std::to_string(octets), false};
    }
    Reply refuse(Error) override {
        refused = true;
        return {400, {}, "refused", false};
    }
    bool refused = false;
    std::size_t taken = 0;
};

std::string play(std::string_view in, std::size_t cut) {
    auto transcript = std::make_shared<test::Transcript>();
    test::ScriptConnection::Script script;
    script.flights = {std::string(in)};
    script.cut = cut;
    Listener listener;
    test::run(serve(std::make_unique<test::ScriptConnection>(std::move(script), transcript), listener));
    CHECK(transcript->closed && listener.taken <= in.size());
    return transcript->output;
}

}  // namespace
}  // namespace poplar::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const std::size_t cut = 1 + input.number() % 64;
    if (input.rest().empty()) return 0;
    const auto whole = poplar::http::play(input.rest(), 0), pieces = poplar::http::play(input.rest(), cut);
    CHECK(whole == pieces || poplar::ascii::to_lower(input.rest()).contains("transfer-encoding"));
    return 0;
}
