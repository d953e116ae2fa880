#pragma once
// Lists of addresses as header fields have them: RFC 5322 s3.4, with the obsolete forms of s4.4 and UTF-8 (RFC 6532).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mail/address.h"

namespace poplar::mail {

struct ListedAddress {
    std::string name;           ///< the display name, unquoted and not decoded; "" if there is none
    std::string local, domain;  ///< unquoted; a domain may be a literal with its brackets
    bool valid = true;          ///< false: it could not be read, and `local` is the text as it stands
    enum class Is : std::uint8_t { address, group_begins, group_ends };
    Is is = Is::address;  ///< a group begins with an element whose `name` it has
    bool operator==(const ListedAddress&) const = default;
};

/// As SMTP has it. Errors: invalid.
Result<Address> to_address(const ListedAddress& listed);

/// All addresses of a field's value, those in groups included; a group's name is none, so `undisclosed-recipients:;`
/// has no address. Any octets are allowed. At most `limit`.
/// An address that could be read in two ways is not valid: one with another address where its name belongs
/// (`a@x.test <b@x.test>`, of which some programs show the first), or beside a comment or a literal that does not end.
std::vector<ListedAddress> parse_address_list(std::string_view value, std::size_t limit = 10'000);
/// The same, with elements where groups begin and end; each ends that begins.
std::vector<ListedAddress> parse_address_groups(std::string_view value, std::size_t limit = 10'000);

}  // namespace poplar::mail
