#pragma once
// The administrator's filter scripts: those that run before and after the scripts of accounts, for all of them or for a
// domain's, and the library that every script may include (`include :global`, RFC 6609 s3.1).
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "delivery/ready_script.h"
#include "directory/common_script_records.h"

namespace poplar::delivery {

enum class CommonPlace : std::uint8_t { before, after, library };
std::string_view word_of(CommonPlace place);                      ///< "before"
std::optional<CommonPlace> parse_common_place(std::string_view);  ///< nothing: there is no such place

/// Names the script for all domains, where others have the name of a domain.
inline constexpr std::string_view kForAll = "all";

/// Runs behind the scripts of accounts where no other script does that concerns the domain, if the message has a spam
/// score.
extern const std::string_view kJunkScript;

struct CommonScriptInfo {
    CommonPlace place{};
    std::string name;  ///< kForAll, a domain, or a name in the library
    std::uint64_t octets = 0;
    Timestamp modified{};
    bool built_in = false;  ///< the server's own, as long as nobody put another
};

/// May be used from any thread. Beside those named, any call may fail as the engine does. The records are changed by
/// no one else, because what is there is read once, and what is compiled is kept.
class CommonScripts {
public:
    /// `sends`: whether anything leaves this server.
    CommonScripts(engine::Engine& engine, const Clock& clock, const FilterOptions& options, bool sends)
        : records_(engine), clock_(clock), options_(options), sends_(sends) {}

    Task<Result<std::vector<CommonScriptInfo>>> list();
    /// Errors: not_found.
    Task<Result<std::string>> get(CommonPlace place, std::string name);
    sieve::Compiled check(std::string_view text) const { return compile_script(text, options_.sieve, sends_); }
    /// Stores a script that compiles. Errors: invalid (the name, or the script: the text has line and column),
    /// too_large (the library has as many as it may).
    Task<Result<>> put(CommonPlace place, std::string name, std::string text);
    /// Errors: not_found.
    Task<Result<>> remove(CommonPlace place, std::string name);

    struct Around {
        std::vector<ReadyScript> before, after;  ///< in the order in which they run
    };
    /// Those that run around the scripts of an account of this domain. `scored`: the message has a spam score.
    Task<Result<Around>> around(std::string domain, bool scored);
    /// It is known without waiting that none runs, whatever the domain.
    bool has_none(bool scored);
    /// One of the library, for a script that includes it. Null: there is none.
    Task<Result<ReadyScript>> included(std::string name);

private:
    struct Known {
        std::uint64_t octets = 0;
        Timestamp modified{};
    };
    using Key = std::pair<CommonPlace, std::string>;
    using Names = std::map<Key, Known>;

    /// Reads the scripts' names at the first call, and remembers them.
    Task<Result<std::shared_ptr<const Names>>> names();
    Task<Result<ReadyScript>> ready(CommonPlace place, std::string name);
    void forget();
    static Result<std::string> checked_name(CommonPlace place, const std::string& name);

    directory::CommonScriptRecords records_;
    const Clock& clock_;
    const FilterOptions& options_;
    const bool sends_;
    std::mutex mutex_;
    std::shared_ptr<const Names> names_;  ///< null: not read yet, or changed since
    std::map<Key, ReadyScript> ready_;
    std::size_t memory_ = 0;        ///< octets, about, that ready_ takes
    std::uint64_t generation_ = 0;  ///< grows with each change, so that what was read before one is not kept
};

}  // namespace poplar::delivery
