#pragma once
// Lists who is logged in, so that sessions of an account end at once when it is disabled or removed, or when its
// password changes.
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/asio.h"
#include "directory/directory.h"

namespace poplar::auth {

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
        Whose(directory::AccountId id, std::uint32_t of) : account(id), device(of) {}
        directory::AccountId account;
        std::optional<std::uint32_t> device = {};
    };

    /// `end` is called on `executor`, once at most, and never after the entry has gone. Returns an empty entry if the
    /// account's sessions were ended since `seen`, or if so many endings came that nobody can tell: the caller must
    /// then refuse the login.
    Entry enter(Whose whose, Executor executor, Mark seen, std::function<void()> end);

    /// Ends the sessions of an account, or of one device of it: to be called once what they must not see any more is
    /// durable. Returns how many there were. Their execution contexts must outlive the call.
    std::size_t end(Whose whose);

    std::size_t count() const;

private:
    static constexpr std::size_t kRemembered = 4096;  // endings

    mutable std::mutex mutex_;
    std::unordered_multimap<directory::AccountId, std::shared_ptr<Session>> sessions_;
    Mark endings_ = 0;
    std::deque<Whose> recent_;  // the last endings, the newest last
};

}  // namespace poplar::auth
