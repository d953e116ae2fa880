// Requests of the policy protocol, of any octets: what was read is within the limits, and says nothing that the lines
// did not.
#include "fuzz/check.h"
#include "policy/request.h"

namespace poplar::policy {
namespace {

void check(std::string_view input) {
    RequestReader reader;
    std::string taken;
    while (!input.empty()) {
        const auto line = input.substr(0, input.find('\n')).substr(0, kLineLimit);
        input.remove_prefix(std::min(input.size(), line.size() + 1));
        auto whole = reader.take(line);
        if (!whole) {
            CHECK(whole.error().code() == Errc::invalid);
            return;
        }
        CHECK(*whole == line.empty());
        if (!*whole) {
            CHECK(line.contains('='));
            taken.append("\n").append(line).append("\n");
            continue;
        }
        CHECK(!taken.empty());
        const auto request = reader.finish();
        CHECK(request.recipient.empty() || taken.contains("\nrecipient=" + request.recipient + "\n"));
        CHECK(request.state.empty() || taken.contains("\nprotocol_state=" + request.state + "\n"));
        CHECK(!request.size || *request.size != 0);
        taken.clear();
    }
}

}  // namespace
}  // namespace poplar::policy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::policy::check(poplar::fuzz::Input(data, size).rest());
    return 0;
}
