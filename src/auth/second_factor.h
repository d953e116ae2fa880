#pragma once
// Whether a login whose proof was right needs a second factor, and has one: a code behind the password, a window that
// an earlier code opened, a site that the user has accepted, a device's password, a certificate, or a token whose
// issuer vouches for it. docs/security.md says what this keeps out.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/error.h"
#include "directory/directory.h"

namespace poplar::auth {

struct Claim;  // authenticator.h

struct FactorOptions {
    std::chrono::seconds window = std::chrono::hours(12);  ///< from a code on, the password alone is taken from there
    std::uint32_t wrong_codes = 10;  ///< with the right password, of an account, a day; then none is looked at
    std::chrono::seconds accepted = std::chrono::days(30);  ///< a site, from its last use
    std::chrono::seconds denied = std::chrono::days(7);     ///< a site
};

/// Why a login with the right proof is not in. Told to the client, which has shown that it knows the password.
enum class MissingFactor : std::uint8_t {
    code,            ///< of the authenticator, behind the password
    wrong_code,      ///< wrong, or taken already
    too_many_codes,  ///< were wrong
    approval,        ///< of the site, or the code of the mail about it behind the password
    device,          ///< a device's password is needed in place of the account's
    denied,          ///< the user has denied the site
    other,           ///< this way to log in can't show one
};
std::string_view to_string(MissingFactor missing);  ///< for the log

/// A login with the right password from a site that the user has not accepted. `code`, typed behind the password
/// there, accepts it.
struct NewSite {
    directory::AccountId account;
    std::string address;  ///< the account's
    std::string peer, network, code;
    directory::Service service{};
    Timestamp time{};
};

/// The network of a peer by which sites are told apart: "192.0.2.0/24", "2001:db8:0:1::/64", "unix".
std::string site_of(std::string_view peer);

/// Whether a window or an accepted or denied site still holds.
inline bool holds(const directory::Site& site, Timestamp now) { return now < site.until; }

/// Functions may be called from any thread with an executor.
class SecondFactors {
public:
    static constexpr std::size_t kRecoveryCodes = 10;
    static constexpr std::size_t kTakenCodes = 16;   ///< of an authenticator that are remembered as taken
    static constexpr std::size_t kMostPending = 20;  ///< sites of an account that wait to be accepted or denied
    static constexpr std::size_t kMostSites = 64;    ///< of an account, of any other kind; the first to end goes
    static constexpr std::chrono::hours kPendingFor{24}, kMailEvery{24};

    SecondFactors(directory::Directory& directory, FactorOptions options) : directory_(directory), options_(options) {}

    /// The account's own policy, else its domain's. Errors: the directory's.
    Task<Result<directory::FactorPolicy>> policy_of(const directory::Account& account);
    /// Whether a code may stand behind the account's password. Errors: the directory's.
    Task<Result<bool>> takes_code(const directory::Account& account);

    /// The factor that let a login in.
    struct Verdict {
        std::optional<MissingFactor> missing = {};  ///< not empty: nobody is in
        std::string_view by = {};                   ///< for the log; "": none was needed
    };
    /// Judges a login whose proof was right. `code`: typed behind the password; "": none. A code that it takes and a
    /// window that it opens are durable when it returns. Errors: busy (the account has changed), and the directory's.
    Task<Result<Verdict>> judge(const directory::Account& account, const Claim& claim, bool by_device,
                                const std::string& code);

    /// Tells the user about a new site; at most one a day for an account. To be set before the first login.
    void on_new_site(std::function<Task<Result<>>(NewSite)> tell) { tell_ = std::move(tell); }

    /// Lets a site in from now on, or keeps it out. Errors: not_found; the directory's.
    Task<Result<directory::Site>> decide(directory::AccountId account, std::uint32_t site,
                                         directory::Site::Kind decision);

private:
    Task<Result<Verdict>> judge_password(const directory::Account& account, const Claim& claim,
                                         directory::FactorPolicy policy, directory::Factors factors,
                                         const std::string& code);
    Task<Result<Verdict>> take_code(const directory::Account& account, const Claim& claim,
                                    directory::FactorPolicy policy, const std::string& code);
    Task<Result<>> ask_for_approval(const directory::Account& account, const Claim& claim);
    /// As Directory::change_factors; a change of the account in between is Errc::busy.
    Task<Result<>> change(const directory::Account& account, directory::Directory::ChangeFactors change);

    directory::Directory& directory_;
    const FactorOptions options_;
    std::function<Task<Result<>>(NewSite)> tell_;
};

}  // namespace poplar::auth
