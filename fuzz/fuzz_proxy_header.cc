// The PROXY protocol's headers, of any octets: its size shows wherever it is cut, and a whole one names a real address.
#include "fuzz/check.h"
#include "net/proxy_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::net;
    const auto octets = poplar::fuzz::Input(data, size).rest();
    const auto known = proxy_header_size(octets);
    for (std::size_t cut = 0; cut < std::min<std::size_t>(octets.size(), 300); ++cut) {
        const auto early = proxy_header_size(octets.substr(0, cut));
        if (!early)
            CHECK(!known);  // what is no header does not become one
        else if (*early && known)
            CHECK(*known == *early);
    }
    if (!known || !*known) return 0;
    CHECK(**known <= kProxyHeaderLimit);
    const auto header = parse_proxy_header(octets.substr(0, **known));
    if (!header) CHECK(header.error().code() == poplar::Errc::invalid);
    if (header && header->tls)
        for (const auto& text : {header->tls->version, header->tls->cipher})
            CHECK(text.size() <= 64 && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; }));
    if (!header || header->source != ProxyHeader::Source::client) return 0;
    CHECK(peer_at(header->client.address, header->client.port));
    return 0;
}
