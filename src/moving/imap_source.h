#pragma once
// The client's side of IMAP, as far as a move needs it: it examines and peeks, and changes nothing.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "moving/imap_response.h"
#include "moving/wire.h"

namespace poplar::moving {

/// Errors of all calls: those of Wire; invalid (what comes is no IMAP), denied (the server says no), too_large.
class ImapSource {
public:
    struct Folder {
        std::string raw;   ///< as the server calls it
        std::string name;  ///< as mailboxes are called here
    };
    struct Folders {
        std::vector<Folder> folders;  ///< INBOX first
        std::vector<std::string> notes;
        bool whole = true;  ///< none is left out that could not be read
    };
    struct Examined {
        std::uint64_t messages = 0;
        std::uint32_t uid_validity = 0;
    };

    Result<> open(const Endpoint& endpoint, const Credentials& credentials);
    bool is_open() const { return wire_.is_open(); }
    /// The user's own, without those that show other folders' messages (RFC 6154: \All, \Flagged).
    Result<Folders> folders();
    Result<Examined> examine(const std::string& raw);  ///< read-only: no flag changes (RFC 3501 s6.3.2)
    /// UIDs with flags, dates and sizes of the folder that was examined, in their order.
    Result<std::vector<FetchedMessage>> list();
    using Take = std::function<void(FetchedMessage message)>;
    Result<> headers(std::span<const std::uint32_t> uids, const Take& take);
    /// not_found: it is gone.
    Result<std::string> message(std::uint32_t uid);
    void leave();

private:
    Result<> begin(const Endpoint& endpoint, const Credentials& credentials);
    using TakeResponse = std::function<void(ImapResponse response)>;
    Result<ImapResponse> read();
    /// Hands untagged responses on. The text of the tagged one: OK, else denied.
    Result<std::string> command(std::string text, const TakeResponse& take, const std::string& answer = {});
    Result<> learn_capabilities();
    Result<> log_in(const Credentials& credentials);
    Result<> fetch(const std::string& command, const Take& take);

    Wire wire_;
    std::vector<std::string> capabilities_;
    std::uint64_t tag_ = 0;
};

/// "INBOX.Lists.asio" with the delimiter "." as "Lists/asio", where "INBOX." is the prefix of the user's own.
std::string mailbox_of(std::string_view raw, std::string_view delimiter, std::string_view prefix);

}  // namespace poplar::moving
