#pragma once
// The files in which Dovecot and Courier keep what they call the messages of a Maildir. Any octets are allowed in them.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::moving {

/// A file's name in a Maildir, without its folder and without flags: "1276528487.M364837P9451.host,S=1355".
std::string_view base_of(std::string_view file_name);

/// dovecot-uidlist.
struct DovecotList {
    struct Entry {
        std::uint32_t uid = 0;
        std::string guid;                    ///< G; "": the file's name
        std::string pop3_uid;                ///< P: what POP calls it, in place of the format's
        std::optional<std::uint32_t> order;  ///< O: its place in POP's list
    };
    std::uint32_t uid_validity = 0;
    std::map<std::string, Entry, std::less<>> entries;  ///< by base_of()
    std::size_t passed_over = 0;                        ///< lines that can't be read
};
/// Errors: invalid (of an unknown version, or nothing of Dovecot's).
Result<DovecotList> parse_dovecot_list(std::string_view text);

/// dovecot-keywords: the names of the letters a to z among a file's flags.
std::map<char, std::string> parse_dovecot_keywords(std::string_view text);

/// courierpop3dsizelist: unique-ids by base_of(). Errors: invalid.
Result<std::map<std::string, std::string, std::less<>>> parse_courier_list(std::string_view text);

/// Courier's unique-id of a message that is in no list: its name, with some octets written as "+" and two digits.
std::string courier_unique_id(std::string_view base);

}  // namespace poplar::moving
