#pragma once
// Whether a login whose proof was right needs a second factor, and has one: a code behind the password, a window that
// an earlier code opened, a site that the user has accepted, a device's password, a certificate, or a token whose
// issuer vouches for it. docs/security.md says what this keeps out.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/held_up.h"
#include "auth/keyed_hash.h"
#include "auth/open_sessions.h"
#include "auth/throttle.h"
#include "base/asio.h"
#include "base/async_mutex.h"
#include "base/error.h"
#include "directory/directory.h"

namespace poplar::auth {

struct Claim;  // authenticator.h

struct FactorOptions {
    std::chrono::seconds window = std::chrono::hours(12);  ///< from a code on, the password alone is taken from there
    std::uint32_t wrong_codes = 10;          ///< with the right password, of an account, a day; then none is looked at
    std::size_t remembered_codes = 100'000;  ///< wrong ones, of all accounts, that count no second time in a day
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

/// Functions may be called from any thread with an executor.
class SecondFactors {
public:
    static constexpr std::size_t kRecoveryCodes = 10;
    static constexpr std::size_t kTakenCodes = 16;   ///< of an authenticator that are remembered as taken
    static constexpr std::size_t kMostPending = 20;  ///< sites of an account that wait to be accepted or denied
    static constexpr std::size_t kMostSites = 64;    ///< of an account, of any other kind; the first to end goes
    static constexpr std::chrono::hours kPendingFor{24}, kMailEvery{24};

    SecondFactors(directory::Directory& directory, FactorOptions options);

    /// The account's own policy, else its domain's. Errors: the directory's.
    Task<Result<directory::FactorPolicy>> policy_of(const directory::Account& account);
    /// Whether a code may stand behind the account's password. Errors: the directory's.
    Task<Result<bool>> takes_code(const directory::Account& account);

    /// Whether one who has shown this is in under the account's policy as it is now. Errors: the directory's.
    Task<Result<bool>> lets_in(const directory::Account& account, Shown shown);

    /// The factor that let a login in.
    struct Verdict {
        std::optional<MissingFactor> missing = {};  ///< not empty: nobody is in
        std::string_view by = {};                   ///< for the log; "": none was needed
        Shown shown = {};                           ///< what counts when the policy changes
    };
    /// The verdict about a login whose proof was right, if nothing more is asked of it and nobody has to be waited for:
    /// so it is for most, at each poll.
    std::optional<Verdict> judge_at_once(const directory::Account& account, const Claim& claim, bool by_device) const;
    /// Judges a login whose proof was right. `code`: typed behind the password; "": none. A code that it takes and a
    /// window that it opens are durable when it returns. A code that was wrong already from there a while ago is wrong,
    /// and counts no second time. Errors: busy (the account has changed), and the directory's.
    Task<Result<Verdict>> judge(const directory::Account& account, const Claim& claim, bool by_device,
                                const std::string& code);

    /// Tells the user about a new site; at most one a day for an account. To be set before the first login.
    void on_new_site(std::function<Task<Result<>>(NewSite)> tell) { tell_ = std::move(tell); }
    /// The clock by which windows, sites and wrong codes are counted, in place of the directory's, which goes on
    /// telling whose turn a code is. Outlives this object. To be set before the first login.
    void count_by(const Clock& clock) { clock_ = &clock; }

    /// Lets a site in from now on, or keeps it out. Errors: not_found; the directory's.
    Task<Result<directory::Site>> decide(directory::AccountId account, std::uint32_t site,
                                         directory::Site::Kind decision);
    /// The sites that have not ended, with their times as they are counted now.
    std::vector<directory::Site> open_sites(directory::Factors factors) const;

    /// The accounts with too many wrong codes, whose codes are not looked at now. Errors: the directory's.
    Task<Result<std::vector<HeldUp>>> held_up();
    /// Forgets an account's wrong codes. Returns whether they were too many. Errors: the directory's.
    Task<Result<bool>> release(const directory::Account& account);

    /// A login that was let in by the account's own password before sites were asked for.
    struct PastLogin {
        std::string peer;
        directory::Service service{};
        Timestamp time{};
    };
    /// Accepts the sites of these logins, each for as long as if it had been accepted by then; of more than there may
    /// be, those of the latest. One that is denied stays so. Returns how many were not accepted so long. Errors: the
    /// directory's.
    Task<Result<std::size_t>> learn(directory::AccountId account, std::vector<PastLogin> logins);

private:
    Task<Result<Verdict>> judge_password(const directory::Account& account, const Claim& claim,
                                         directory::FactorPolicy policy, directory::Factors factors,
                                         const std::string& code);
    Task<Result<Verdict>> use_site(const directory::Account& account, std::string network);
    Task<> mend_stored(const directory::Account& account);
    Task<> try_change(const directory::Account& account, directory::Directory::ChangeFactors wanted);
    Task<Result<Verdict>> take_code(const directory::Account& account, const Claim& claim,
                                    directory::FactorPolicy policy, directory::Factors factors, std::string code);
    Task<Result<>> ask_for_approval(const directory::Account& account, const Claim& claim, directory::Factors factors);
    /// As Directory::change_factors; a change of the account in between is Errc::busy.
    Task<Result<>> change(const directory::Account& account, directory::Directory::ChangeFactors change);

    Timestamp now() const { return clock_ != nullptr ? clock_->now() : directory_.in(std::chrono::seconds(0)); }
    std::chrono::seconds time_of(directory::Site::Kind kind) const;
    /// Brings times that a clock wrote which was ahead back to what they can be at most, so that none lasts for ever.
    void mend(directory::Factors& factors, Timestamp now) const;
    const directory::Site* find(const directory::Factors& factors, directory::Site::Kind kind,
                                const std::string& network, Timestamp now) const;
    directory::Site& put(directory::Factors& factors, directory::Site::Kind kind, const Claim& claim, Timestamp now);
    Throttle::Key wrong_code_key(const directory::Account& account, const Claim& claim, const directory::Totp& totp,
                                 const std::string& code) const;

    directory::Directory& directory_;
    const FactorOptions options_;
    const Clock* clock_ = nullptr;
    const KeyedHash hashed_;
    Throttle wrong_before_;  ///< six digits that were wrong at an account, from a site; what counts has been counted
    AsyncMutex taking_;      ///< held from the look at wrong_before_ until a wrong code stands there
    std::function<Task<Result<>>(NewSite)> tell_;
};

}  // namespace poplar::auth
