#pragma once
// Lists who is logged in, so that sessions of an account end at once when it is disabled or removed, or when its
// password changes.
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "directory/directory.h"

namespace poplar::auth {

/// The factors that a session has shown beside its first proof, by which it stays when a policy for second factors
/// changes.
struct Shown {
    std::uint8_t ways = 0;  ///< a bit for each directory::FactorWay
    bool vouched = false;   ///< a token whose issuer saw a second factor
    bool operator==(const Shown&) const = default;
};

/// Functions may be called from any thread.
class OpenSessions {
    struct Session;

public:
    /// Counts the calls of end(). A login takes it before it looks the account up, so that enter() sees an ending that
    /// came in between: what the login read may be out of date then.
    using Mark = std::uint64_t;
    Mark mark() const;

    /// A session that is in the list until this is destroyed, on the session's thread.
    class Entry {
    public:
        Entry() = default;
        Entry(Entry&&) noexcept = default;
        Entry& operator=(Entry&& other) noexcept;
        ~Entry() { leave(); }
        explicit operator bool() const { return session_ != nullptr; }

    private:
        friend class OpenSessions;
        Entry(OpenSessions& list, std::shared_ptr<Session> session) : list_(&list), session_(std::move(session)) {}
        void leave();
        OpenSessions* list_ = nullptr;
        std::shared_ptr<Session> session_;
    };

    /// An account, and the device of it that a session belongs to, if it logged in with a device's password.
    struct Whose {
        Whose(directory::AccountId id) : account(id) {}
        Whose(directory::AccountId id, std::optional<std::uint32_t> of) : account(id), device(of) {}
        directory::AccountId account;
        std::optional<std::uint32_t> device = {};
    };
    /// A login that becomes a session.
    struct Newcomer {
        Newcomer(Whose of) : whose(of) {}
        Newcomer(directory::AccountId id) : whose(id) {}
        Newcomer(Whose of, std::string at, Shown what) : whose(of), domain(std::move(at)), shown(what) {}
        Whose whose;
        std::string domain = {};  ///< the account's
        Shown shown = {};
    };

    /// `end` is called on `executor`, once at most, and never after the entry has gone. Returns an empty entry if the
    /// account's sessions were ended since `seen`, or if so many endings came that nobody can tell: the caller must
    /// then refuse the login.
    Entry enter(Newcomer newcomer, Executor executor, Mark seen, std::function<void()> end);

    /// Ends the sessions of an account, or of one device of it: to be called once what they must not see any more is
    /// durable. Returns how many there were. Their execution contexts must outlive the call.
    std::size_t end(Whose whose);

    // For rules that let some sessions stay. First what the rule is about begins anew, so that no login comes in which
    // was judged by the old one; then those that are there are looked at, one after the other.

    /// Refuses the logins under way of an account, or of all accounts of a domain. Sessions stay.
    void begin_logins_anew(directory::AccountId account);
    void begin_logins_anew(std::string domain);
    struct Present {
        directory::AccountId account;
        Shown shown;
    };
    /// Each pair once, of an account or of a domain.
    std::vector<Present> present(directory::AccountId account) const;
    std::vector<Present> present(const std::string& domain) const;
    /// Ends the sessions that are such. Returns how many there were.
    std::size_t end_those(const Present& such);

    std::size_t count() const;

private:
    static constexpr std::size_t kRemembered = 4096;  // endings

    /// Of an account, of one device of it, or of a domain's accounts.
    struct Ending {
        Whose whose;
        std::string domain = {};
    };
    void remember(Ending ending);  // with the mutex held
    template <class IsMeant>
    std::vector<Present> present_if(IsMeant is_meant) const;
    template <class IsMeant>
    std::vector<std::shared_ptr<Session>> of_account(directory::AccountId account, IsMeant is_meant) const;
    static std::size_t tell(const std::vector<std::shared_ptr<Session>>& ended);
    static bool concerns(const Ending& ending, const Newcomer& newcomer);

    mutable std::mutex mutex_;
    std::unordered_multimap<directory::AccountId, std::shared_ptr<Session>> sessions_;
    Mark endings_ = 0;
    std::deque<Ending> recent_;  // the last endings, the newest last
};

}  // namespace poplar::auth
