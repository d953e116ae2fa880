#pragma once
// Runs an account's script over a message, and turns what it asks for into one commit of the account.
#include <memory>
#include <optional>
#include <string>

#include "delivery/scripts.h"
#include "mailstore/mail_store.h"
#include "sieve/run.h"

namespace poplar::delivery {

/// A message and its envelope, as far as a filter has to know them.
struct Filtered {
    mailstore::AccountId account;
    std::string head;                ///< the trace fields of this recipient, in wire form
    mailstore::Content content;      ///< of all recipients
    std::uint64_t ascii_octets = 0;  ///< NewMessage::ascii_octets of head and content
    std::string from, to;
    std::string address;     ///< the account's own
    std::string helo, peer;  ///< of the client
    std::string host;
    std::string default_mailbox;  ///< for what the script keeps; "" for INBOX
    char separator = '+';
    bool may_reject = false;                              ///< the sender can be told so, and it concerns nobody else
    std::optional<unsigned> spam_percent = std::nullopt;  ///< for spamtest; nothing: nobody looked
};

struct FilterOutcome {
    std::optional<std::string> rejected;  ///< the reason, in ASCII; else the message is dealt with
};

class Filter {
public:
    Filter(mailstore::MailStore& store, const Clock& clock, const FilterOptions& options)
        : store_(store), clock_(clock), options_(options), scripts_(store, options) {}

    Scripts& scripts() { return scripts_; }
    /// Whether the account has an active script: nearly always answered from memory.
    bool has_none(mailstore::AccountId account) { return scripts_.has_none(account); }
    Task<Result<Scripts::Active>> script_of(mailstore::AccountId account) { return scripts_.active(account); }
    /// Files the message as the script says. A script that fails, or does not compile any more, keeps it in INBOX.
    /// Errors: as MailStore::file's, and those of reading the content.
    Task<Result<FilterOutcome>> deliver(Filtered message, Scripts::Active active);

private:
    struct Octets {
        std::string text;  ///< plain
        bool whole = true;
    };
    Task<Result<Octets>> read(const mailstore::Content& content, bool header_alone) const;
    Task<Result<sieve::Outcome>> run(const Filtered& message, std::shared_ptr<const sieve::Script> script,
                                     std::string_view text);
    /// At most once a day, a message in INBOX says that the filter failed.
    Task<> tell(Filtered message, sieve::Problem problem);
    Task<Result<FilterOutcome>> carry_out(Filtered message, sieve::Outcome outcome, std::uint64_t header_octets);
    struct Changed {
        mailstore::Content content;
        std::uint64_t ascii_octets = 0;  ///< NewMessage::ascii_octets
    };
    Task<Result<Changed>> stage(const Filtered& message, const sieve::MessageState& state, std::uint64_t header_octets);

    mailstore::MailStore& store_;
    const Clock& clock_;
    const FilterOptions& options_;
    Scripts scripts_;
};

}  // namespace poplar::delivery
