#pragma once
// A maildrop on another server, by POP3, by IMAP or by both.
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "moving/imap_source.h"
#include "moving/pop3_source.h"
#include "moving/source.h"

namespace poplar::moving {

struct RemoteOptions {
    std::optional<Endpoint> pop3, imap;  ///< at least one
    Credentials credentials;
    Unnamed unnamed = Unnamed::hold_back;
};

/// INBOX is as POP3 shows it, in its order and with its unique-ids; flags, dates, bodies and the other mailboxes are
/// IMAP's. A message of the one is found in the other by its header, and by its size if several have that. What POP3
/// alone shows is read by POP3. With IMAP alone there are no unique-ids.
///
/// Nothing changes there. A connection that breaks while messages are read is made again, once for each message.
class RemoteSource final : public Source {
public:
    explicit RemoteSource(RemoteOptions options) : options_(std::move(options)) {}
    ~RemoteSource() override;

    Result<Listing> list() override;
    Result<> prepare(Listing& listing, const std::function<bool(const std::string& key)>& known) override;
    Result<> read(const SourceMessage& message, const std::function<Result<>(std::string_view)>& take) override;

    /// What the keys of its messages begin with, for those that come by POP3 and by IMAP.
    static std::string pop3_scope(const std::string& user);
    static std::string imap_scope(const std::string& user);
    /// The key of a message with this unique-id and of this size, if it is the only one.
    static std::string pop3_key(const std::string& user, std::uint64_t octets, const std::string& unique_id);
    /// The unique-id of a message that has none which could be kept: made of its key, so that it is known again.
    static std::string made_unique_id(const std::string& scope, const std::string& key);
    /// What such unique-ids of the scope begin with.
    static std::string made_prefix(const std::string& scope);

private:
    struct ImapPlace {
        std::size_t folder = 0;
        std::uint32_t uid = 0;
    };
    struct Place {
        std::uint32_t number = 0;  // by POP3; 0: it is not there
        std::string unique_id;     // as POP3 says it
        std::optional<ImapPlace> imap;
        std::string digest;  // of its header, by TOP; "": not asked
    };
    struct Folder {
        ImapSource::Folder names;
        std::uint32_t uid_validity = 0;
        std::vector<FetchedMessage> messages;
    };
    struct Unmatched;

    Result<> open_pop3();
    Result<> open_imap();
    Result<> examine(std::size_t folder);
    Result<> list_pop3(Listing& listing);
    Result<> list_imap(Listing& listing);
    void add_imap(Listing& listing, std::size_t folder, const FetchedMessage& found);
    Result<> read_headers(const std::vector<std::uint32_t>& uids, Unmatched& unmatched);
    Result<> match(std::vector<SourceMessage*> wanted);
    Result<std::string> read_imap(const ImapPlace& place);
    Result<std::string> read_pop3(Place& place);
    template <class Call>
    auto again(Call call);

    const RemoteOptions options_;
    Pop3Source pop3_;
    ImapSource imap_;
    std::vector<Folder> folders_;
    std::optional<std::size_t> examined_;
    std::unordered_map<std::string, Place> places_;  // by key
    std::size_t pop3_count_ = 0;
};

}  // namespace poplar::moving
