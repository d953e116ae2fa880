// The checker: commands and tests against the table, arguments against their types, capabilities against `require`.
#include "sieve/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mail/address.h"
#include "sieve/parser.h"

namespace poplar::sieve {

namespace {

using Kind = syntax::Argument::Kind;

std::string_view what(Takes takes) {
    switch (takes) {
        case Takes::number: return "a number";
        case Takes::string: return "a string";
        case Takes::list: return "a string or a list of strings";
        case Takes::nothing: break;
    }
    return "nothing";
}

bool fits(Takes takes, Kind kind) {
    switch (takes) {
        case Takes::number: return kind == Kind::number;
        case Takes::string: return kind == Kind::string;
        case Takes::list: return kind == Kind::string || kind == Kind::list;
        case Takes::nothing: break;
    }
    return false;
}

constexpr std::size_t kRegexTakes = 192 * 1024;  // octets, with its automata, which grow as they are used

std::size_t memory_of(const std::vector<Node>& nodes) {
    std::size_t octets = nodes.size() * sizeof(Node);
    const auto of_texts = [](const std::vector<Text>& texts) {
        std::size_t sum = texts.size() * sizeof(Text);
        for (const auto& text : texts) {
            sum += text.source().size();
            for (const auto& piece : text.pieces()) sum += sizeof(Piece) + piece.text.size();
        }
        return sum;
    };
    for (const auto& node : nodes) {
        for (const auto& tag : node.tags) octets += sizeof(GivenTag) + of_texts(tag.strings);
        for (const auto& argument : node.arguments) octets += sizeof(GivenArgument) + of_texts(argument.strings);
        for (const auto& regex : node.match.regexes) octets += regex ? kRegexTakes : 0;
        octets += memory_of(node.tests) + memory_of(node.block);
    }
    return octets;
}

}  // namespace

void Checker::wrong(Position at, std::string message) {
    ++failures_;
    if (out_.errors.size() < kMostErrors) out_.errors.push_back({at, std::move(message)});
}

void Checker::require(const syntax::Node& node) {
    if (node.arguments.size() != 1 || node.arguments[0].strings.empty() || !node.tests.empty() || node.has_block)
        return wrong(node.at, "\"require\" takes the names of capabilities");
    for (const auto& string : node.arguments[0].strings) {
        auto name = Text::parse(string.text, required_.has(Capability::encoded_character), Text::Variables::none);
        const auto found = name ? find_capability(name->source()) : std::nullopt;
        if (found)
            required_.add(*found);
        else
            wrong(string.at, fmt::format("the capability \"{}\" is not known", string.text));
    }
}

Compiled Checker::check(std::vector<syntax::Node> commands) {
    std::size_t first = 0;
    while (first < commands.size() && commands[first].name == "require") require(commands[first++]);
    if (required_.has(Capability::vacation_seconds)) required_.add(Capability::vacation);  // RFC 6131 s2
    commands.erase(commands.begin(), commands.begin() + static_cast<std::ptrdiff_t>(first));
    auto script = std::make_shared<Script>();
    script->commands = block(std::move(commands), 0, true);
    script->required = required_;
    script->looks_into_body = looks_into_body_;
    if (failures_ == 0) {
        script->memory = memory_of(script->commands);
        advise(script->commands);
        out_.script = std::move(script);
    }
    std::ranges::sort(out_.errors, {}, [](const Problem& p) { return std::pair(p.at.line, p.at.column); });
    return std::move(out_);
}

std::vector<Node> Checker::block(std::vector<syntax::Node> commands, std::uint32_t loops, bool top) {
    std::vector<Node> out;
    out.reserve(commands.size());
    for (auto& command : commands) {
        const auto previous = out.empty() ? Op::stop : out.back().op;
        const bool chain = command.name == "elsif" || command.name == "else";
        if (chain && previous != Op::if_ && previous != Op::elsif)
            wrong(command.at, fmt::format("\"{}\" follows the block of an \"if\" or \"elsif\"", command.name));
        if (command.name == "require") {
            wrong(command.at, top ? "\"require\" stands before all other commands"
                                  : "\"require\" stands at the beginning of a script, in no block");
            continue;
        }
        out.push_back(node(std::move(command), As::command, loops));
    }
    return out;
}

Node Checker::unknown(const syntax::Node& source, As as) {
    const auto* kind = as == As::test ? "test" : "command";
    auto message = fmt::format("there is no {} \"{}\"", kind, source.name);
    Node out;
    out.at = source.at;
    if (required_.has(Capability::ihave))
        out.trouble = std::move(message);
    else
        wrong(source.at, std::move(message));
    return out;
}

/// False: the script may not use it at all. With `ihave`, what is not required may still be found at run time.
bool Checker::need(Node& out, Capabilities one_of, Position at, std::string_view what) {
    if (one_of.empty() || required_.has_any(one_of)) return true;
    if (required_.has(Capability::ihave)) {
        out.unsure.add(one_of);
        return true;
    }
    wrong(at, fmt::format("{} needs {} in \"require\"", what, names_of(one_of)));
    return false;
}

Node Checker::node(syntax::Node source, As as, std::uint32_t loops) {
    const auto* row = find_command(source.name);
    if (!row || (row->kind == CommandRow::Kind::test) != (as == As::test)) {
        if (row && !required_.has(Capability::ihave)) {
            wrong(source.at, as == As::test ? fmt::format("\"{}\" is a command, not a test", source.name)
                                            : fmt::format("\"{}\" is a test, not a command", source.name));
            return {};
        }
        return unknown(source, as);
    }
    Node out;
    out.op = row->op;
    out.at = source.at;
    need(out, row->needs, source.at, fmt::format("\"{}\"", source.name));
    for (const auto& refused : refused_)
        if (refused.op == row->op) wrong(source.at, fmt::format("\"{}\": {}", source.name, refused.because));
    arguments(out, *row, source);
    tests(out, *row, source, loops);
    if (row->block && !source.has_block)
        wrong(source.at, fmt::format("\"{}\" has a block behind it, in braces", source.name));
    else if (!row->block && source.has_block)
        wrong(source.at, fmt::format("\"{}\" has no block", source.name));
    if (out.op == Op::break_ && loops == 0) wrong(out.at, "\"break\" stands in a \"foreverypart\" of the same script");
    out.block = block(std::move(source.block), loops + (out.op == Op::foreverypart ? 1 : 0), false);
    return out;
}

void Checker::tests(Node& out, const CommandRow& row, syntax::Node& source, std::uint32_t loops) {
    switch (row.tests) {
        case CommandRow::Tests::none:
            if (!source.tests.empty()) wrong(source.tests[0].at, fmt::format("\"{}\" takes no test", source.name));
            return;
        case CommandRow::Tests::one:
            if (source.tests.size() != 1 || source.test_list)
                return wrong(source.at, fmt::format("\"{}\" takes one test, without parentheses", source.name));
            break;
        case CommandRow::Tests::several:
            if (source.tests.empty() || !source.test_list)
                return wrong(source.at, fmt::format("\"{}\" takes tests in parentheses", source.name));
            break;
    }
    out.tests.reserve(source.tests.size());
    for (auto& test : source.tests) out.tests.push_back(node(std::move(test), As::test, loops));
}

std::vector<Text> Checker::texts(std::vector<syntax::String> strings) {
    std::vector<Text> out;
    out.reserve(strings.size());
    const auto variables = !required_.has(Capability::variables) ? Text::Variables::none
                           : required_.has(Capability::include)  ? Text::Variables::own_and_global
                                                                 : Text::Variables::own;
    for (auto& string : strings) {
        auto text = Text::parse(std::move(string.text), required_.has(Capability::encoded_character), variables);
        if (text)
            out.push_back(std::move(*text));
        else
            wrong(string.at, std::move(text.error()));
    }
    return out;
}

void Checker::arguments(Node& out, const CommandRow& row, syntax::Node& source) {
    const auto failures = failures_;
    std::size_t at = 0;
    while (at < source.arguments.size() && source.arguments[at].kind == Kind::tag) at = tag(out, row, source, at);
    const auto stray = std::ranges::find(source.arguments.begin() + static_cast<std::ptrdiff_t>(at),
                                         source.arguments.end(), Kind::tag, &syntax::Argument::kind);
    if (stray != source.arguments.end())
        wrong(stray->at, fmt::format("the tag \":{}\" stands behind an argument; tags come first", stray->tag));
    else if (failures_ == failures)
        positional(out, row, source, at);
    if (failures_ != failures || !out.trouble.empty()) return;
    match(out, row);
    rules(out, row);
}

/// Takes the tag at `at` and what belongs to it. Returns where the next argument is.
std::size_t Checker::tag(Node& out, const CommandRow& row, syntax::Node& source, std::size_t at) {
    auto& given = source.arguments[at];
    const auto known = std::ranges::find(row.tags, std::string_view(given.tag), &TagRow::name);
    if (known == row.tags.end()) {
        auto message = fmt::format("\"{}\" has no tag \":{}\"", source.name, given.tag);
        if (required_.has(Capability::ihave)) {
            // Nobody knows how many arguments are the tag's: running this is an error, and nothing else is checked.
            out.op = Op::unknown;
            out.trouble = std::move(message);
        } else {
            wrong(given.at, std::move(message));
        }
        return source.arguments.size();
    }
    need(out, known->needs, given.at, fmt::format("\":{}\"", given.tag));
    for (const auto& other : out.tags) {
        const auto row_of_other = std::ranges::find(row.tags, other.tag, &TagRow::tag);
        if (other.tag == known->tag)
            wrong(given.at, fmt::format("\":{}\" is there twice", given.tag));
        else if (!known->group.empty() && row_of_other->group == known->group)
            wrong(given.at, fmt::format("\":{}\" and \":{}\" exclude each other", row_of_other->name, given.tag));
    }
    GivenTag taken{known->tag, 0, {}};
    if (known->takes == Takes::nothing) {
        out.tags.push_back(std::move(taken));
        return at + 1;
    }
    if (at + 1 >= source.arguments.size() || !fits(known->takes, source.arguments[at + 1].kind)) {
        wrong(given.at, fmt::format("{} belongs behind \":{}\"", what(known->takes), given.tag));
        return source.arguments.size();
    }
    taken.number = source.arguments[at + 1].number;
    taken.strings = texts(std::move(source.arguments[at + 1].strings));
    out.tags.push_back(std::move(taken));
    return at + 2;
}

void Checker::positional(Node& out, const CommandRow& row, syntax::Node& source, std::size_t from) {
    if (!out.trouble.empty()) return;
    const std::size_t given = source.arguments.size() - from;
    const auto wanted = row.positional.size();
    const auto optional = static_cast<std::size_t>(std::ranges::count(row.positional, true, &PositionalRow::optional));
    if (given > wanted)
        return wrong(source.arguments[from + wanted].at,
                     wanted == 0 ? fmt::format("\"{}\" takes no arguments", source.name)
                                 : fmt::format("\"{}\" takes {} argument{}, this is one more", source.name, wanted,
                                               wanted == 1 ? "" : "s"));
    if (given + optional < wanted)
        return wrong(source.at, fmt::format("\"{}\" takes {} as argument {}", source.name,
                                            what(row.positional[given].takes), given + 1));
    bool left_out = given < wanted;
    std::size_t at = from;
    for (const auto& rule : row.positional) {
        auto& slot = out.arguments.emplace_back();
        if (rule.optional && left_out) continue;
        auto& argument = source.arguments[at++];
        if (!fits(rule.takes, argument.kind)) {
            wrong(argument.at, fmt::format("\"{}\" takes {} here", source.name, what(rule.takes)));
            return;
        }
        slot.given = true;
        slot.number = argument.number;
        const auto place = argument.at;
        slot.strings = texts(std::move(argument.strings));
        if (rule.constant && !std::ranges::all_of(slot.strings, &Text::constant))
            wrong(place, fmt::format("\"{}\" takes no variables here", source.name));
    }
}

Compiled compile(std::string_view text, const Options& options, const std::vector<Refused>& refused) {
    auto parsed = parse(text, options);
    if (!parsed) return {nullptr, {std::move(parsed.error())}, {}};
    return Checker(options, refused).check(std::move(*parsed));
}

bool is_script_name(std::string_view name) {
    if (name.empty() || name.size() > 512 || !mail::is_utf8(name)) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto c = static_cast<unsigned char>(name[i]);
        if (c < 0x20 || c == 0x7f || c == '/') return false;
        if (c == 0xc2 && static_cast<unsigned char>(name[i + 1]) < 0xa0) return false;  // C1 controls
        if (name.substr(i).starts_with("\u2028") || name.substr(i).starts_with("\u2029")) return false;
    }
    return true;
}

}  // namespace poplar::sieve
