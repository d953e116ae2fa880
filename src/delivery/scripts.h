#pragma once
// Filter scripts of accounts: kept as documents, one of them active, and compiled once for all deliveries.
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "delivery/ready_script.h"
#include "mailstore/mail_store.h"

namespace poplar::delivery {

class Dispatch;

/// Scripts of an account that the server writes for it: they run behind the active one, in this order.
enum class OwnScript : std::uint8_t { forward, vacation };

struct ScriptInfo {
    std::string name;
    std::uint64_t octets = 0;
    Timestamp modified{};
    bool active = false;
};

/// All functions may be called from any thread. Beside those named, any call may fail as MailStore's do. Documents of
/// scripts are changed by no one else, because what is compiled is kept until a script of the account changes here.
class Scripts {
public:
    /// Where nothing is sent, a script that would send something does not compile.
    Scripts(mailstore::MailStore& store, const FilterOptions& options, const Dispatch& dispatch)
        : store_(store), options_(options), dispatch_(dispatch) {}

    const sieve::Options& limits() const { return options_.sieve; }
    Task<Result<std::vector<ScriptInfo>>> list(mailstore::AccountId account);
    /// Errors: not_found.
    Task<Result<std::string>> get(mailstore::AccountId account, std::string name);
    /// Compiles it as `put` does: with what this server can do.
    sieve::Compiled check(std::string_view text) const;
    /// Stores a script that compiles. Errors: invalid (the name, or the script: the text has line and column),
    /// too_large (the account has as many as it may).
    Task<Result<>> put(mailstore::AccountId account, std::string name, std::string text);
    /// Whether put() would take one more script, or another text for this one. Errors: as put()'s.
    Task<Result<>> have_room(mailstore::AccountId account, std::string name);
    /// The active script stays so under its new name. In steps: the new script, the active one's name, the end of the
    /// old script. A crash in between leaves the script under both names, and never none. Errors: not_found, exists,
    /// invalid (the name).
    Task<Result<>> rename(mailstore::AccountId account, std::string from, std::string to);
    /// "" for none: mail goes to INBOX unfiltered. Errors: not_found.
    Task<Result<>> activate(mailstore::AccountId account, std::string name);
    /// Errors: not_found; denied (it is the active one).
    Task<Result<>> remove(mailstore::AccountId account, std::string name);

    /// The text of a script that the server wrote. Errors: not_found.
    Task<Result<std::string>> own(mailstore::AccountId account, OwnScript which);
    /// "" takes it away. Errors: invalid (it does not compile).
    Task<Result<>> set_own(mailstore::AccountId account, OwnScript which, std::string text);

    /// The scripts that run at a delivery.
    using Active = ReadyScript;
    struct Chain {
        std::vector<Active> before;  ///< the administrator's
        Active active;               ///< the user's
        std::vector<Active> after;   ///< the administrator's, behind it
        std::vector<Active> own;     ///< the server's, behind all others
        bool has_active() const { return active.script || !active.trouble.empty(); }
        bool empty() const { return !has_active() && before.empty() && after.empty() && own.empty(); }
    };
    /// Without the administrator's.
    Task<Result<Chain>> active(mailstore::AccountId account);
    /// It is known without waiting that none runs: so it is for most accounts, at each of their deliveries.
    bool has_none(mailstore::AccountId account);
    /// One that another includes. Null: there is none.
    Task<Result<Active>> compiled(mailstore::AccountId account, std::string name);

private:
    /// The document that says which scripts run.
    struct Choice {
        std::string active;  ///< its name, or ""
        std::vector<OwnScript> own;
    };
    struct Kept {
        Choice choice;
        std::unordered_map<std::string, Active> scripts;
        std::size_t memory = 0;
    };
    std::shared_ptr<Kept> kept(mailstore::AccountId account);
    void keep(mailstore::AccountId account, std::shared_ptr<Kept> kept, std::uint64_t generation);
    void forget(mailstore::AccountId account);
    /// Also its version; none if there is no such document.
    Task<Result<std::pair<Choice, mailstore::ModSequence>>> choice(mailstore::AccountId account);
    Task<Result<>> choose(mailstore::AccountId account, std::function<void(Choice&)> change);
    Task<Result<Active>> compiled_document(mailstore::AccountId account, std::string document);

    mailstore::MailStore& store_;
    const FilterOptions& options_;
    const Dispatch& dispatch_;
    std::mutex mutex_;
    std::unordered_map<mailstore::AccountId, std::shared_ptr<Kept>> kept_;
    std::size_t memory_ = 0;
    std::uint64_t generation_ = 0;  ///< grows with each change, so that what was read before one is not kept
};

}  // namespace poplar::delivery
