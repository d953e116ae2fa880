#pragma once
// Remembers what one source said of its addresses: in memory, of so many. May be used from any thread.
#include <array>
#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "directory/outside/kept.h"
#include "directory/outside/source.h"

namespace poplar::directory::outside {

/// A password of an account, as a hash (BLAKE2b) under a key that only this process has.
using Digest = std::array<unsigned char, 32>;

class Known {
public:
    /// `fresh`: an answer is believed so long without asking; `cache`: so long when nobody answers. A quarter of the
    /// entries is for addresses that are not there, so that made-up ones push out none that is.
    Known(const Clock& clock, std::chrono::seconds fresh, std::chrono::seconds cache, std::size_t entries);

    Digest digest(std::string_view address, std::string_view password) const;

    struct Seen {
        bool exists = false;
        bool fresh = false;  ///< else it is good only where nobody answers
        std::string credential = {};
        std::vector<std::string> networks = {};
    };
    /// Nothing if nothing is known that may still be believed. That an account is not there is believed only while it
    /// is fresh, because mail to it would be refused for good.
    std::optional<Seen> find(const std::string& address);

    enum class Memory { right, wrong, none };
    /// The source's answer about this very password. `stale`: it does not answer now; then one that was wrong stays so.
    enum class Age { fresh, stale };
    Memory remembers(const std::string& address, const Digest& password, Age age);

    /// Notes that the source has answered. One that is there and was not written for long is due to be kept; so is one
    /// that was there and is gone. What is known of passwords is forgotten if its credential has changed.
    void note(const std::string& address, const Answer& answer);
    /// Notes whether a password is right. `credential`: with which it was compared, or "" if the source judged it; if
    /// that is not the last one that was heard, nothing is noted. Returns true if it was right and is not kept yet.
    bool note(const std::string& address, const Digest& password, bool right, std::string_view credential = {});
    /// The slow hash of a password that was right; dropped if another one has come since.
    void keep(const std::string& address, const Digest& password, KeptPassword kept);

    struct Due {
        std::string address;
        std::optional<Kept> kept;     ///< nothing: the account is gone
        bool password_known = false;  ///< else the password of the record that is there, if any, stays
    };
    /// The records to be written to the store; each once.
    std::vector<Due> take_due();
    /// It could not be written.
    void put_back(Due due);
    /// A record is there of an account that is gone.
    void drop_record(const std::string& address);

private:
    static constexpr std::size_t kWrong = 4;  ///< passwords that are remembered as wrong, of an account

    struct Entry {
        Timestamp heard{};  ///< the last word about whether it is there
        bool exists = false;
        std::string credential = {};
        std::vector<std::string> networks = {};
        std::optional<Digest> right = {};
        Timestamp right_at{};
        std::list<std::pair<Digest, Timestamp>> wrong = {};  ///< the latest first
        std::optional<Digest> kept_of = {};                  ///< the password that `kept` was made of
        std::optional<KeptPassword> kept = {};
        std::optional<Timestamp> written = {};
        bool password_known = false;  ///< `kept`, or that there is none any more, goes before what is stored
        bool due = false;
        std::list<std::string>::iterator order = {};
    };

    bool is_within(Timestamp then, std::chrono::seconds time) const;
    Entry* use(const std::string& address);  ///< counts as a use; null: there is none
    Entry& place(const std::string& address, bool exists);
    void evict(std::list<std::string>& order);
    std::list<std::string>& order_of(const Entry& entry) { return entry.exists ? there_ : gone_; }
    void set_due(const std::string& address, Entry& entry);
    void forget_password(const std::string& address, Entry& entry);
    static Due due_of(const std::string& address, const Entry& entry);
    void add_late(Due due);

    const Clock& clock_;
    const std::chrono::seconds fresh_, cache_;
    const std::size_t most_gone_, most_there_;
    std::array<unsigned char, 32> key_;
    std::mutex mutex_;
    std::unordered_map<std::string, Entry> entries_;
    std::list<std::string> there_, gone_;  ///< the last used first
    std::vector<std::string> due_;
    std::vector<Due> late_;  ///< of entries that had to go before they were written
};

}  // namespace poplar::directory::outside
