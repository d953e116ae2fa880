#pragma once
// Runs an account's script over a message, and turns what it asks for into one commit of the account.
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "delivery/common_scripts.h"
#include "delivery/dispatch.h"
#include "delivery/scripts.h"
#include "mailstore/mail_store.h"
#include "quota/quotas.h"
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
    std::string received;  ///< the trace of a copy that goes on: the last of the fields in `head`
    std::shared_ptr<quota::Reservation> room = nullptr;   ///< that was claimed for one copy; null: nothing bounds it
    bool may_reject = false;                              ///< the sender can be told so, and it concerns nobody else
    std::optional<unsigned> spam_percent = std::nullopt;  ///< for spamtest; nothing: nobody looked
    queue::TlsWish tls = queue::TlsWish::usual;           ///< of what goes on, and of answers (RFC 8689 s6)
    bool junk = false;                                    ///< it was judged so: it goes no further, and nobody answers
    std::vector<std::string> flags = {};                  ///< that it has already
    bool stored = false;  ///< it was filed before: nothing that is remembered of it counts
};

struct FilterOutcome {
    std::optional<std::string> rejected;  ///< the reason, in ASCII; else the message is dealt with
};

/// A script that runs over the mail of a mailbox that is there already.
struct StoredRun {
    mailstore::AccountId account;
    std::string address, host;
    mailstore::MailboxId mailbox;
    std::shared_ptr<const sieve::Script> script;
    bool dry_run = false;  ///< nothing is done
};
/// What came of it for one message.
struct StoredStep {
    std::string unique_id;
    std::vector<std::string> done, skipped;  ///< "fileinto Work": what was done, and what can't be done any more
    std::string error;                       ///< the script failed on it: the message stays as it is
};
struct StoredTotals {
    std::uint64_t messages = 0;  ///< that there were at the beginning, about
    std::uint64_t looked_at = 0, moved = 0, copied = 0, flagged = 0, discarded = 0, skipped = 0, failed = 0;
};
class StoredWatcher {
public:
    virtual ~StoredWatcher() = default;
    /// Called for each message. An error ends the run with it.
    virtual Task<Result<>> on_step(StoredStep step, StoredTotals totals) = 0;
    /// Room for a copy. Errors: no_space (the account is full), which end the run.
    virtual Task<Result<quota::Reservation>> room(std::uint64_t octets) = 0;
};

class Filter {
public:
    Filter(mailstore::MailStore& store, const Clock& clock, const FilterOptions& options, Dispatch& dispatch)
        : store_(store), clock_(clock), options_(options), dispatch_(dispatch), scripts_(store, options, dispatch) {}

    Scripts& scripts() { return scripts_; }
    /// The administrator's scripts, which must outlive this. To be called before anything else is.
    void share(CommonScripts& common) { common_ = &common; }
    /// It is known without waiting that no script runs: nearly always answered from memory. `scored`: the message has a
    /// spam score.
    bool has_none(mailstore::AccountId account, bool scored) {
        return scripts_.has_none(account) && (common_ == nullptr || common_->has_none(scored));
    }
    /// `domain`: of the account, canonical.
    Task<Result<Scripts::Chain>> scripts_of(mailstore::AccountId account, std::string domain, bool scored);
    /// Files the message as the script says, and sends what it sends. A script that fails, or does not compile any
    /// more, keeps it in INBOX. Errors: as MailStore::file's, those of the queue, and those of reading the content.
    ///
    /// The queue and the account are two commits. The queue's comes first: a crash in between, or a failure of the
    /// second, leaves mail that its sender brings again. What the queue has already is not sent again then, because
    /// each departure is named after the message and what is done with it; a fact in the account, of the second commit,
    /// tells a repeated delivery from a second one of the same octets.
    Task<Result<FilterOutcome>> deliver(Filtered message, Scripts::Chain chain);

    /// Messages that arrive meanwhile are not looked at. A message that stays keeps its unique-id, and so does one that
    /// moves. Each message is dealt with by itself, so a run that broke off can begin again. Errors: as MailStore's;
    /// the watcher's.
    Task<Result<StoredTotals>> run_over(StoredRun run, StoredWatcher& watcher);

private:
    struct Octets {
        std::string text;  ///< plain
        bool whole = true;
    };
    Task<Result<Octets>> read(Result<std::unique_ptr<engine::BodyReader>> reader, std::uint64_t octets,
                              bool header_alone) const;
    /// One message of a run over stored mail, and where it is to go.
    class StoredWork;
    /// `instructions`: what is left of them for this message; less behind it.
    Task<Result<sieve::Outcome>> run(const Filtered& message, std::shared_ptr<const sieve::Script> script,
                                     std::string_view text, std::uint64_t& instructions);
    Task<Result<sieve::Outcome>> run_ready(const Filtered& message, const ReadyScript& ready, std::string_view text,
                                           std::uint64_t& instructions);
    Task<Result<sieve::Outcome>> run_sequence(const Filtered& message, const Scripts::Chain& chain,
                                              std::string_view text, std::uint64_t& instructions);
    Task<Result<ReadyScript>> included(mailstore::AccountId account, sieve::ScriptPlace place, std::string name);
    static Task<Result<ReadyScript>> no_script();
    /// All that run, as one outcome.
    Task<Result<sieve::Outcome>> run_all(const Filtered& message, const Scripts::Chain& chain, std::string_view text);
    /// At most once a day, a message in INBOX says that the filter failed.
    Task<> tell(Filtered message, sieve::Problem problem);
    /// `sum`: names the message, whenever it is delivered.
    Task<Result<FilterOutcome>> carry_out(Filtered message, sieve::Outcome outcome, std::uint64_t header_octets,
                                          std::string sum, bool forwarded_before);
    /// Adds what an action sends, unless nobody is to get it.
    Task<Result<>> add_departure(const Filtered& message, const sieve::Action& action, std::uint64_t header_octets,
                                 std::vector<Departure>& departures);
    Task<Result<>> send(const Filtered& message, std::vector<Departure> departures, std::string sum,
                        std::vector<mailstore::NewFact>& facts);
    /// Keeps other messages from leading to the same answers until this is gone.
    class Answering;
    /// Takes the answers out of `outcome` that another message has led to since it was made, or is about to.
    Task<Result<std::shared_ptr<Answering>>> claim_answers(const Filtered& message, sieve::Outcome& outcome);
    Task<Result<bool>> has_8bit(const mailstore::Content& content) const;
    struct Changed {
        mailstore::Content content;
        std::uint64_t ascii_octets = 0;  ///< NewMessage::ascii_octets
    };
    Task<Result<Changed>> stage(const Filtered& message, const sieve::MessageState& state, std::uint64_t header_octets);
    Task<Result<mailstore::Filing::Item>> item_of(const Filtered& message, const sieve::Filing& wanted,
                                                  const sieve::MessageState& state, std::uint64_t header_octets,
                                                  std::map<const std::string*, Changed>& staged);
    Task<Result<FilterOutcome>> commit(const Filtered& message, mailstore::Filing filing,
                                       std::vector<Departure> departures, std::string sum);

    mailstore::MailStore& store_;
    const Clock& clock_;
    const FilterOptions& options_;
    Dispatch& dispatch_;
    Scripts scripts_;
    CommonScripts* common_ = nullptr;
    std::mutex mutex_;
    std::set<std::pair<mailstore::AccountId, std::string>> answering_;  // what an answer is remembered by
};

}  // namespace poplar::delivery
