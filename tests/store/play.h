#pragma once
// A history that is made step by step in the real store and in the list, and all that either shows, compared.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/local/local_engine.h"
#include "mailstore/mail_store.h"
#include "tests/engine/local_store.h"
#include "tests/store/model.h"
#include "tests/support/flip_codec.h"
#include "tests/support/manual_clock.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace poplar::test::model {

using mailstore::Mailbox;
using mailstore::MailboxId;
using mailstore::Maildrop;
using mailstore::MailStore;
using mailstore::Message;
using mailstore::StoredMessage;
using mailstore::Uid;
using Kind = ModelStep::Kind;

inline constexpr mailstore::AccountId kAccount{1024};
inline constexpr mailstore::AccountId kOther{1025};  // its mail shares the segments

struct Disagrees {
    std::string what;
};
template <class... Args>
void expect(bool agrees, fmt::format_string<Args...> what, Args&&... args) {
    if (!agrees) throw Disagrees{fmt::format(what, std::forward<Args>(args)...)};
}
template <class T>
T value_of(Result<T> result, std::string_view what) {
    expect(result.has_value(), "{} failed: {}", what, result ? "" : result.error().detail());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// All of it; "!" and why, if it can't be read.
std::string read(Result<std::unique_ptr<engine::BodyReader>> reader);

class Play {
public:
    Play() { start(); }
    ~Play() { stop(); }
    Play(const Play&) = delete;
    Play& operator=(const Play&) = delete;

    void make(const ModelStep& step);
    void compare();
    void compare_all();

private:
    struct Known {
        StoredMessage message;  // its UID and flags, too, are as they should be
        std::string text;
        bool live = true;
        Timestamp expires{};
        std::set<mailstore::ViewId> deleted = {};  // in these views of the mailbox that it is in
        std::string retained_from = {};            // what its mailbox was called when it was deleted; "" for INBOX
    };
    using Names = std::map<MailboxId, std::string>;
    using Views = std::map<MailboxId, std::set<mailstore::ViewId>>;  // those that have a row; of some mailboxes none
    struct Backup {
        std::vector<Known> known;
        mailstore::OrderKey last_order;
        bool purged = false;
        Names names;
        Views views;
    };
    /// The knowledge of somebody who only reads the account's change log: the flags of each UID of each mailbox.
    struct Reader {
        mailstore::ModSequence number;
        std::map<MailboxId, std::map<std::uint64_t, std::uint32_t>> seen;
        bool begun = false;
    };
    struct Session {
        std::unique_ptr<Maildrop> maildrop;
        mailstore::WantedMaildrop wanted;
        std::vector<std::string> ids = {};  // as of its login
        bool sees(MailboxId id) const { return std::ranges::find(wanted.mailboxes, id) != wanted.mailboxes.end(); }
    };

    static void expect_sound(const std::vector<engine::local::Damage>& damage);
    void start();
    void stop();
    mailstore::Content stage(std::string text, std::size_t bodies);
    void append(const ModelStep& step);
    void remove(const ModelStep& step);
    void restore(const ModelStep& step);
    /// Structures fit the messages. A thread is a message's for ever, whatever was kept of others meanwhile.
    void describe(const ModelStep& step);
    void expire(const ModelStep& step);
    void purge();
    Known* find(const std::string& id);
    void retain(const std::string& id);
    void check_bytes(const Known& one);

    void open_session(const ModelStep& step);
    const std::vector<Message>& list_of(Session& session);
    Session* any_session();
    void list_session(const ModelStep& step);
    void quit(const ModelStep& step);
    void change_views(const ModelStep& step);

    std::vector<const Known*> live_in(MailboxId id) const;
    MailboxId any_mailbox(std::uint64_t n) const;
    /// Some of a mailbox's UIDs, and some that nobody has.
    std::vector<Uid> some_uids(MailboxId id, std::uint64_t bits) const;
    Known* by_uid(MailboxId id, Uid uid);
    /// Names of mailboxes made on the way to another.
    void read_names();
    void compare_mailbox(const Mailbox& mailbox);
    void make_mailbox(const ModelStep& step);
    void rename_mailbox(const ModelStep& step);
    void remove_mailbox(const ModelStep& step);
    void change_flags(const ModelStep& step);
    void transfer(const ModelStep& step);
    void expunge(const ModelStep& step);

    std::map<std::uint64_t, std::uint32_t> flags_in(MailboxId id);
    /// Catches up by what it is told alone; then it must know what there is.
    void follow(Reader& reader);
    void apply(Reader& reader, const mailstore::Change& change);

    void scrub();
    // The directory as it is now goes on, not as a clean stop would leave it.
    void crash(const ModelStep& step);
    void back_up();
    void put_back();
    // Octets behind the log's end, as of a group that was never synced: what a record begins with, and some of it.
    void tear(const ModelStep& step);

    TempDir directory_;
    engine::local::Options options_ = [this] {
        auto options = small_options(directory_.path() / "store", 64 << 10);
        options.large_body = 64 << 10;
        return options;
    }();
    ManualClock clock_;
    mailstore::Options mail_options_ = [] {
        mailstore::Options options;
        options.commit_messages = 25;
        options.change_log_rows = 40;
        options.view_unused = std::chrono::days(36'500);
        options.codec = codec_of_tests();
        return options;
    }();
    std::unique_ptr<engine::local::LocalEngine> engine_;
    std::unique_ptr<MailStore> store_;
    std::optional<mailstore::AccountTotals> told_;  // by MailStore::on_totals, since the store was opened
    std::array<std::optional<Session>, 2> sessions_;
    std::vector<Known> known_;
    Names names_{{mailstore::kInbox, "INBOX"}};
    Views views_;
    std::array<Reader, 3> readers_;
    std::vector<std::pair<Known*, StoredMessage>> moved_;
    std::optional<Backup> backup_;
    std::map<std::string, mailstore::ThreadId> threads_;  // that were told, by unique-id
    std::set<std::string> given_;                         // in all lives
    mailstore::OrderKey last_order_;
    bool purged_ = false;
    std::uint64_t serial_ = 0, turn_ = 0;
};

}  // namespace poplar::test::model
