#pragma once
// A client by its address alone: the lists it is on (RFC 5782), its name in the DNS (iprev, RFC 8601 s3), and whether
// the name in its greeting leads to it.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "dns/resolver.h"
#include "screening/authentication_results.h"
#include "screening/spf_record.h"

namespace poplar::screening {

/// A list of addresses in the DNS.
struct AddressList {
    std::string zone;
    std::optional<IpAddress> only = {};  ///< the answer that counts; nothing: any that says "listed"
    bool operator==(const AddressList&) const = default;
};

/// "bl.example", or "bl.example=127.0.0.4" where one answer alone counts. Errors: invalid.
Result<AddressList> parse_address_list_zone(std::string_view text);

/// "2.0.0.127.bl.example"; an IPv6 address in nibbles (RFC 5782 s2.1, s2.4).
std::string list_question(const IpAddress& address, const AddressList& list);

/// Whether an A record says that the address is on the list. Not 127.255.255.x, by which lists say that they do not
/// answer whoever asks, nor anything outside of 127.0.0.0/8: the list's domain has gone to somebody else then.
bool says_listed(std::string_view record, const AddressList& list);

/// The first list that has the address.
struct Listing {
    std::string zone;  ///< "": none has it
    std::string text;  ///< the list's own words about it, printable ASCII; "": it has none
    bool operator==(const Listing&) const = default;
};

/// A list that does not answer says nothing. `texts`: whether a list's words are asked for, too.
enum class Texts : std::uint8_t { no, yes };
Task<Listing> find_listing(dns::Lookup& dns, IpAddress address, std::vector<AddressList> lists, Texts texts);

/// pass: a name of the address leads back to it; fail: none does; permerror: it has no name (RFC 8601 s2.7.3).
Task<MethodResult> check_iprev(dns::Lookup& dns, IpAddress address);
/// `x-helo`, which no RFC has: pass: the name in the greeting, or the address in it, is the client's.
Task<MethodResult> check_helo(dns::Lookup& dns, IpAddress address, std::string helo);

}  // namespace poplar::screening
