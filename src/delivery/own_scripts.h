#pragma once
// The scripts that the server writes for an account (OwnScript): from what is wanted, and back.
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::delivery {

struct Forwarding {
    std::vector<std::string> to;
    bool keep = false;
};

struct Absence {
    std::string from, to;  ///< days like 2026-12-20; "": no bound
    std::string subject, text;
};

/// Errors: invalid (an address, a day; nothing to say).
Result<std::string> write_script(const Forwarding& forwarding);
Result<std::string> write_script(const Absence& absence);
/// Of a script that write_script() wrote. Errors: corrupt.
Result<Forwarding> read_forwarding(std::string_view script);
Result<Absence> read_absence(std::string_view script);

}  // namespace poplar::delivery
