#pragma once
// Dovecot makes unique-ids by a format: pop3_uidl_format.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::moving {

/// Dovecot's default, and Debian's.
inline constexpr std::string_view kDovecotFormat = "%08Xu%08Xv";

class UidlFormat {
public:
    struct Values {
        std::uint32_t uid = 0, uid_validity = 0;
        std::string_view file;  ///< %f: its name without flags
        std::string_view guid;  ///< %g
    };
    /// "%08Xu%08Xv", "%v.%u", "UID%u-%v", "%f", "%g": a width with zeros and X (hexadecimal) may come before u and v.
    /// Errors: invalid.
    static Result<UidlFormat> parse(std::string_view text);

    std::string expand(const Values& values) const;

private:
    struct Piece {
        char variable = 0;  // 0: `text`
        std::size_t width = 0;
        bool zeros = false, hexadecimal = false;
        std::string text;
    };
    std::vector<Piece> pieces_;
};

}  // namespace poplar::moving
