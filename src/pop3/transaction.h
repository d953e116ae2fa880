#pragma once
// POP3 after the login: the client's commands on its maildrop, up to QUIT.
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "mailstore/mail_store.h"
#include "pop3/authorization.h"
#include "pop3/listings.h"
#include "pop3/numbers.h"

namespace poplar::pop3 {

/// The TRANSACTION and UPDATE states (RFC 1939 s5, s6): from a login to the end.
class Transaction {
public:
    struct Done {
        std::uint64_t retrieved = 0, deleted = 0;  ///< messages; deleted for good, not only marked
        std::uint64_t octets = 0;                  ///< of the messages sent by RETR and TOP, as they went over the wire
    };

    /// `done` is kept up to date while the session runs, so that it is right however that ends.
    Transaction(Conversation& conversation, const Services& services, Login login, Done& done)
        : conversation_(conversation),
          services_(services),
          access_(std::move(login.access)),
          maildrop_(std::move(login.maildrop)),
          policy_(login.policy),
          numbers_(*maildrop_),
          listings_(services.listings, *maildrop_, numbers_),
          done_(done) {}

    /// The failure ends the session.
    Task<Result<>> run();
    /// To be called after run(), however that ended.
    void note_use() { access_.note_fetched(done_.retrieved); }
    /// The same: gives what was retrieved the flag \Seen, where Options::marks_seen wants it so.
    Task<> mark_seen();

private:
    using Message = mailstore::Message;

    Task<Result<>> on(Stat);
    Task<Result<>> on(List list);
    Task<Result<>> on(Uidl uidl);
    Task<Result<>> on(Retr retr);
    /// Answers without coroutines, if the message is known and nothing has to be waited for.
    bool try_retrieve(Retr retr);
    bool make_whole_reply(const Message& message, const engine::BodyReader& reader);
    Task<Result<>> on(Top top);
    Task<Result<>> on(Dele dele);
    Task<Result<>> on(Rset);
    Task<Result<>> on(Noop);
    Task<Result<>> on(Capa);
    Task<Result<>> on(Lang lang);
    Task<Result<>> on(Quit);
    template <class Other>
    Task<Result<>> on(Other) {
        return conversation_.refuse("you are logged in already");
    }

    using Kind = ListingCache::Kind;
    Task<Result<>> list_one(MessageNumber number, Kind kind);
    Task<Result<>> list_all(Kind kind, Text first_line);
    Task<Result<>> make_listing(Kind kind);
    /// The kind of LIST, which depends on whether this session's sizes are those in ASCII.
    Kind octets_kind() const;
    bool downgrades(const Message& message) const { return message.ascii_octets != 0 && conversation_.downgrades(); }
    std::uint64_t octets_of(const Message& message) const {
        return downgrades(message) ? message.ascii_octets : message.octets;
    }
    /// Reads at least the message with this number, if there is one. Errors: the store's.
    Task<Result<>> look_up(MessageNumber number);
    struct Refusal {
        std::string_view code;  ///< with its brackets, or none
        Text text;
    };
    std::expected<const Message*, Refusal> find(MessageNumber number) const;
    std::expected<const Message*, Refusal> find_content(MessageNumber number) const;
    Task<Result<>> refuse(Refusal why);
    Task<Result<bool>> gather_top(engine::BodyReader& reader, std::uint64_t lines, bool downgrade,
                                  std::string& gathered);
    Task<Result<>> send(const Message& message, engine::BodyReader& reader);
    Task<Result<>> send_top(const Message& message, engine::BodyReader& reader, std::uint64_t lines);
    /// Answers that the store failed.
    Task<Result<>> unreadable(const Error& why);
    Task<Result<>> unreadable(const Error& why, const Message& message);
    std::unexpected<Error> cut(const Message& message, const Error& why);
    void log_failure(const Error& why, std::string_view what);
    /// The messages that QUIT removes, in order.
    std::vector<MessageNumber> to_remove() const;
    void note_retrieved(MessageNumber number);
    bool is_deleted(MessageNumber number) const { return number <= deleted_.size() && deleted_[number - 1]; }
    static void mark(std::vector<bool>& marks, MessageNumber number, std::size_t messages) {
        if (marks.size() < messages) marks.resize(messages);
        marks[number - 1] = true;
    }

    Conversation& conversation_;
    const Services& services_;
    auth::Access access_;
    std::unique_ptr<mailstore::Maildrop> maildrop_;
    Policy policy_;
    MessageNumbers numbers_;
    Listings listings_;
    std::vector<bool> deleted_;             // empty, or one for each message
    std::vector<bool> retrieved_;           // the same, with EXPIRE 0 only
    std::set<std::string> seen_;            // unique-ids of those retrieved, with Options::marks_seen only
    std::vector<std::string_view> pieces_;  // of the reply that is being sent
    std::uint64_t deleted_count_ = 0, deleted_octets_ = 0;
    Done& done_;
};

}  // namespace poplar::pop3
