// Plays random sessions, one after the other on one maildrop, to the server and to the model. Every reply has to fit,
// and so has what is stored in the end. A plan that fails is made as short as possible before it is shown.
// POPLAR_SEEDS=FROM-TO plays other plans.
#include <cstdlib>
#include <random>

#include "tests/pop3/model.h"
#include "tests/pop3/world.h"

namespace {

using namespace poplar;
using namespace test::pop3_model;
using Kind = Step::Kind;

struct Plan {
    struct Talk {
        std::vector<Step> steps;
        std::size_t cut = 0;      // octets that arrive at once
        std::size_t arrives = 0;  // before the line with this number a message is delivered; 0: none
        Errc end = Errc::closed;  // what happens after the last step
        bool disk_fails = false;
    };
    std::vector<std::vector<std::string>> messages;
    std::vector<Talk> talks;
    bool expire_zero = false;

    std::string text() const {
        std::string out = fmt::format("{} messages{}\n", messages.size(), expire_zero ? ", EXPIRE 0" : "");
        for (const auto& talk : talks) {
            out += fmt::format("session: cut {} arrives {} end {} disk {}\n", talk.cut, talk.arrives,
                               to_string(talk.end), talk.disk_fails ? "fails" : "works");
            for (const auto& step : talk.steps) out += "  " + step.text().substr(0, 40) + "\n";
        }
        return out;
    }
};

class Maker {
public:
    explicit Maker(std::uint64_t seed) : random_(seed) {}

    Plan plan() {
        Plan plan;
        plan.expire_zero = below(4) == 0;
        for (auto n = below(6); n > 0; --n) plan.messages.push_back(message());
        for (auto n = 1 + below(5); n > 0; --n) plan.talks.push_back(talk(plan.messages.size()));
        return plan;
    }

private:
    std::size_t below(std::size_t limit) { return random_() % limit; }

    std::vector<std::string> message() {
        static const std::vector<std::string> kLines = {"", ".", "..", ".x", "text", " ", std::string(990, 'y'), "..."};
        std::vector<std::string> lines{"Subject: one of many"};
        if (below(8) == 0) return lines;  // a header alone
        lines.emplace_back();
        for (auto n = below(8); n > 0; --n) lines.push_back(kLines[below(kLines.size())]);
        return lines;
    }

    Plan::Talk talk(std::size_t messages) {
        static constexpr Errc kEnds[] = {Errc::closed, Errc::timed_out, Errc::cancelled};
        static constexpr std::size_t kCuts[] = {0, 0, 1, 2, 7, 50};
        Plan::Talk talk;
        if (below(8) != 0) talk.steps = {{Kind::user}, {Kind::pass}};
        for (auto n = below(14); n > 0; --n) {
            Step step{static_cast<Kind>(below(static_cast<std::size_t>(Kind::too_long) + 1))};
            step.number = below(20) == 0 ? 4'294'967'295u : static_cast<std::uint32_t>(below(messages + 3));
            step.lines = below(5) == 0 ? ~0ull : below(6);
            if (step.kind == Kind::quit && below(3) != 0) step.kind = Kind::dele;  // few sessions end early
            talk.steps.push_back(step);
        }
        if (below(2) == 0) talk.steps.push_back({Kind::quit});
        talk.cut = kCuts[below(std::size(kCuts))];
        talk.end = kEnds[below(std::size(kEnds))];
        talk.disk_fails = below(6) == 0;
        if (below(3) == 0) talk.arrives = 1 + below(talk.steps.size() + 1);
        return talk;
    }

    std::mt19937_64 random_;
};

/// The whole mail system, made anew for every plan.
class World final : public test::Pop3World {
public:
    void TestBody() override {}

    /// Returns what does not fit, or "".
    std::string play(const Plan& plan) {
        options_.bad_commands = 5;
        options_.policy.expire_days = plan.expire_zero ? 0 : directory::kNeverExpires;
        for (const auto& lines : plan.messages) deliver(lines);
        for (const auto& talk : plan.talks)
            if (auto wrong = play_one(plan, talk); !wrong.empty()) return wrong;
        std::string left, expected;
        for (const auto& message : *test::run(store_.list(fred_, mailstore::OrderKey(0), 1000)))
            left += message.unique_id + " ";
        for (const auto& message : stored_) expected += message.unique_id + " ";
        if (left != expected) return "stored: " + left + "instead of: " + expected;
        auto sound = test::run(store_.check(fred_));
        return sound ? "" : sound.error().detail();
    }

private:
    Message made(const std::vector<std::string>& lines) { return {fmt::format("message-{}", ++delivered_), lines}; }
    void deliver(const std::vector<std::string>& lines) {
        auto message = made(lines);
        auto wire = message.wire();
        append(wire, message.unique_id, wire.size() - message.octets());
        stored_.push_back(std::move(message));
    }

    std::string play_one(const Plan& plan, const Plan::Talk& talk) {
        const std::vector<std::string> kLate = {"Subject: late", "", "."};
        Session model(stored_, {.bad_commands = options_.bad_commands,
                                .login_failures = options_.login_failures,
                                .expire_zero = plan.expire_zero,
                                .disk_fails = talk.disk_fails && talk.arrives == 0});
        Script script{.flights = {""}, .cut = talk.cut, .end = talk.end};
        for (const auto& step : talk.steps) script.flights[0] += step.text() + "\r\n";
        if (talk.disk_fails && talk.arrives == 0) engine_.fail_commits_after(0, Errc::io);
        bool arrived = false;
        auto late = [&]() -> Task<> {
            auto message = made(kLate);
            auto wire = message.wire();
            auto writer = engine_.write_body();
            (void)co_await writer->write(wire);
            auto staged = co_await writer->finish();
            mailstore::NewMessage incoming{"", {*staged, message.octets()}, message.unique_id};
            EXPECT_TRUE(co_await store_.append(fred_, std::move(incoming)));
            late_ = std::move(message);
            arrived = true;
        };
        auto output = this->talk(std::move(script), static_cast<int>(talk.arrives), late).output;
        engine_.fail_next_commits(0, Errc::io);

        std::string_view rest = output;
        if (!take(rest, {.ok = true})) return "no greeting";
        for (std::size_t line = 1; line <= talk.steps.size() && !model.over(); ++line) {
            if (line == talk.arrives) stored_.push_back(late_);
            auto expected = model.answer(talk.steps[line - 1]);
            if (!take(rest, expected))
                return fmt::format("{} was answered: {}", talk.steps[line - 1].text(), rest.substr(0, 200));
        }
        bool waits = !model.over();
        if (waits && talk.arrives == talk.steps.size() + 1) stored_.push_back(late_);
        if (waits && talk.end == Errc::cancelled && !take(rest, {.begins = "[SYS/TEMP] "}))
            return "no word at the stop";
        if (!rest.empty()) return fmt::format("too much was said: {}", rest.substr(0, 200));
        return "";
    }

    /// Takes one reply off `output`, if it is as expected.
    static bool take(std::string_view& output, const Reply& expected) {
        std::string first = (expected.ok ? "+OK " : "-ERR ") + expected.begins;
        if (!output.starts_with(first)) return false;
        auto end = output.find("\r\n");
        if (end == output.npos || end > 510) return false;  // RFC 2449 s4
        auto rest = output.substr(end + 2);
        if (expected.any_lines) {
            end = rest.find("\r\n.\r\n");
            if (end == rest.npos) return false;
            rest.remove_prefix(end + 5);
        } else if (expected.follows) {
            auto lines = *expected.follows + ".\r\n";
            if (!rest.starts_with(lines)) return false;
            rest.remove_prefix(lines.size());
        }
        output = rest;
        return true;
    }

    std::vector<Message> stored_;
    Message late_;
    int delivered_ = 0;
};

std::string play(const Plan& plan) { return World().play(plan); }

/// The shortest part of a failing plan that still fails.
Plan shortest(Plan plan) {
    auto without = [&](auto member_of) {
        for (std::size_t i = member_of(plan).size(); i-- > 0;) {
            auto shorter = plan;
            auto& list = member_of(shorter);
            list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
            if (!play(shorter).empty()) plan = std::move(shorter);
        }
    };
    without([](Plan& p) -> auto& { return p.talks; });
    for (std::size_t t = 0; t < plan.talks.size(); ++t) without([t](Plan& p) -> auto& { return p.talks[t].steps; });
    without([](Plan& p) -> auto& { return p.messages; });
    for (std::size_t t = 0; t < plan.talks.size(); ++t) {
        auto simpler = plan;
        simpler.talks[t].cut = simpler.talks[t].arrives = 0;
        if (!play(simpler).empty()) plan = std::move(simpler);
    }
    return plan;
}

TEST(Pop3Property, EveryReplyIsTheModels) {
    std::uint64_t from = 1, to = 300;
    if (const char* seeds = std::getenv("POPLAR_SEEDS")) {
        from = std::strtoull(seeds, nullptr, 10);
        const char* dash = std::strchr(seeds, '-');
        to = dash ? std::strtoull(dash + 1, nullptr, 10) : from;
    }
    for (auto seed = from; seed <= to; ++seed) {
        auto plan = Maker(seed).plan();
        if (play(plan).empty()) continue;
        auto least = shortest(std::move(plan));
        FAIL() << "seed " << seed << ": " << play(least) << "\n" << least.text();
    }
}

}  // namespace
