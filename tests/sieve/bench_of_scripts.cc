#include "tests/sieve/bench_of_scripts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "sieve/dates.h"

namespace poplar::test {

const std::string_view kLetter =
    "Return-Path: <jane@example.org>\n"
    "Received: from a.example by b.example; Tue, 01 Dec 2026 10:00:05 +0000\n"
    "Received: from c.example by a.example; Tue, 01 Dec 2026 09:59:59 +0000\n"
    "Message-ID: <one@example.org>\n"
    "Date: Tue, 01 Dec 2026 11:30:00 +0200\n"
    "From: \"Jane (at work)\" <Jane.Doe@Example.org>\n"
    "To: Tom <tom+lists@example.com>, Kate <kate@example.net>\n"
    "Cc: friends: ann@example.org, Bob <bob@sub.example.org>;\n"
    "Subject: [list] Hello =?utf-8?q?W=C3=B6rld?=\n"
    "X-Empty:\n"
    "X-Folded: one\n two\n"
    "X-Number: 42 apples\n"
    "X-Many: first\n"
    "X-Many: second\n"
    "X-Many: third\n"
    "\n"
    "The body, with a word.\n";

std::string crlf(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') out += '\r';
        out += c;
    }
    return out;
}

bool FakeWorld::has_mailbox(std::string_view name) {
    return name == "INBOX" || std::ranges::find(mailboxes, name, &Known::name) != mailboxes.end();
}
std::vector<std::string> FakeWorld::mailboxes_for(std::string_view use) {
    std::vector<std::string> out;
    for (const auto& one : mailboxes)
        if (ascii::same(one.use, use)) out.push_back(one.name);
    return out;
}
std::optional<std::string> FakeWorld::mailbox_by_id(std::string_view id) {
    const auto found = std::ranges::find(mailboxes, id, &Known::id);
    if (found == mailboxes.end()) return std::nullopt;
    return found->name;
}
std::optional<std::string> FakeWorld::metadata(std::string_view mailbox, std::string_view annotation) {
    const auto found = annotations.find(fmt::format("{} {}", mailbox, annotation));
    if (found == annotations.end()) return std::nullopt;
    return found->second;
}
std::optional<std::string> FakeWorld::server_metadata(std::string_view annotation) { return metadata("", annotation); }
std::optional<std::vector<std::string>> FakeWorld::list(std::string_view name) {
    const auto found = lists.find(std::string(name));
    if (found == lists.end()) return std::nullopt;
    return found->second;
}
FakeWorld::Included FakeWorld::script(sieve::ScriptPlace place, std::string_view name) {
    const auto found =
        scripts.find(fmt::format("{}/{}", place == sieve::ScriptPlace::global ? "global" : "personal", name));
    if (found == scripts.end()) return {};
    auto compiled = sieve::compile(found->second, options);
    if (!compiled.script) return {nullptr, compiled.errors.front().message};
    return {std::move(compiled.script), {}};
}

Bench::Bench() {
    job.envelope.from = "jane@example.org";
    job.envelope.to = "tom+lists@example.com";
    job.environment.addresses = {"tom@example.com"};
    job.environment.host = "mx.example.com";
    job.environment.domain = "example.com";
    job.environment.remote_ip = "192.0.2.1";
    job.environment.version = "1";
    job.environment.now = sieve::parse_iso8601("2026-12-01T12:00:00Z")->time;
    world.mailboxes = {{"Work", "F1", ""}, {"Spam", "F2", "\\Junk"}, {"Old/2025", "F3", "\\Archive"}};
}

sieve::Outcome Bench::outcome(std::string_view script) {
    auto compiled = sieve::compile(script, world.options);
    if (!compiled.script) {
        sieve::Outcome wrong;
        wrong.error = compiled.errors.front();
        return wrong;
    }
    job.script = compiled.script;
    job.message = message;
    job.message_octets = message.size();
    return sieve::run(job, world, world.options);
}

std::string summary_of(const sieve::Outcome& outcome) {
    using Kind = sieve::Action::Kind;
    if (outcome.error) return "error";
    std::string out;
    const auto flags = [](const sieve::Filing& filing) {
        std::string text;
        for (const auto& flag : filing.flags) text += (text.empty() ? " [" : " ") + flag;
        return text.empty() ? text : text + "]";
    };
    for (const auto& action : outcome.actions) {
        if (!out.empty()) out += "; ";
        switch (action.kind) {
            case Kind::keep: out += "keep" + flags(action.filing); break;
            case Kind::fileinto:
                out += fmt::format("into {}{}{}", action.filing.mailbox, action.filing.create ? " create" : "",
                                   flags(action.filing));
                break;
            case Kind::redirect: out += "to " + action.address; break;
            case Kind::discard: out += "discard"; break;
            case Kind::reject: out += "reject " + action.text; break;
            case Kind::ereject: out += "ereject " + action.text; break;
            case Kind::vacation: out += "answer " + action.address; break;
            case Kind::notify: out += "notify " + (action.recipients.empty() ? "" : action.recipients.front()); break;
        }
        if (action.fcc) out += " fcc " + action.fcc->mailbox + flags(*action.fcc);
    }
    if (outcome.implicit_keep) out += (out.empty() ? "+keep" : "; +keep") + flags(outcome.implicit);
    return out;
}

std::string Bench::summary(std::string_view script) {
    auto compiled = sieve::compile(script, world.options);
    if (!compiled.script)
        return fmt::format("wrong {}:{}", compiled.errors.front().at.line, compiled.errors.front().at.column);
    return summary_of(outcome(script));
}

std::string Bench::summary_and_remember(std::string_view script) {
    const auto done = outcome(script);
    for (const auto& memory : done.memories) world.seen.insert(memory.key);
    return summary_of(done);
}

std::string require_all(std::set<std::string_view> without) {
    std::string out = "require [";
    for (const auto name : sieve::capability_names())
        if (!without.contains(name)) out += fmt::format("{}\"{}\"", out.ends_with('[') ? "" : ",", name);
    return out + "];";
}

std::string Bench::holds(std::string_view test) {
    static const auto require = require_all({"ihave"});
    const auto summary = this->summary(fmt::format("{} if {} {{ discard; }}", require, test));
    if (summary == "discard") return "true";
    if (summary == "+keep") return "false";
    return summary.starts_with("wrong") ? "wrong" : summary;
}

}  // namespace poplar::test
