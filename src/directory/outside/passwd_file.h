#pragma once
// A passwd-file as Dovecot has it (directory/passwd_file.h), read again when it changes.
#include <memory>
#include <mutex>
#include <unordered_map>

#include "directory/outside/settings.h"
#include "directory/outside/source.h"

namespace poplar::directory::outside {

/// The accounts of a file.
struct PasswdFile {
    struct Entry {
        std::string credential;             ///< "": nobody gets in; mail comes all the same
        std::vector<std::string> networks;  ///< of `allow_nets`
    };
    std::unordered_map<std::string, Entry> accounts;  ///< by canonical address
    /// Lines that can't be obeyed: the number, and why. If they name an account, that one has no password.
    std::vector<std::pair<std::size_t, std::string>> refused;
};

/// `domains`: the accounts of others are passed over; if there is one alone, it completes names without a domain. The
/// same address twice: the first line counts, as it does in Dovecot.
PasswdFile parse_passwd_file(std::string_view text, const std::vector<std::string>& domains,
                             const std::string& default_scheme, mail::LocalPartCase local_case);

std::unique_ptr<Source> make_passwd_file(const Settings& settings, mail::LocalPartCase local_case);

}  // namespace poplar::directory::outside
