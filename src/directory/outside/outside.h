#pragma once
// All directories outside behind one door: what is fresh is not asked, what is cached is believed while nobody answers,
// each source has its own threads and deadline, and one that is silent is left alone for a moment.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "directory/directory.h"
#include "directory/outside/settings.h"
#include "directory/outside/source.h"
#include "directory/outside_directory.h"

namespace poplar::directory::outside {

class PamProcess;

/// The things that a source needs from the time when the server still has its starter's rights.
struct Prepared {
    Settings settings;
    std::string secret = {};               ///< of bind_dn
    std::shared_ptr<PamProcess> pam = {};  ///< null: not forked
};

/// Reads secrets and looks at files. Errors: invalid; the detail says what is wrong with which directory.
Result<std::vector<Prepared>> prepare(const std::vector<Settings>& directories);
/// Forks the PAM processes. To be called first of all, while the process has one thread, no secret and no socket; later
/// for the same list. Errors: io.
Result<std::vector<std::shared_ptr<PamProcess>>> start_pam(const std::vector<Settings>& directories);

/// Errors: invalid.
Result<std::unique_ptr<Source>> make_source(const Prepared& prepared, mail::LocalPartCase local_case);

class Outside final : public OutsideDirectory {
public:
    struct Part {
        Settings settings;
        std::unique_ptr<Source> source;
    };
    struct Options {
        /// auth/password.h's. Called on threads of this; may throw std::bad_alloc.
        bool (*matches)(std::string_view stored, std::string_view password) = nullptr;
        std::size_t hash_threads = 2;  ///< for credentials that sources hand out, and for what is kept
        std::size_t hash_queue = 256;  ///< of those that may wait; more logins are answered busy
    };
    /// `directory` keeps what has to survive a restart.
    Outside(Directory& directory, const Clock& clock, std::vector<Part> parts, Options options);
    ~Outside() override;

    bool keeps(std::string_view domain) const override;
    std::string described(std::string_view domain) const override;
    bool is_silent(std::string_view domain) const override;
    Task<Sighting> look_up(mail::Address address) override;
    bool remembers(const std::string& address, const std::string& password, const Asker& asker) override;
    Task<Result<bool>> check(mail::Address address, std::string password, Asker asker) override;

    /// Adds the domains that are missing to the directory. Errors: the directory's.
    Task<Result<>> add_domains();
    /// Writes what has to survive a restart; to be called every minute or so, and at the end. Errors: the directory's.
    Task<Result<>> flush();
    /// The server stops: waits for the hashes that are to survive a restart, for two seconds at most; those that are
    /// not made by then are not made any more. Then flush().
    Task<> stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::directory::outside
