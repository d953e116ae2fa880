#pragma once
// From a name and a password to an account: hashes off the session's thread, verified passwords remembered for
// minutes, guessing slowed down; unknown user and wrong password look the same in text and time. docs/security.md says
// who is held up by whose failures.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "activity/ledger.h"
#include "auth/device_password.h"
#include "auth/held_up.h"
#include "auth/scram.h"
#include "auth/second_factor.h"
#include "base/asio.h"
#include "base/error.h"
#include "base/steady.h"
#include "directory/directory.h"

namespace poplar::directory {
class ServerRecords;
}

namespace poplar::auth {

struct Options {
    std::chrono::seconds cache_ttl = std::chrono::minutes(5);  ///< 0: every login hashes
    std::size_t cache_entries = 100'000;
    bool upgrade_hashes = false;              ///< rewrite a weaker scheme as Argon2id at the next good login
    std::vector<ScramHash> scram_keys;        ///< made when a password is set, or at its next good login, if missing
    std::uint32_t scram_iterations = 15'000;  ///< of new ones (RFC 7677 s4)
    std::size_t hash_threads = 2;
    std::size_t hash_queue = 256;         ///< logins waiting for a hash; more are answered busy
    std::size_t hashes_per_account = 32;  ///< of those, of one account and standing; more are answered busy
    // So many failures cost nothing. After them attempts take turns, which come ever further apart. 0: no limit.
    std::uint32_t failures_per_pair = 10;      ///< of one account from one peer
    std::uint32_t failures_per_peer = 20;      ///< from one peer, to accounts that were not logged in from there lately
    std::uint32_t failures_per_network = 500;  ///< the same as `failures_per_peer` for its /24 or /48
    std::uint32_t failures_per_account = 50;   ///< of one account, from peers it was not logged in from lately
    std::uint32_t failures_per_password = 10;  ///< of one password from one network, each account once
    std::uint32_t failures_per_device = 20;    ///< with the password of one device, or one with its id
    std::chrono::seconds failure_window = std::chrono::minutes(10);  ///< in which so many are forgiven, one by one
    std::size_t failure_entries = 100'000;  ///< pairs, peers and accounts whose failures are counted; the oldest go
    std::chrono::milliseconds longest_delay = std::chrono::seconds(10);  ///< between two turns
    std::chrono::milliseconds longest_wait =
        std::chrono::seconds(15);          ///< for a turn; an attempt that would wait longer is answered busy
    std::size_t waiting_per_network = 64;  ///< attempts that wait for a turn; more are answered busy at once
    std::size_t familiar_peers = 16;       ///< kept for each account; only their own failures hold them up
    /// A failure is answered at a multiple of this after the login began, so that its time tells nothing.
    std::chrono::milliseconds failure_delay = std::chrono::seconds(2);
    std::string default_domain;  ///< appended to a login name without "@"; empty: such names fail
    std::string mail_escrow;     ///< a public key of the operator's, which opens encrypted mail, in base64; empty: none
    FactorOptions factors;
};

struct Credentials {
    std::string name, password;     ///< as the client gave them
    std::string peer;               ///< its address, for the limits
    bool peer_is_loopback = false;  ///< one peer without a limit of its own (a front proxy or webmail on this machine)
    directory::Service service = directory::Service::pop3;  ///< what the login is for
};

/// The kind of proof that somebody brings. A password can be guessed, whichever mechanism shows that it is known; a
/// token can't, but is costly to judge; a certificate has been judged already. The shared secret is that of APOP and
/// CRAM-MD5: a password, too, but one behind which no code can stand.
enum class Proof { password, token, certificate, shared_secret };

/// Somebody says who they are, by a mechanism that judges the proof itself.
struct Claim {
    std::string name;  ///< as the client gave it
    std::string peer;
    bool peer_is_loopback = false;
    Proof proof = Proof::password;
    directory::Service service = directory::Service::pop3;  ///< what the login is for
    SteadyTime begun = SteadyClock::now();                  ///< the failure's delay counts from here
    bool vouched = false;                                   ///< the token's issuer says that a second factor was shown
};

/// Somebody who has shown who they are.
struct Verified {
    directory::Account account;
    std::unique_ptr<directory::Device> device = {};  ///< whose password it was; null: a credential of the account's own
    /// Not empty: the proof was right, but the account needs a second factor, and this is what is wrong with it. Nobody
    /// is in: only session::Login may look at the account then, to say so.
    std::optional<MissingFactor> missing = {};
    std::string_view second_factor = {};      ///< for the log; "": none was needed
    Shown shown = {};                         ///< by which the session stays when a policy changes
    std::optional<std::string> mailbox = {};  ///< the detail of the login name; no mailbox need be called so
    /// Opens the account's encrypted mail; null: its mail is in clear, or this proof can't open it.
    encryption::MailKeyPtr key = {};
};

class MailKeys;

class Authenticator {
public:
    /// `ledger`: where refused logins are noted; null: nowhere.
    Authenticator(directory::Directory& directory, Options options, activity::Ledger* ledger = nullptr);
    ~Authenticator();

    /// Errors: denied (wrong, unknown, disabled: the client can't tell which; the detail, for the log, says), busy (too
    /// many failures, which may be others', or too many logins are waiting), and those of the directory. `denied` and
    /// `busy` come back a multiple of `failure_delay` after the call, the first that the check allows.
    /// A code of a second factor may stand behind the password (auth/second_code.h). Then two hashes are made, of what
    /// was typed as a whole and without the code, so that the time does not tell which of them was right.
    /// The password of a device needs no turn and no hash that costs anything: nobody can guess it. Only where the
    /// device may not log in, attempts take turns after too many.
    /// A name is an account's own address in any spelling, no alias, without white space around it; or, where no
    /// account is called so, `user+detail@` for that of `user@`: Verified::mailbox has the detail.
    Task<Result<Verified>> verify_password(Credentials credentials);

    // For mechanisms that need the account before they can judge (auth/exchange.h): find(), then conclude() in any
    // case, so that the limits, the status and the delay are the same for all.

    /// The account that a login name names, disabled ones too; nothing if there is none. The default domain completes,
    /// and a detail is cut off, only where a person may have typed the name: a certificate or a token that names
    /// `alice`, or `alice+junk@...`, names nobody of ours. Errors: the directory's.
    enum class NamedBy { client, proof };
    Task<Result<std::optional<directory::Account>>> find(std::string name, NamedBy named_by = NamedBy::client);
    /// The keys to challenge the claimant with: the account's, or, where it has none or there is no account, some that
    /// nobody can prove, the same each time. They have the salt and the iterations of the keys of the account's
    /// devices. Errors: the directory's.
    Task<Result<ScramKeys>> scram_keys(std::string name, const std::optional<directory::Account>& account,
                                       ScramHash hash);
    /// A device whose password was proven, and the server's last message, which proves that it has the device's keys.
    struct ProvenDevice {
        std::unique_ptr<directory::Device> device;
        std::string answer;
        ScramKeys keys = {};                     ///< of the device, that the proof fits
        encryption::SecretText client_key = {};  ///< as ScramProof::take_client_key()
    };
    /// Holds the proof against the keys of the account's devices, one after the other; nothing if none fit. Errors: the
    /// directory's.
    Task<Result<std::optional<ProvenDevice>>> find_device(const std::optional<directory::Account>& account,
                                                          ScramProof proof);
    /// Before a token is judged, which is not cheap: waits until it is the claimant's turn, at once if there were not
    /// too many bad ones. `claimed`: the account that the claimant names. Errors: busy.
    Task<Result<>> wait_for_turn(Claim claim, std::optional<directory::Account> claimed);
    /// Ends a login: `judgement` is the mechanism's, its error the reason for the log. As verify_password.
    Task<Result<Verified>> conclude(Claim claim, std::optional<directory::Account> account, Result<> judgement);
    /// Ends a login by the password of a device, under the rules that verify_password has for it.
    Task<Result<Verified>> conclude(Claim claim, directory::Account account, std::unique_ptr<directory::Device> device);

    /// All that is held up at present, the longest first; but for wrong codes (SecondFactors::held_up).
    std::vector<HeldUp> held_up() const;
    /// Forgets the failures that hold up `who`: an account's address, an address or a network. Returns how many limits
    /// held it up.
    std::size_t release(std::string who);

    /// Takes up the limits that were passed when the server stopped; to be called before the first login. Only what was
    /// typed is never stored, and so neither is the limit of a password. Errors: the directory's; corrupt.
    Task<Result<>> load_limits(directory::ServerRecords& records, const Clock& clock);
    /// Stores them, the ones that last longest first; to be called every minute or so, and at the end. Errors: the
    /// directory's.
    Task<Result<>> keep_limits(directory::ServerRecords& records, const Clock& clock);

    /// Forgets what is remembered of an account: its password or status changed.
    void forget(directory::AccountId id);

    /// A new `{ARGON2ID}...` hash and the SCRAM keys that are wanted, made on the hashing pool. `account`: the one that
    /// gets the password, if it is there already; the keys share the salt and the iterations of its devices' keys, and
    /// Password::beside is set. Errors: busy, and the directory's.
    Task<Result<directory::Password>> hash_password(std::string password,
                                                    std::optional<directory::AccountId> account = {});
    /// SCRAM keys of a new device's password, with and without hyphens, for the hashes that are wanted and those that
    /// the account has keys of. `account` is read behind the KeysStamp that the device is added with. Made on the
    /// hashing pool. Errors: busy, and the directory's.
    Task<Result<std::string>> device_scram_keys(directory::Account account, DevicePassword password);

    /// Lets the familiar peers be written on `background`, which must be destroyed before this object. To be called
    /// before the first login.
    void keep_familiar_peers_on(Executor background);
    SecondFactors& second_factors();
    MailKeys& mail_keys();
    /// Writes the familiar peers that are not written yet.
    Task<> flush();
    /// The server stops: attempts that wait for a turn or an answer end within a second.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::auth
