// Targets of requests, percent-encoding and URLs.
#include "fuzz/check.h"
#include "http/target.h"
#include "http/url.h"

namespace poplar::http {
namespace {

void check(std::string_view in) {
    auto back = percent_decode(percent_encode(in));
    CHECK(back && *back == in);
    if (auto target = parse_target(in)) {
        CHECK(in.starts_with('/') && !target->path.empty());
        std::string again;
        for (const auto& segment : target->path) again += "/" + percent_encode(segment);
        char mark = '?';
        for (const auto& [name, value] : target->query) {
            again += mark + percent_encode(name) + "=" + percent_encode(value);
            mark = '&';
        }
        auto same = parse_target(again);
        CHECK(same && same->path == target->path && same->query == target->query);
    }
    if (auto url = parse_url(in)) CHECK(!url->host.empty() && url->target.starts_with('/'));
}

}  // namespace
}  // namespace poplar::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::http::check(poplar::fuzz::Input(data, size).rest());
    return 0;
}
