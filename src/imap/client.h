#pragma once
// One client's session: its state, its commands, and how it is answered. A file of this folder has each family of
// commands.
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "imap/append_words.h"
#include "imap/compression.h"
#include "imap/cursor.h"
#include "imap/fetch_items.h"
#include "imap/result_range.h"
#include "imap/search_keys.h"
#include "imap/selected.h"
#include "imap/session.h"
#include "imap/status.h"
#include "imap/text_form.h"
#include "imap/words.h"
#include "session/lines.h"
#include "session/login.h"

namespace poplar::imap {

class Annotations;

/// The result of a session, for the log.
struct Done {
    std::string account;
    std::uint64_t commands = 0, fetched = 0, appended = 0, expunged = 0;
    std::uint64_t octets = 0;  ///< of the messages fetched
};

/// A handler gets what stands behind its name and a space, and answers its command with exactly one tagged reply: ok(),
/// no() or bad(). Its failure ends the session.
class Client {
public:
    Client(net::Connection& connection, const Services& services, const Options& options, std::string_view session_id);
    ~Client();

    /// From the greeting to the end. The failure says why it ended.
    Task<Result<>> run();
    /// To be called after run(), however that ended.
    void note_use();
    session::Lines& lines() { return lines_; }
    const Done& done() const { return done_; }

private:
    enum State : std::uint8_t { kBeforeLogin = 1, kLoggedIn = 2, kSelected = 4, kAny = 7 };
    enum class Numbering : std::uint8_t { numbers, uids };
    /// A command's end, and how its arguments are read.
    struct Command {
        std::string_view name;
        std::uint8_t states;
        Task<Result<>> (Client::*handler)(Cursor in);
        bool holds_expunges = false;  ///< RFC 9051 s7.5.1, unless it is by UIDs
        bool by_uid = false;          ///< it may stand behind UID
    };
    static std::span<const Command> commands();
    State state() const { return !access_ ? kBeforeLogin : selected_ ? kSelected : kLoggedIn; }

    // client.cc: commands in.
    /// What is read from and written to.
    net::Connection& io() { return compressed_ ? *compressed_ : connection_; }
    Task<Result<>> serve_commands();
    /// Reads a whole command into text_, or an APPEND up to its message, whose literal is message_ then. False: what
    /// came was answered already.
    Task<Result<bool>> read_command();
    /// Adds to text_ what comes up to the end of the command, or up to a literal that is message_ then, because what
    /// stands before it `is_head`. False: what came was answered already.
    Task<Result<bool>> read_text(std::function<bool(std::string_view)> is_head);
    Task<Result<bool>> read_literal(LiteralMark mark);
    /// Reads what follows a literal that is not wanted: its octets, and the command's remaining lines.
    Task<Result<>> skip_command(std::uint64_t octets);
    Task<Result<>> skip_octets(std::uint64_t octets);
    Task<Result<std::string_view>> read_line(std::size_t limit);
    Task<Result<std::string_view>> read_some();
    Task<Result<>> execute();
    Task<Result<>> dispatch(const std::string& name, Cursor in, Numbering numbering);
    std::size_t limit() const { return access_ ? options_.command_limit : options_.login_limit; }
    std::chrono::seconds idle_limit() const { return access_ ? options_.idle : options_.login_idle; }

    // Replies. Untagged ones are gathered in out_.
    template <class... Args>
    void untagged(fmt::format_string<Args...> format, Args&&... args) {
        out_.append("* ");
        fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
        out_.append("\r\n");
    }
    static constexpr std::size_t kBlock = 32 * 1024;  // octets of out_ that are sent together
    /// Sends out_ if it has grown to kBlock.
    Task<Result<>> send_some();
    Task<Result<>> send();
    /// Tells what happened in the mailbox, then `TAG OK text`.
    Task<Result<>> ok(std::string text);
    Task<Result<>> no(std::string text);
    /// Counts it; the last one ends the session.
    Task<Result<>> bad(std::string text);
    /// NO with the response code that fits. `what`: "the mailbox can't be read".
    Task<Result<>> no(const Error& error, std::string_view what);
    Task<Result<>> say_continue(std::string_view text);
    /// Between the steps of a long command: fails if the connection was cut or the server stops, and tells a client
    /// that has heard nothing for a while how far it is (RFC 9585).
    Task<Result<>> breathe(std::uint64_t done, std::uint64_t of);
    Task<Result<>> bye(std::string_view text, std::string_view reason);
    /// The account's mail was encrypted since the login, which opened no key.
    Task<Result<>> bye_locked() { return bye("the mail is encrypted now, log in again", "mail_key"); }
    Task<Result<>> bad_arguments() { return bad("arguments are missing, malformed or too many"); }
    void log_failure(const Error& error, std::string_view what);

    // update.cc
    /// Tells the client what happened to the selected mailbox.
    Task<Result<>> update(Expunges expunges);
    struct News;
    Task<Result<News>> read_news(ModSequence since);
    Task<Result<>> tell(std::shared_ptr<const MessageList> before, Differences found);
    void tell_flags(std::uint32_t index);
    /// Appends `* 3 FETCH (`, or what takes its place where messages have no numbers.
    void begin_fetch(std::uint32_t index);
    /// RFC 9586: message numbers are not told, and mean nothing.
    Task<Result<>> refuse_numbers() { return bad("[UIDREQUIRED] messages have UIDs alone"); }
    Task<Result<>> read_keywords();
    void tell_flag_names();
    Task<Result<>> idle(Cursor in);

    // notify.cc
    struct Account;
    struct Notifications;
    Task<Result<>> notify(Cursor in);
    bool is_selected(mailstore::MailboxId mailbox) const;
    /// Bits of imap/notify_words.h.
    std::uint8_t wanted_of_selected() const;
    Task<Result<>> say_status(const mailstore::Mailbox& mailbox, std::uint8_t wanted);
    Task<Result<Account>> read_account();
    Task<Result<>> tell_until_spoken_to();
    Task<Result<>> tell_events(Expunges expunges);
    Task<Result<>> tell_others();
    Task<Result<>> tell_names(const Account& before, const Account& now);
    void tell_annotations(const Account& before, const Account& now);

    // authenticate.cc
    class Dialogue;
    Task<Result<>> capability(Cursor in);
    Task<Result<>> starttls(Cursor in);
    Task<Result<>> login(Cursor in);
    Task<Result<>> authenticate(Cursor in);
    Task<Result<>> unauthenticate(Cursor in);
    Task<Result<>> log_in(Task<Result<session::Attempt>> attempting);
    Task<Result<>> refuse_login(session::Refusal why);
    std::string capabilities() const;
    std::shared_ptr<const net::TlsContext> offered_tls() const;
    void forget_login();

    // general.cc
    Task<Result<>> noop(Cursor in);
    Task<Result<>> compress(Cursor in);
    Task<Result<>> logout(Cursor in);
    Task<Result<>> id(Cursor in);
    Task<Result<>> enable(Cursor in);
    Task<Result<>> name_space(Cursor in);
    Task<Result<>> get_quota(Cursor in);
    Task<Result<>> get_quota_root(Cursor in);
    Task<Result<>> say_quota();

    // mailboxes.cc
    Task<Result<>> create(Cursor in);
    Task<Result<>> remove(Cursor in);
    Task<Result<>> rename(Cursor in);
    Task<Result<>> rename_inbox(std::string to);
    Task<Result<>> subscribe(Cursor in);
    Task<Result<>> unsubscribe(Cursor in);
    Task<Result<>> set_subscription(Cursor in, mailstore::Subscription subscription);
    Task<Result<>> status(Cursor in);
    /// Reads a mailbox's name. Nothing: there is none. One that can't be a name is "\xff", which no mailbox is called.
    std::optional<std::string> mailbox_name(Cursor& in) const;
    std::optional<std::string> decoded_name(std::string name) const;
    void write_mailbox(std::string& out, std::string_view name) const;
    /// A device may have been given only some mailboxes.
    bool may_see(mailstore::MailboxId mailbox) const;
    bool sees_all() const;
    /// The mailbox of that name, if this client may see it. Errors: as MailStore::mailbox.
    Task<Result<mailstore::Mailbox>> find_mailbox(std::string name);
    Task<Result<>> write_status(const mailstore::Mailbox& mailbox, const StatusItems& items);
    /// Of the messages that are marked as deleted.
    Task<Result<std::uint64_t>> deleted_octets(mailstore::MailboxId mailbox);

    // metadata.cc
    Task<Result<>> get_metadata(Cursor in);
    Task<Result<>> set_metadata(Cursor in);
    Task<Result<std::uint32_t>> annotated(std::string mailbox);
    Task<Result<Annotations>> read_annotations();
    Task<Result<>> change_annotations(std::function<bool(Annotations&)> edit);

    // list.cc
    struct Listing;
    Task<Result<>> list(Cursor in);
    Task<Result<>> lsub(Cursor in);
    Task<Result<>> say_list(Listing listing);
    static std::optional<Listing> parse_list(Cursor& in);

    // select.cc
    struct Opening;
    Task<Result<>> select(Cursor in);
    Task<Result<>> examine(Cursor in);
    Task<Result<>> open(Cursor in, bool read_only);
    std::optional<Opening> parse_opening(Cursor& in) const;
    static bool skip_match_data(Cursor& in);
    Task<Result<>> say_opened(const mailstore::Mailbox& mailbox, Opening opening);
    Task<Result<>> resynchronize(const Opening& opening, const mailstore::Mailbox& mailbox);
    Task<Result<>> close(Cursor in);
    Task<Result<>> unselect(Cursor in);
    void close_selected();
    /// UIDs among `known` that are gone, of messages that were removed after `since`, or longer ago; `all`: of all that
    /// there may have been.
    Task<Result<SequenceSet>> vanished_since(ModSequence since, std::optional<SequenceSet> known, bool all = false);

    // append.cc
    Task<Result<>> append(Cursor in);
    Task<Result<>> replace(Cursor in);
    struct Appending;
    /// Why a command goes no further: NO, or BAD. Nothing: it does.
    struct Refused {
        std::string text = {};
        bool bad = false;
    };
    Task<Result<>> append_messages(Appending appending, std::string name, std::string text);
    Task<Result<Refused>> take_step(Appending& appending, const AppendStep& step);
    Task<Result<Refused>> take_octets(Appending& appending);
    Task<Result<Refused>> make_room(Appending& appending, std::uint64_t octets);
    Task<Result<>> store_appended(Appending appending);
    // catenate.cc
    Task<Result<Refused>> take_url(Appending& appending, std::string text);
    /// Whether it is an APPEND or a REPLACE up to its first message.
    static bool is_append_head(std::string_view text);

    // store.cc
    Task<Result<>> store(Cursor in);
    Task<Result<>> expunge(Cursor in);
    Task<Result<std::uint64_t>> expunge_deleted(std::optional<SequenceSet> uids);

    // transfer.cc
    Task<Result<>> copy(Cursor in);
    Task<Result<>> move(Cursor in);
    enum class Transfer : std::uint8_t { copy, move };
    Task<Result<>> transfer(Cursor in, Transfer how);

    // fetch.cc
    struct Fetching;
    Task<Result<>> fetch(Cursor in);
    Task<Result<>> fetch_messages(Fetching fetching);
    Task<Result<>> fetch_some(Fetching& fetching, std::span<const std::uint32_t> indexes);
    Task<Result<>> fetch_one(Fetching& fetching, std::uint32_t index, const mailstore::StoredMessage* message,
                             const mail::Structure* structure, std::string_view thread);
    std::optional<Fetching> parse_fetching(Cursor& in, std::string& why);
    Task<Result<bool>> write_octets(Fetching& fetching, const FetchItem& item, const mailstore::StoredMessage& message,
                                    const mail::Structure& structure);
    Task<Result<>> mark_seen(std::span<const std::uint32_t> indexes);
    /// Tells these items of the last messages of the list; what can't be read is left out.
    Task<Result<>> fetch_fresh(std::vector<FetchItem> items, std::size_t count);

    // search.cc
    struct Searching;
    /// RFC 4731: what the answer has.
    struct SearchReturn {
        bool extended = false;  ///< it is ESEARCH
        bool min = false, max = false, all = false, count = false, save = false;
        std::optional<ResultRange> partial = {};  ///< RFC 9394
        /// Only of the ends, and of PARTIAL's range (RFC 4731 s3.2, RFC 5182 s2.1, RFC 9394 s3.2).
        bool some() const { return (min || max || partial) && !all && !count; }
    };
    static std::optional<SearchReturn> parse_return(Cursor& in);
    Task<Result<>> search(Cursor in);
    Task<Result<>> refuse_search(SearchRefusal why);
    Task<Result<>> find_messages(Searching& searching);
    Task<Result<>> examine_some(Searching& searching, std::span<const std::uint32_t> indexes);

    // search_texts.cc
    struct Opened;
    /// Answers for those that need octets of the message. Without an answer are those that can't be read, or are gone.
    Task<Result<>> read_texts(Searching& searching, std::span<Opened> opened);
    Task<Result<>> read_together(Searching& searching, std::span<Opened*> some);
    Task<Result<>> read_alone(Searching& searching, Opened& one);
    Task<std::unique_ptr<engine::BodyReader>> open_for_search(Searching& searching, Opened& one);
    void note_unread(Searching& searching, const Error& why);
    /// Runs `work` where it keeps no session from its turn. False: it ran out of memory.
    Task<Result<bool>> run_beside(std::function<void()> work);
    /// Those of the messages found that the answer is about: all, or the ends and a range.
    static std::vector<std::uint32_t> answered(const Searching& searching, const SearchReturn& wanted);
    void save_result(const Searching& searching, const SearchReturn& wanted);
    void say_found(const Searching& searching, SearchReturn wanted);
    SearchFacts facts_of(std::uint32_t index, Timestamp now) const;

    // sorting.cc
    using TakeFound = std::function<void(std::uint32_t index, const mailstore::StoredMessage& message,
                                         const mail::Structure* structure)>;
    static std::expected<SearchProgram, SearchRefusal> parse_sorted_search(Cursor& in);
    Task<Result<>> sort(Cursor in);
    Task<Result<>> thread(Cursor in);
    Task<Result<>> read_found(Searching& searching, bool structures, TakeFound take);

    // messages.cc
    /// Takes a set of messages: indexes in the selected list, ascending. Nothing: not of the grammar, or with a message
    /// number that no message has.
    std::optional<std::vector<std::uint32_t>> parse_messages(Cursor& in);
    std::vector<Uid> uids_at(std::span<const std::uint32_t> indexes) const;
    /// By UID; those that are gone are passed over. `indexes` ascend, and stay valid until it returns.
    Task<Result<std::vector<mailstore::StoredMessage>>> read_messages(std::span<const std::uint32_t> indexes);
    bool by_uid() const { return numbering_ == Numbering::uids; }
    TextForm form() const { return utf8_ ? TextForm::utf8 : TextForm::ascii; }
    /// False for a device's password that is for reading only.
    bool may_change() const { return access_->may_delete(); }
    mailstore::AccountId account() const { return access_->account; }

    net::Connection& connection_;
    std::unique_ptr<CompressedConnection> compressed_;
    const Services& services_;
    const Options& options_;
    session::Lines lines_;
    session::Login login_;
    std::string_view session_id_;
    SteadyTime login_deadline_;
    std::string text_;                    // the command, without its last line's end
    std::optional<LiteralMark> message_;  // an APPEND's, which is not read yet
    std::string tag_;
    std::string out_;
    std::optional<auth::Access> access_;
    encryption::MailKeyPtr mail_key_;  // null: the account's mail is in clear
    std::optional<Selected> selected_;
    std::unique_ptr<Notifications> notify_;  // null: as if there were no NOTIFY
    Numbering numbering_ = Numbering::numbers;
    SteadyTime heard_{};                                                      // when this command said something last
    Expunges expunges_ = Expunges::told;                                      // while this command is answered
    bool rev2_ = false, utf8_ = false, condstore_ = false, qresync_ = false;  // RFC 5161: what was enabled
    bool uids_only_ = false;                                                  // this, too: RFC 9586
    Done done_;
};

}  // namespace poplar::imap
