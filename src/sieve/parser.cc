// A parser by descent, one token ahead. Depth and counts are bounded, so that no script costs more than its octets.
#include "sieve/parser.h"

#include <fmt/format.h>

#include "mail/address.h"
#include "sieve/lexer.h"

namespace poplar::sieve {

namespace {

using syntax::Argument;
using syntax::Node;
using Kind = Token::Kind;

/// Ends the parse; caught in parse().
struct Stop {
    Problem problem;
};

class Parser {
public:
    Parser(std::string_view script, const Options& options) : lexer_(script), options_(options) { step(); }

    std::vector<Node> commands(std::uint32_t depth) {
        std::vector<Node> out;
        while (token_.kind == Kind::identifier) out.push_back(command(depth));
        if (depth == 0 && token_.kind != Kind::end)
            stop(token_.at, is('}') ? "no block is open that this \"}\" could end" : "a command begins with its name");
        return out;
    }

private:
    [[noreturn]] static void stop(Position at, std::string message) { throw Stop{{at, std::move(message)}}; }

    void step() {
        auto next = lexer_.next();
        if (!next) throw Stop{std::move(next.error())};
        token_ = std::move(*next);
    }

    bool is(char punctuation) const { return token_.kind == Kind::punctuation && token_.punctuation == punctuation; }

    void count(Position at, std::uint32_t depth) {
        if (depth > options_.nesting)
            stop(at, fmt::format("more than {} blocks and tests within each other", options_.nesting));
        if (++nodes_ > options_.commands)
            stop(at, fmt::format("more than {} commands and tests in one script", options_.commands));
    }

    Node command(std::uint32_t depth) {
        Node node = named(depth);
        if (is('{')) {
            const auto begin = token_.at;
            node.has_block = true;
            step();
            node.block = commands(depth + 1);
            if (!is('}')) {
                if (token_.kind == Kind::end) stop(begin, "the block that begins here has no end");
                stop(token_.at, "a command or \"}\" is expected here");
            }
            step();
        } else if (is(';')) {
            step();
        } else {
            stop(token_.at, fmt::format("\";\" is missing behind \"{}\"", node.name));
        }
        return node;
    }

    /// A command without its end, or a test: a name, its arguments, and the tests in it.
    Node named(std::uint32_t depth) {
        Node node;
        node.name = token_.text;
        node.at = token_.at;
        count(node.at, depth);
        step();
        for (;;) {
            switch (token_.kind) {
                case Kind::tag:
                    node.arguments.push_back({Argument::Kind::tag, token_.at, token_.text, 0, {}});
                    step();
                    continue;
                case Kind::number:
                    node.arguments.push_back({Argument::Kind::number, token_.at, {}, token_.number, {}});
                    step();
                    continue;
                case Kind::string: node.arguments.push_back(string()); continue;
                case Kind::identifier: node.tests.push_back(named(depth + 1)); return node;
                case Kind::punctuation:
                    if (is('[')) {
                        node.arguments.push_back(list());
                        continue;
                    }
                    if (is('(')) tests(node, depth);
                    return node;
                case Kind::end: return node;
            }
        }
    }

    void tests(Node& node, std::uint32_t depth) {
        node.test_list = true;
        do {
            step();
            if (token_.kind != Kind::identifier) stop(token_.at, "a test is expected here");
            node.tests.push_back(named(depth + 1));
        } while (is(','));
        if (!is(')')) stop(token_.at, "\",\" or \")\" is expected behind a test");
        step();
    }

    syntax::String text() {
        if (++strings_ > options_.strings)
            stop(token_.at, fmt::format("more than {} strings in one script", options_.strings));
        if (!mail::is_utf8(token_.text)) stop(token_.at, "the string is not UTF-8");
        syntax::String out{std::move(token_.text), token_.at};
        step();
        return out;
    }

    Argument string() {
        Argument argument{Argument::Kind::string, token_.at, {}, 0, {}};
        argument.strings.push_back(text());
        return argument;
    }

    Argument list() {
        Argument argument{Argument::Kind::list, token_.at, {}, 0, {}};
        do {
            step();
            if (token_.kind != Kind::string)
                stop(token_.at, is(']') && argument.strings.empty() ? "a list has one string at least"
                                                                    : "a string is expected here");
            argument.strings.push_back(text());
        } while (is(','));
        if (!is(']')) stop(token_.at, "\",\" or \"]\" is expected in a list of strings");
        step();
        return argument;
    }

    Lexer lexer_;
    const Options& options_;
    Token token_;
    std::uint32_t nodes_ = 0, strings_ = 0;
};

}  // namespace

std::expected<std::vector<Node>, Problem> parse(std::string_view script, const Options& options) {
    if (script.size() > options.script_octets)
        return std::unexpected(
            Problem{{}, fmt::format("the script has {} octets, {} are allowed", script.size(), options.script_octets)});
    if (script.starts_with("\xef\xbb\xbf")) script.remove_prefix(3);  // what some editors put in front
    try {
        return Parser(script, options).commands(0);
    } catch (Stop& stop) {
        return std::unexpected(std::move(stop.problem));
    }
}

}  // namespace poplar::sieve
