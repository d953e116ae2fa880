#pragma once
// RFC 1939 as a model simple enough to be seen to be right: a maildrop is a list of texts, a session a few flags. The
// property test plays the same sessions to it and to the server and compares every reply.
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace poplar::test::pop3_model {

struct Message {
    std::string unique_id;
    std::vector<std::string> lines;  ///< as the sender wrote them, without line ends

    std::size_t octets() const {
        std::size_t sum = 0;
        for (const auto& line : lines) sum += line.size() + 2;
        return sum;
    }
    /// RFC 1939 s3, s7: byte-stuffed; of the body so many lines.
    std::string wire(std::uint64_t body_lines = ~0ull) const {
        std::string text;
        bool body = false;
        for (const auto& line : lines) {
            if (body && body_lines-- == 0) break;
            text += (line.starts_with('.') ? "." : "") + line + "\r\n";
            body = body || line.empty();
        }
        return text;
    }
};

struct Step {
    enum class Kind {
        user,
        unknown_user,
        pass,
        wrong_pass,
        stat,
        list,
        list_one,
        uidl,
        uidl_one,
        retr,
        top,
        dele,
        noop,
        rset,
        capa,
        quit,
        unknown,
        malformed,
        too_long,
    } kind;
    std::uint32_t number = 0;  ///< of the message
    std::uint64_t lines = 0;   ///< for TOP

    std::string text() const {
        using enum Kind;
        switch (kind) {
            case user: return "USER fred@example.test";
            case unknown_user: return "USER nobody@example.test";
            case pass: return "PASS  pass word ";
            case wrong_pass: return "PASS pass word";
            case stat: return "STAT";
            case list: return "LIST";
            case list_one: return fmt::format("LIST {}", number);
            case uidl: return "uidl";
            case uidl_one: return fmt::format("UIDL {}", number);
            case retr: return fmt::format("RETR {}", number);
            case top: return fmt::format("TOP {} {}", number, lines);
            case dele: return fmt::format("DELE {}", number);
            case noop: return "Noop";
            case rset: return "RSET";
            case capa: return "CAPA";
            case quit: return "QUIT";
            case unknown: return "LAST";
            case malformed: return "RETR one";
            case too_long: return "NOOP" + std::string(300, ' ');
        }
        return "";
    }
};

struct Reply {
    bool ok = false;
    std::string begins = {};                  ///< behind "+OK " or "-ERR "
    std::optional<std::string> follows = {};  ///< the lines behind the first, without the final "."
    bool any_lines = false;                   ///< lines follow; any will do
};

struct Rules {
    unsigned bad_commands = 20, login_failures = 3;
    bool expire_zero = false;  ///< RFC 2449 s6.7
    bool disk_fails = false;   ///< no change can be made durable
};

/// One session on a maildrop that outlives it.
class Session {
public:
    Session(std::vector<Message>& stored, Rules rules) : stored_(stored), rules_(rules) {}

    bool over() const { return over_; }

    Reply answer(const Step& step) {
        using enum Step::Kind;
        // PASS counts right behind USER only (RFC 1939 s7).
        if (step.kind != pass && step.kind != wrong_pass) named_.reset();
        switch (step.kind) {
            case unknown:
            case malformed:
            case too_long: return bad();
            case capa: return {.ok = true, .any_lines = true};
            default: return logged_in_ ? transaction(step) : authorization(step);
        }
    }

private:
    Reply authorization(const Step& step) {
        using enum Step::Kind;
        switch (step.kind) {
            case user:
            case unknown_user: named_ = step.kind; return {.ok = true};
            case pass:
            case wrong_pass: return log_in(step.kind == pass);
            case quit: over_ = true; return {.ok = true};
            default: return bad();
        }
    }

    Reply log_in(bool right) {
        if (!named_) return bad();
        right = right && named_ == Step::Kind::user;
        named_.reset();
        if (right) {
            logged_in_ = true;
            seen_ = stored_;
            deleted_.assign(seen_.size(), false);
            retrieved_ = deleted_;
            return {.ok = true, .begins = fmt::format("{} ", seen_.size())};
        }
        over_ = ++failures_ == rules_.login_failures;
        return {.begins = "[AUTH] "};
    }

    Reply transaction(const Step& step) {
        using enum Step::Kind;
        switch (step.kind) {
            case stat: return {.ok = true, .begins = fmt::format("{} {}\r\n", count(), octets())};
            case noop: return {.ok = true};
            case rset: deleted_.assign(seen_.size(), false); return {.ok = true};
            case list: return list_all([](const Message& m) { return std::to_string(m.octets()); });
            case uidl: return list_all([](const Message& m) { return m.unique_id; });
            case quit: return update();
            case user:
            case unknown_user:
            case pass:
            case wrong_pass: return bad();
            default: break;
        }
        if (step.number == 0 || step.number > seen_.size() || deleted_[step.number - 1]) return {};
        const auto& message = seen_[step.number - 1];
        switch (step.kind) {
            case list_one: return {.ok = true, .begins = fmt::format("{} {}\r\n", step.number, message.octets())};
            case uidl_one: return {.ok = true, .begins = fmt::format("{} {}\r\n", step.number, message.unique_id)};
            case dele: deleted_[step.number - 1] = true; return {.ok = true};
            case top: return {.ok = true, .follows = message.wire(step.lines)};
            default:
                retrieved_[step.number - 1] = true;
                return {.ok = true, .begins = fmt::format("{} ", message.octets()), .follows = message.wire()};
        }
    }

    template <class Column>
    Reply list_all(Column column) {
        std::string lines;
        for (std::size_t i = 0; i < seen_.size(); ++i)
            if (!deleted_[i]) lines += fmt::format("{} {}\r\n", i + 1, column(seen_[i]));
        return {.ok = true, .follows = lines};
    }

    Reply update() {
        over_ = true;
        std::set<std::string> gone;
        for (std::size_t i = 0; i < seen_.size(); ++i)
            if (deleted_[i] || (rules_.expire_zero && retrieved_[i])) gone.insert(seen_[i].unique_id);
        if (gone.empty()) return {.ok = true};
        if (rules_.disk_fails) return {.begins = "[SYS/TEMP] "};
        std::erase_if(stored_, [&](const Message& message) { return gone.contains(message.unique_id); });
        return {.ok = true, .begins = fmt::format("goodbye, messages deleted: {}\r\n", gone.size())};
    }

    Reply bad() {
        over_ = ++bad_ == rules_.bad_commands;
        return {};
    }
    std::size_t count() const { return static_cast<std::size_t>(std::ranges::count(deleted_, false)); }
    std::size_t octets() const {
        std::size_t sum = 0;
        for (std::size_t i = 0; i < seen_.size(); ++i)
            if (!deleted_[i]) sum += seen_[i].octets();
        return sum;
    }

    std::vector<Message>& stored_;
    const Rules rules_;
    std::vector<Message> seen_;  // as of the login
    std::vector<bool> deleted_, retrieved_;
    std::optional<Step::Kind> named_;
    bool logged_in_ = false, over_ = false;
    unsigned bad_ = 0, failures_ = 0;
};

}  // namespace poplar::test::pop3_model
