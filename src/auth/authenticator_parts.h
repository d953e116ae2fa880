#pragma once
// The state of an Authenticator, and the functions that several of its files call. authenticator.cc judges a login;
// beside it stand authenticator_limits.cc, authenticator_passwords.cc and authenticator_scram.cc.
#include <algorithm>
#include <atomic>
#include <map>
#include <optional>

#include "auth/authenticator.h"
#include "auth/familiar_peers.h"
#include "auth/hash_places.h"
#include "auth/keyed_hash.h"
#include "auth/mail_keys.h"
#include "auth/password.h"
#include "auth/second_code.h"
#include "auth/throttle.h"
#include "auth/verified_cache.h"
#include "auth/waiters.h"
#include "base/async_mutex.h"
#include "base/fair_pool.h"
#include "base/peer_network.h"
#include "base/steady.h"
#include "directory/outside_directory.h"

namespace poplar::auth {

using directory::Account;
using directory::AccountId;
using directory::AccountStatus;
using directory::Device;

/// The account's SCRAM keys. They stand beside a hash, or in its place.
std::optional<ScramKeys> keys_of(const Account& account, ScramHash hash);

/// How SCRAM keys are made of a password.
struct ScramWay {
    ScramHash hash;
    std::uint32_t iterations;
    std::string salt;  ///< empty: a new one
};

void append_scram_keys(std::string& to, const ScramWay& way, std::string_view password);

/// The salt and the iterations that the devices' keys share: those of the oldest device, if an imported password came
/// between, so that it does not matter who asks.
std::optional<ScramWay> way_of(const std::vector<Device>& devices, ScramHash hash);

/// A password as it was typed, and prepared (RFC 6856 s2.2). New hashes are made of the prepared form; imported ones
/// may be of the typed form.
class Typed {
public:
    explicit Typed(std::string password) : typed_(std::move(password)) {
        auto plain = [](char c) { return c >= 0x20 && c <= 0x7e; };
        if (!std::ranges::all_of(typed_, plain)) prepared_ = sasl_prepare(typed_);
    }
    const std::string& typed() const { return typed_; }
    const std::string& prepared() const { return prepared_ ? *prepared_ : typed_; }
    /// Calls `is_right` with one form after the other. Returns the form that is right, or null.
    template <class IsRight>
    const std::string* find(IsRight is_right) const {
        if (is_right(prepared())) return &prepared();
        if (prepared_ && *prepared_ != typed_ && is_right(typed_)) return &typed_;
        return nullptr;
    }

private:
    std::string typed_;
    std::optional<std::string> prepared_;
};

/// A name as it may stand in a list: what strangers make up can be long.
inline std::string shortened(std::string_view name) { return std::string(name.substr(0, 320)); }

struct Authenticator::Impl {
    Impl(directory::Directory& directory, const Options& options, activity::Ledger* ledger);

    // The limits. A peer that the account was logged in from lately is held up only by failures of that pair. Any other
    // peer is held up by the pair's failures, by all failures of the peer and of its network, by those of all strangers
    // at the account, and by those of the same password at other accounts. A name that nobody has is counted as an
    // account, so that the limits don't tell which names exist. What names a device is held up by failures of that,
    // too, whether or not there is such a device; the right password of one that may log in is held up by nothing.

    struct Keys {
        PeerKey peer;
        bool peer_counts;  ///< this machine's does not: a front end may have many users
        Throttle::Key account, pair, network;
        Throttle::Key password = 0;      ///< what was typed, without a code behind it, from that network; 0: not known
        Throttle::Key guess = 0;         ///< the same at this account, as long as its credential stays
        Throttle::Key attempt = 0;       ///< the same with whatever was behind it
        Throttle::Key device = 0;        ///< of this account, whose id was typed; 0: none was
        std::string_view name, address;  ///< the account's or what was given, and the peer's; the caller keeps them
    };
    enum class Limits { pair, others, all };

    Keys counted(const std::string& name, const std::optional<Account>& account, std::string_view peer,
                 bool loopback) const {
        Keys keys{.peer = loopback ? kThisMachine : peer_key(peer),
                  .peer_counts = !loopback,
                  .account = 0,
                  .pair = 0,
                  .network = 0,
                  .name = account ? account->address : name,
                  .address = peer};
        keys.account = account ? hashed(account->id.value, 0) : hashed(unknown(name));
        keys.pair = hashed(keys.account, keys.peer);
        keys.network = network_of(keys.peer);
        return keys;
    }

    /// With what was typed, so that the same wrong password from the same network counts once: a telephone that was
    /// not told the new one tries the old one again and again. A password with something behind it that may be a code
    /// is a guess of that password, at whichever account: else a guesser who puts other digits behind it each time
    /// would seem to try another one each time.
    void add_password(Keys& keys, const std::optional<Account>& account, std::string_view typed) const {
        std::string password(typed);
        while (auto parts = split_code(password)) password = std::move(parts->password);
        const auto guessed = hashed(hashed(password), keys.network);
        if (keys.peer_counts) keys.password = guessed;
        const auto here = hashed(keys.account, account ? account->credential_version : 0);
        keys.guess = hashed(guessed, here);
        keys.attempt = hashed(here, hashed(hashed(typed), keys.network));
        if (auto device = parse_device_password(typed)) keys.device = device_key(keys, device->device);
    }
    Throttle::Key device_key(const Keys& keys, std::uint32_t device) const {
        return hashed(keys.account, device + 1ull);
    }

    /// The one spelling of a name that nobody has. It is that without a detail, as it would be if somebody had it.
    std::string unknown(std::string name) const;

    bool is_over(const Keys& keys, Limits limits) const {
        if (limits != Limits::others && pairs.is_over(keys.pair)) return true;
        if (limits == Limits::pair) return false;
        if (keys.peer_counts && (peers.is_over(keys.peer) || networks.is_over(keys.network))) return true;
        if (keys.device != 0 && device_tries.is_over(keys.device)) return true;
        return accounts.is_over(keys.account) || (keys.password != 0 && passwords.is_over(keys.password));
    }

    /// Waits until the next attempt may be judged. Errors: busy (it would take too long).
    Task<Result<>> wait_for_turn(Keys keys, Limits limits);
    Task<Result<>> wait_for_turn(std::vector<std::pair<Throttle*, Throttle::Key>> used, Keys keys);
    void record_failure(const Keys& keys, bool is_familiar);
    /// Tells the operator that somebody guesses: once while a limit is passed, and not about each failure.
    static void tell(std::string_view limit, const Keys& keys, std::uint32_t failures);
    /// For the account's own ledger.
    void note_refused(const Account& account, std::string_view peer, directory::Service service, std::string_view why,
                      const Device* device = nullptr, activity::Kind kind = activity::Kind::refused) const;

    std::vector<std::pair<std::string_view, Throttle*>> limits();
    std::vector<HeldUp> held_up();
    Task<Result<>> load_limits(directory::ServerRecords& records, const Clock& clock);
    Task<Result<>> keep_limits(directory::ServerRecords& records, const Clock& clock);
    std::size_t release(const std::string& who);
    Task<bool> knows(const std::optional<Account>& account, PeerKey peer);

    /// Every login whose proof was right comes through here, by whatever mechanism. `code`: typed behind the password.
    /// One that lacks its second factor leaves no trace of having been good.
    Task<Result<Verified>> welcome(Claim claim, Account account, PeerKey peer, std::unique_ptr<Device> device,
                                   std::string code);
    Verified let_in(const Claim& claim, Account account, PeerKey peer, std::unique_ptr<Device> device,
                    SecondFactors::Verdict judged);
    /// The detail of a name that the account was found by, if the account is not called so with the detail. Whatever
    /// else the name is, it is no other spelling of the account's, so it never stands for INBOX.
    std::optional<std::string> mailbox_in(const std::string& typed, const Account& account) const;

    /// In steps, as the server may stop meanwhile.
    Task<> pause_until(SteadyTime time);
    /// Answers a failure at a time that all failures are answered at.
    Task<Result<Verified>> answer(SteadyTime begun, Error error);
    Task<Result<Verified>> deny(SteadyTime begun, std::string reason) {
        return answer(begun, Error(Errc::denied, std::move(reason)));
    }

    // Passwords.

    /// One attempt, as the pool sees it.
    struct Attempt {
        Account account;  ///< without a password if none can be right; then nothing is hashed
        Typed password;
        Keys keys;
        bool is_familiar = false;
        bool had_its_turn = false;
        bool upgrade = false;
        std::vector<ScramWay> scram_make = {};   ///< keys that the account lacks
        bool takes_code = false;                 ///< a code may stand behind the password
        std::optional<Typed> without_code = {};  ///< the password, if one does
        directory::KeysStamp beside = 0;         ///< if there are any
    };
    enum class Verdict { right, wrong, limited, no_memory };
    struct Outcome {
        Verdict verdict = Verdict::wrong;
        std::optional<std::string> right = {};           ///< the form of the password that was right
        bool with_code = false;                          ///< it was what stood before a code
        std::optional<directory::Password> better = {};  ///< to replace what is stored
    };

    /// How to make keys of a password of the account's own. They share the salt of its devices' keys, because a
    /// challenge has one salt, and the devices' keys can't be made anew: the server does not know their passwords.
    struct Ways {
        std::vector<ScramWay> all;
        directory::KeysStamp beside = 0;  ///< from before the devices were looked at
    };
    Task<Result<Ways>> ways(AccountId account, std::vector<ScramHash> hashes);
    /// Runs on the pool. Looks at the limits again, because guesses that came together with this one may have failed
    /// while it waited. Looks into the cache again, so that of many right passwords at a time only one is hashed.
    Outcome judge(const Attempt& attempt);
    /// Keeps the average time of a hash. A login that needs no hash is answered as late as if it had needed one.
    void note_cost(SteadyClock::duration took);
    Share share_of(const Keys& keys, bool is_familiar) const;

    /// Adds the default domain where there is none; false if it is missing.
    bool complete(std::string& name) const;
    /// The account that most clients name, by its own spelling, if it needn't be waited for. Else find() has to look.
    std::optional<Account> at_hand(std::string_view name) const;
    /// The account that a login name names, if it can log in at all. Errors: those of the directory.
    Task<Result<std::optional<Account>>> find(std::string name, NamedBy named_by);
    Task<Result<std::optional<Account>>> find_whole(std::string name);

    // Devices.

    /// The device of that account whose password this is.
    Task<Result<std::optional<Device>>> device_of(const std::optional<Account>& account, std::string_view typed);
    /// For the log: why the device is not good for this login; "" if it is.
    std::string why_not(const Device& device, directory::Service service, std::string_view peer) const;
    /// Ends a login by the password of a device. Nobody can guess that, so no failures hold it up where it may log in.
    Task<Result<Verified>> conclude(Claim claim, Account account, std::unique_ptr<Device> device);
    Task<Result<std::optional<ProvenDevice>>> find_device(const std::optional<Account>& account, ScramProof proof);

    static bool can_log_in(const std::optional<Account>& account, const Typed& password) {
        return account && account->status == AccountStatus::enabled && !password.typed().empty();
    }

    // Accounts whose passwords another directory keeps.

    directory::OutsideDirectory* outside_of(const std::optional<Account>& account) const {
        return account ? directory.outside_of(account->address) : nullptr;
    }

    /// In place of "wrong", while the directory that keeps this name's domain does not answer: an account that it was
    /// asked about before must not be told from others.
    std::optional<Error> silence(const std::string& name, const std::optional<Account>& account) const;
    static Task<Result<bool>> is_right(directory::OutsideDirectory& outside, mail::Address address, Typed password,
                                       directory::OutsideDirectory::Asker asker);
    /// As judge(), where another directory knows the password. What was typed is asked about as a whole first, so that
    /// the right password is the last thing that a directory with limits of its own hears.
    Task<Result<Outcome>> judge_outside(directory::OutsideDirectory& outside, Attempt attempt,
                                        directory::OutsideDirectory::Asker asker);

    /// The password and the code behind it, where the account may have one there.
    struct Split {
        bool takes_code = false;
        std::optional<Typed> without = {};  ///< the password, if what was typed ends like a code
        std::string code = {};
    };
    Task<Result<Split>> split_off_code(bool usable, const std::optional<Account>& account, const Typed& password);
    Task<Result<Attempt>> attempt_at(Account account, Typed password, Keys keys, bool is_familiar, bool had_its_turn);
    /// The end of an attempt whose password is wrong. `was_hashed`: else the answer is as late as if it had been.
    Task<Result<Verified>> refuse_wrong(Claim claim, std::optional<Account> account, Keys keys, bool is_familiar,
                                        bool was_hashed, HashPlaces::Place place);
    /// Whether anybody's attempts may have to take turns.
    bool has_failures() const {
        return !(pairs.empty() && peers.empty() && networks.empty() && accounts.empty() && passwords.empty() &&
                 device_tries.empty());
    }
    /// The login of a client that polls: the password was right a moment ago, nothing has to be read, and there are no
    /// failures that could hold it up. Nothing: it has to be gone into.
    std::optional<Verified> verified_at_once(const Claim& claim, std::optional<Account>& account,
                                             const Typed& password);
    Task<Result<Verified>> verify(Credentials credentials);
    /// Ends a login whose account's mail is encrypted, or is going to be. `password`: of the device as it was typed, or
    /// the account's own, prepared and without a code.
    Task<Result<Verified>> open_mail(Result<Verified> login, std::string password);

    // Other proofs.

    Task<Result<>> wait_for_turn(Claim claim, std::optional<Account> claimed);
    Task<Result<Verified>> conclude(Claim claim, std::optional<Account> account, Result<> judgement);
    Task<Result<ScramKeys>> scram_keys(std::string name, const std::optional<Account>& account, ScramHash hash);
    /// How many of the accounts have keys of each kind; where none has, that of new keys.
    std::map<ScramHash, std::map<ScramKind, std::size_t>> kinds_of(const std::vector<Account>& some) const;

    enum class Upgrade { done, failed, overtaken };
    /// Stores the new hash and brings `account` up to date. A failure is only logged: the login is good. Where
    /// something else was stored meanwhile, the login has to begin anew: another one may have upgraded the hash, or the
    /// password may be another.
    Task<Upgrade> upgrade(Account& account, directory::Password better);
    Task<Result<directory::Password>> hash(std::string password, std::optional<AccountId> account);
    Task<Result<std::string>> device_scram_keys(Account account, DevicePassword password);

    directory::Directory& directory;
    const Options options;
    activity::Ledger* const ledger;
    VerifiedCache verified;
    FamiliarPeers familiar;
    Throttle pairs, peers, networks, accounts, passwords, device_tries;
    Throttle wrong_before;  ///< what was typed lately, at which account, from which network, and was wrong
    Throttle tokens;        ///< bad ones, by pair and by peer
    Waiters waiters;        ///< for a turn
    SecondFactors second_factors;
    HashPlaces places;
    KeyedHash hashed;
    std::atomic<SteadyClock::rep> hash_cost = SteadyClock::duration(std::chrono::milliseconds(50)).count();
    std::atomic<bool> stopping = false;
    bool keeps_limits = false;  ///< the stored record is not empty; of the one who calls keep_limits()
    /// Answers about accounts that don't exist are made of this.
    struct Pretence {
        AsyncMutex mutex;
        std::string secret;  ///< the directory's, once it was asked for
        std::map<ScramHash, std::map<ScramKind, std::size_t>> kinds;
        SteadyTime look_again = SteadyTime::min();
    } pretence;
    FairPool pool;  // last but for those that use it: its threads end before what they use
    MailKeys mail_keys;
};

}  // namespace poplar::auth
