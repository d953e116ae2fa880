#pragma once
// Runs scripts over messages and writes down what came of it in one line, so that cases are rows.
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sieve/run.h"

namespace poplar::test {

/// Answers that a test chooses.
class FakeWorld final : public sieve::World {
public:
    struct Known {
        std::string name, id, use;
    };
    std::vector<Known> mailboxes;
    std::map<std::string, std::string> annotations;  // "mailbox name"; " name" of the server
    std::map<std::string, std::vector<std::string>> lists;
    std::map<std::string, std::string> scripts;  // "personal/name"
    std::set<std::string> seen;
    sieve::Options options;

    bool has_mailbox(std::string_view name) override;
    std::vector<std::string> mailboxes_for(std::string_view use) override;
    std::optional<std::string> mailbox_by_id(std::string_view id) override;
    std::optional<std::string> metadata(std::string_view mailbox, std::string_view annotation) override;
    std::optional<std::string> server_metadata(std::string_view annotation) override;
    std::optional<std::vector<std::string>> list(std::string_view name) override;
    Included script(sieve::ScriptPlace place, std::string_view name) override;
    bool remembers(std::string_view key) override { return seen.contains(std::string(key)); }
};

/// A message with line ends as LF, which become CRLF.
std::string crlf(std::string_view text);

/// A message with From, To, Cc, Subject, Date and others, that most rows are about.
extern const std::string_view kLetter;

struct Bench {
    FakeWorld world;
    sieve::Job job;
    std::string message = crlf(kLetter);
    Bench();

    /// Compiles and runs.
    sieve::Outcome outcome(std::string_view script);
    /// `outcome()` in one line: "into a [\Seen]; +keep", "error", or "wrong 1:9" for a script that does not compile.
    std::string summary(std::string_view script);
    /// Whether a test is true; "error" and "wrong" as above. All capabilities are required.
    std::string holds(std::string_view test);
    /// The same outcome, what is remembered of it becoming known.
    std::string summary_and_remember(std::string_view script);
};

std::string summary_of(const sieve::Outcome& outcome);
/// `require` with all capabilities but those.
std::string require_all(std::set<std::string_view> without = {});

}  // namespace poplar::test
