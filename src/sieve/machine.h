#pragma once
// The interpreter's state, and what its parts share. run.cc has the control structures; the other files have the tests
// and actions of an extension or of several that belong together.
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sieve/collation.h"
#include "sieve/dates.h"
#include "sieve/message.h"
#include "sieve/run.h"

namespace poplar::sieve {

/// Ends a run with an error; caught in run().
struct RunError {
    Problem problem;
};

class Machine final : public Meter {
public:
    Machine(const Job& job, World& world, const Options& options);
    Outcome run();

    void charge(std::uint64_t instructions) override;

private:
    static constexpr std::size_t kMostLines = 10'000;  ///< of an explanation
    enum class Flow : std::uint8_t { on, stop, return_, break_ };
    struct Loop {
        std::string name;
        std::size_t part = 0;
    };
    /// A script that is running: the main one, or one that another includes.
    struct Frame {
        const Script* script;
        std::string identity;  // place and name; "" of the main one
        Capabilities enabled;
        std::map<std::string, std::string, std::less<>> variables;
        std::set<std::string, std::less<>> shared;  // names that `global` declared
        std::vector<Loop> loops;
        std::size_t root = 0;  // the part that this script takes for the message
    };

    // run.cc
    Flow block(const std::vector<Node>& nodes);
    Flow command(const Node& node);
    bool test(const Node& node);
    bool evaluate(const Node& node);
    Flow include(const Node& node);
    Flow foreverypart(const Node& node);
    bool ihave(const Node& node);
    [[noreturn]] void fail(const Node& node, std::string message) const;
    void ready(const Node& node);  // charges it, and fails if a capability it needs is missing

    // strings.cc
    std::string expand(const Text& text);
    std::string expand_first(const GivenArgument& argument) { return expand(argument.strings.front()); }
    std::vector<std::string> expand(const std::vector<Text>& texts);
    std::string tag_value(const Node& node, Tag tag);
    void spend(std::size_t octets);  // of Options::memory
    void set(const Node& node);
    void assign(const Node& node, std::string_view name, std::string value);
    std::string variable(std::string_view name) const;
    std::string modified(const Node& node, std::string value);
    void global(const Node& node);

    // matching.cc
    /// Hold values against keys as the node says; stop at the first that fits.
    bool match_keys(const Node& node, std::string_view value, const std::vector<Text>& keys);
    bool match_any(const Node& node, const std::vector<std::string>& values, const std::vector<Text>& keys);
    bool match_count(const Node& node, std::uint64_t count, const std::vector<Text>& keys);
    bool match_one(const Node& node, std::string_view value, const Text& key, std::size_t number);
    bool sets_match_variables(const Node& node) const;
    bool match_text(const Node& node, std::string_view value, const Text& key, std::size_t number);
    /// For the explanation: what was compared, and how it came out.
    void note_compared(const Node& node, std::string_view value, const Text& key, bool fits);

    // header_tests.cc
    const std::vector<Field>& current_fields(const Node& node, std::vector<Field>& storage);
    std::vector<std::vector<Field>> fields_in_question(const Node& node);
    bool header(const Node& node);
    bool address(const Node& node);
    bool exists(const Node& node);
    bool envelope(const Node& node);
    bool date(const Node& node);
    bool currentdate(const Node& node);
    bool size(const Node& node) const;
    std::string address_part(const Node& node, std::string_view local, std::string_view domain, bool& there) const;
    std::vector<const Field*> named(const Node& node, const std::vector<Field>& fields,
                                    const std::vector<std::string>& names) const;
    const std::string& value_of(const Field& field);

    // body_tests.cc
    bool body(const Node& node);
    std::string part_text(std::size_t part, bool as_text);
    std::size_t current_part() const;
    void extracttext(const Node& node);
    void replace(const Node& node);
    void enclose(const Node& node);
    void rewrite(std::string octets, std::vector<std::string> fixed = {});

    // store_tests.cc
    bool duplicate(const Node& node);
    bool environment(const Node& node);
    bool metadata(const Node& node, bool of_server);
    bool metadata_exists(const Node& node, bool of_server);
    bool specialuse_exists(const Node& node);
    bool score(const Node& node);
    bool notify_method_capability(const Node& node);
    static std::string list_name(std::string_view name);

    // flags.cc
    using Flags = std::vector<std::string>;
    void change_flags(const Node& node);
    bool hasflag(const Node& node);
    Flags flags_of(const Node& node);  // :flags, or the message's own
    static Flags storable(Flags flags);
    void add_flags(Flags& flags, std::string_view words) const;

    // filing.cc
    void keep(const Node& node);
    void fileinto(const Node& node);
    void redirect(const Node& node);
    void reject(const Node& node);
    Filing filing(const Node& node, std::string mailbox);
    void file(const Node& node, Action action);
    void cancel_keep() { keeps_ = false; }
    void check_conflicts() const;
    void settle();
    Action& add(const Node& node, Action action);
    MessageState state();
    void addheader(const Node& node);
    void deleteheader(const Node& node);

    // vacation.cc, notify.cc
    void vacation(const Node& node);
    bool answers(const Node& node);
    std::string own_address() const;
    void notify(const Node& node);
    std::optional<Filing> fcc(const Node& node);
    std::string message_id(std::string_view salt) const;

    Frame& frame() { return *frames_.back(); }
    const Frame& frame() const { return *frames_.back(); }
    ZonedTime now() const;
    /// The explanation is wanted, and not as long as it may be.
    bool explains() const { return job_.explain && out_.trace.size() < kMostLines; }
    void explain(const Node& node, std::string text);
    void explain_test(const Node& node, bool result);

    const Job& job_;
    World& world_;
    const Options& options_;
    Message message_;
    const std::vector<Field> original_;
    std::vector<std::unique_ptr<Frame>> frames_;
    std::map<std::string, std::string, std::less<>> shared_;  // variables of all scripts
    std::set<std::string, std::less<>> included_;
    std::uint32_t includes_ = 0;
    std::vector<std::string> match_variables_;
    Flags flags_;
    bool keeps_ = true;
    bool vacation_ran_ = false;
    std::uint32_t redirects_ = 0, notifications_ = 0;
    MessageState state_;
    bool state_known_ = true;
    std::map<const char*, std::string> values_;  // of fields, by where they are
    std::map<std::size_t, std::string> part_texts_;
    std::string break_name_;
    bool break_named_ = false;
    std::size_t memory_ = 0;
    const Node* at_ = nullptr;  // what runs
    std::string compared_;      // of the test that runs, for its explanation
    std::size_t comparisons_ = 0;
    Outcome out_;
};

}  // namespace poplar::sieve
