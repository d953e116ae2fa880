#pragma once
#include <vector>

#include "sieve/script.h"
#include "sieve/syntax.h"

namespace poplar::sieve {

/// Holds a parsed script against the table of the language, and makes of it what the interpreter runs.
class Checker {
public:
    Checker(const Options& options, const std::vector<Refused>& refused) : options_(options), refused_(refused) {}
    Compiled check(std::vector<syntax::Node> commands);

private:
    enum class As : std::uint8_t { command, test };
    void wrong(Position at, std::string message);
    void require(const syntax::Node& node);
    std::vector<Node> block(std::vector<syntax::Node> commands, std::uint32_t loops, bool top);
    Node node(syntax::Node source, As as, std::uint32_t loops);
    void tests(Node& out, const CommandRow& row, syntax::Node& source, std::uint32_t loops);
    void arguments(Node& out, const CommandRow& row, syntax::Node& source);
    std::size_t tag(Node& out, const CommandRow& row, syntax::Node& source, std::size_t at);
    void positional(Node& out, const CommandRow& row, syntax::Node& source, std::size_t from);
    std::vector<Text> texts(std::vector<syntax::String> strings);
    bool need(Node& out, Capabilities one_of, Position at, std::string_view what);
    Node unknown(const syntax::Node& source, As as);

    // checker_rules.cc: what the table can't say.
    void match(Node& out, const CommandRow& row);
    void rules(Node& out, const CommandRow& row);
    void place_rules(Node& out);
    void variable_rules(Node& out);
    void edit_rules(Node& out);
    void message_rules(Node& out);
    void test_rules(Node& out);
    const std::string* constant(const std::vector<Text>& strings) const;
    void each_constant(const Node& out, const std::vector<Text>& strings, std::string (*rule)(std::string_view));
    void tag_rule(const Node& out, Tag tag, std::string (*rule)(std::string_view));

    // checker_warnings.cc: what is allowed and probably not meant.
    void warn(Position at, std::string message);
    void advise(const std::vector<Node>& nodes);
    void advise_on_addresses(const Node& node);
    void advise_on_times(const Node& node);

    const Options& options_;
    const std::vector<Refused>& refused_;
    Capabilities required_;
    std::uint32_t regexes_ = 0;
    bool looks_into_body_ = false;
    std::size_t failures_ = 0;  // all of them, beside those that are told
    Compiled out_;
};

}  // namespace poplar::sieve
