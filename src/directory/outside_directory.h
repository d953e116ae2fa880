#pragma once
// The accounts of some domains are known to another directory (LDAP, SQL, a file). This is how Directory and auth/ see
// it; directory/outside/ asks it.
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/error.h"
#include "mail/address.h"

namespace poplar::directory {

/// May be used from any thread. Domains and addresses are canonical.
class OutsideDirectory {
public:
    virtual ~OutsideDirectory() = default;

    /// Whether the accounts of this domain are known outside.
    virtual bool keeps(std::string_view domain) const = 0;
    /// Where that is, for an operator who wants to change something: "LDAP, ldaps://ldap.example.org". "" if it keeps
    /// no such domain.
    virtual std::string described(std::string_view domain) const = 0;
    /// Whether the directory that keeps the domain left its last question without an answer, or one in the last
    /// seconds. Then nobody is told that they are unknown or wrong, because that would tell which names were known
    /// before.
    virtual bool is_silent(std::string_view domain) const = 0;

    struct Sighting {
        enum class Presence { there, gone, in_doubt } presence = Presence::in_doubt;
        /// `{SCHEME}data` if the source hands it out and it is good from everywhere; else "".
        std::string credential = {};
    };
    /// Whether there is an account of this address. `in_doubt`: the source does not answer, and nothing is remembered
    /// that may still be believed.
    virtual Task<Sighting> look_up(mail::Address address) = 0;

    /// Somebody who logs in.
    struct Asker {
        std::string peer = {};      ///< address
        std::string protocol = {};  ///< "pop3"
    };
    /// Whether this password was right a moment ago, from a peer that may use it. Never waits.
    virtual bool remembers(const std::string& address, const std::string& password, const Asker& asker) = 0;
    /// Whether it is the account's password. An empty one never is. Errors: timed_out, io, busy: it can't be told now.
    virtual Task<Result<bool>> check(mail::Address address, std::string password, Asker asker) = 0;
};

}  // namespace poplar::directory
