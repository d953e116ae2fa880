#pragma once
// Brings a maildrop of another server along, message after message, so that a run can be broken off and repeated.
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/messages.h"
#include "api/moving.h"
#include "cli/client.h"
#include "moving/source.h"

namespace poplar::cli {

struct ImportReport {
    std::size_t messages = 0, stored = 0, there = 0, deleted = 0, kept = 0, removed = 0;
    std::vector<std::string> not_kept, gone, refused, held;

    bool clean() const { return gone.empty() && refused.empty(); }
    api::Json json() const;
};

/// How INBOX here compares with the source's, as its clients see it.
struct ImportComparison {
    std::size_t messages = 0, fresh = 0, inbox = 0, ids = 0, sizes = 0, in_order = 0, without = 0, would_remove = 0;
    std::vector<std::string> differing, not_kept, held;

    /// Tells what clients that leave their mail on the server will do about it.
    std::string outlook() const;
    api::Json json() const;
};

/// A source over the wire whose messages are removed here when they are gone there.
struct MirroredSource {
    std::string user;
    bool pop3 = false, imap = false;
};

class MailImport {
public:
    /// Called with how many messages are done, and of how many.
    using Progress = std::function<void(std::size_t done, std::size_t total)>;

    MailImport(Client& server, std::string address, Progress progress)
        : server_(server), address_(std::move(address)), progress_(std::move(progress)) {}

    /// Lists the source. To be called first.
    CallResult<> list(moving::Source& source);
    const moving::Listing& listing() const { return listing_; }

    /// report() tells how far it came, also if it fails.
    CallResult<> run(moving::Source& source);
    /// Removes here what came from the source and is gone there. Behind run().
    CallResult<> mirror(const MirroredSource& source);
    const ImportReport& report() const { return report_; }

    /// Without storing anything.
    CallResult<ImportComparison> compare(moving::Source& source, const MirroredSource* mirrored);

private:
    using Here = std::unordered_map<std::string, std::pair<std::uint64_t, std::uint64_t>>;  // octets and order by id

    CallResult<> find_known(std::size_t from);
    CallResult<> each_message(const std::optional<std::string>& mailbox,
                              const std::function<void(const api::Message&)>& take);
    CallResult<> bring(moving::Source& source, const moving::SourceMessage& message);
    CallResult<std::vector<std::string>> vanished(const MirroredSource& source);

    Client& server_;
    const std::string address_;
    const Progress progress_;
    moving::Listing listing_;
    std::unordered_map<std::string, api::ImportedMessage> known_;
    ImportReport report_;
};

}  // namespace poplar::cli
