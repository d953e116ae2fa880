#pragma once
// The accounts that are to move: a file of lines with commas (RFC 4180).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::moving {

struct MovingAccount {
    std::string address;   ///< here
    std::string user;      ///< there
    std::string password;  ///< there; may be missing where another's is used
    std::uint64_t line = 0;
};

enum class Passwords { in_list, none };

/// "address,source_user,source_password", a line each. A first line with these words is passed over; so are empty ones,
/// and those that begin with "#". Errors: invalid, with the line's number.
Result<std::vector<MovingAccount>> parse_account_list(std::string_view text, Passwords passwords);

}  // namespace poplar::moving
