#pragma once
// Everything that a run is told from outside. Nothing in this folder asks anybody else.
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "sieve/script.h"

namespace poplar::sieve {

struct Envelope {
    std::string from;                        ///< "" for the null reverse-path
    std::string to;                          ///< of the recipient whose script runs
    std::optional<std::string> original_to;  ///< before aliases and details were resolved
    std::optional<std::string> auth;         ///< who sent it had logged in so
    // RFC 6009; nothing: the parameter was not given.
    std::vector<std::string> notify;
    std::optional<std::string> orcpt, ret, envid;
    struct DeliverBy {
        std::int64_t seconds = 0;
        bool returns = false, trace = false;
    };
    std::optional<DeliverBy> deliver_by;
};

struct Environment {
    std::string domain, host, remote_host, remote_ip, version;
    Timestamp now{};
    std::chrono::minutes zone{};           ///< the server's, east of UTC
    std::vector<std::string> addresses;    ///< the account's own; the first is its name
    std::optional<unsigned> spam_percent;  ///< nothing: nobody looked
    std::optional<unsigned> virus;         ///< as RFC 5235 s3.3 counts; nothing: nobody looked
    char detail_separator = '+';
};

enum class ScriptPlace : std::uint8_t { personal, global };

/// Answers about the account and its store. They have to be the same for as long as a run lasts.
class World {
public:
    virtual ~World() = default;
    virtual bool has_mailbox(std::string_view name) = 0;
    /// Mailboxes that have this use ("\Junk").
    virtual std::vector<std::string> mailboxes_for(std::string_view use) = 0;
    virtual std::optional<std::string> mailbox_by_id(std::string_view id) = 0;
    virtual std::optional<std::string> metadata(std::string_view mailbox, std::string_view annotation) = 0;
    virtual std::optional<std::string> server_metadata(std::string_view annotation) = 0;
    /// Nothing: there is no such list. Names are full URIs.
    virtual std::optional<std::vector<std::string>> list(std::string_view name) = 0;
    struct Included {
        std::shared_ptr<const Script> script;  ///< null: there is none
        std::string trouble;                   ///< it does not compile: why
    };
    virtual Included script(ScriptPlace place, std::string_view name) = 0;
    /// Whether something is remembered still: Memory::key.
    virtual bool remembers(std::string_view key) = 0;
};

}  // namespace poplar::sieve
