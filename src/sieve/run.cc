// The interpreter's core: blocks, conditions, included scripts, loops, and where each test and action goes.
#include "sieve/run.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "sieve/constants.h"
#include "sieve/machine.h"
#include "sieve/notify_method.h"

namespace poplar::sieve {

namespace {

/// Those that `ihave` can't bring, because they change how a script is read.
constexpr Capabilities grammar_changes() {
    Capabilities out;
    out.add(Capability::variables);
    out.add(Capability::encoded_character);
    return out;
}

}  // namespace

std::string MessageState::text(std::string_view original) const {
    if (body) return (header ? *header : std::string()) + *body;
    if (!header) return std::string(original);
    std::size_t size = 0;
    read_fields(original, &size);
    return *header + std::string(original.substr(size));
}

Machine::Machine(const Job& job, World& world, const Options& options)
    : job_(job),
      world_(world),
      options_(options),
      message_(job.message),
      original_(message_.fields()),
      flags_(job.flags) {}

void Machine::charge(std::uint64_t instructions) {
    out_.instructions += instructions;
    if (out_.instructions > options_.instructions)
        throw RunError{{at_ ? at_->at : Position(),
                        fmt::format("the script takes too long: more than {} instructions", options_.instructions)}};
}

void Machine::spend(std::size_t octets) {
    memory_ += octets;
    if (memory_ > options_.memory)
        throw RunError{{at_ ? at_->at : Position(),
                        fmt::format("the script takes too much memory: more than {} octets", options_.memory)}};
}

void Machine::fail(const Node& node, std::string message) const { throw RunError{{node.at, std::move(message)}}; }

void Machine::explain(const Node& node, std::string text) {
    if (explains()) out_.trace.push_back(fmt::format("{}:{}: {}", node.at.line, node.at.column, text));
}

ZonedTime Machine::now() const {
    return {std::chrono::floor<std::chrono::seconds>(job_.environment.now), job_.environment.zone};
}

Outcome Machine::run() {
    try {
        frames_.push_back(std::make_unique<Frame>());
        frame().script = job_.script.get();
        frame().enabled = job_.script->required;
        block(job_.script->commands);
        check_conflicts();
        settle();
        out_.implicit_keep = keeps_;
        out_.implicit.mailbox = "INBOX";
        out_.implicit.flags = storable(flags_);
        out_.implicit_state = state();
        out_.message_changed = message_.changed();
    } catch (RunError& error) {
        // RFC 5228 s2.10.6, RFC 5293 s7: the message is kept as it came.
        Outcome failed;
        failed.error = std::move(error.problem);
        failed.implicit.mailbox = "INBOX";
        failed.trace = std::move(out_.trace);
        failed.instructions = out_.instructions;
        return failed;
    } catch (const std::exception& error) {  // no memory, above all: one script's fault, and nobody else's
        Outcome failed;
        failed.error = Problem{{}, error.what()};
        if (at_ != nullptr) failed.error->at = at_->at;
        failed.implicit.mailbox = "INBOX";
        return failed;
    }
    return std::move(out_);
}

void Machine::ready(const Node& node) {
    at_ = &node;
    charge(1);
    if (!node.unsure.empty() && !frame().enabled.has_any(node.unsure))
        fail(node, fmt::format("this needs {}, which \"ihave\" has not found", names_of(node.unsure)));
    if (node.op == Op::unknown) fail(node, node.trouble);
}

Machine::Flow Machine::block(const std::vector<Node>& nodes) {
    bool taken = false;  // of a chain of if, elsif and else
    for (const auto& node : nodes) {
        switch (node.op) {
            case Op::if_: taken = false; break;
            case Op::elsif:
            case Op::else_:
                if (taken) continue;
                break;
            default: break;
        }
        if (node.op == Op::if_ || node.op == Op::elsif || node.op == Op::else_) {
            ready(node);
            taken = node.op == Op::else_ || test(node.tests[0]);
            if (!taken) continue;
            if (const auto flow = block(node.block); flow != Flow::on) return flow;
            continue;
        }
        if (const auto flow = command(node); flow != Flow::on) return flow;
    }
    return Flow::on;
}

Machine::Flow Machine::command(const Node& node) {
    ready(node);
    if (explains()) explain(node, std::string(name_of(node.op)));
    switch (node.op) {
        case Op::stop: return Flow::stop;
        case Op::return_: return Flow::return_;
        case Op::include: return include(node);
        case Op::foreverypart: return foreverypart(node);
        case Op::break_:
            break_named_ = node.has(Tag::name);
            break_name_ = tag_value(node, Tag::name);
            return Flow::break_;
        case Op::error: fail(node, expand_first(node.arguments[0]));
        case Op::global: global(node); break;
        case Op::keep: keep(node); break;
        case Op::discard:
            cancel_keep();
            add(node, {.kind = Action::Kind::discard});
            break;
        case Op::fileinto: fileinto(node); break;
        case Op::redirect: redirect(node); break;
        case Op::reject:
        case Op::ereject: reject(node); break;
        case Op::vacation: vacation(node); break;
        case Op::notify: notify(node); break;
        case Op::set: set(node); break;
        case Op::setflag:
        case Op::addflag:
        case Op::removeflag: change_flags(node); break;
        case Op::addheader: addheader(node); break;
        case Op::deleteheader: deleteheader(node); break;
        case Op::replace: replace(node); break;
        case Op::enclose: enclose(node); break;
        case Op::extracttext: extracttext(node); break;
        default: fail(node, "no command");
    }
    return Flow::on;
}

bool Machine::test(const Node& node) {
    ready(node);
    const bool result = evaluate(node);
    if (!explains()) return result;
    explain_test(node, result);
    compared_.clear();  // the test around it has compared nothing itself
    comparisons_ = 0;
    return result;
}

bool Machine::evaluate(const Node& node) {
    switch (node.op) {
        case Op::true_: return true;
        case Op::false_: return false;
        case Op::not_: return !test(node.tests[0]);
        case Op::anyof:
            for (const auto& one : node.tests)
                if (test(one)) return true;
            return false;
        case Op::allof:
            for (const auto& one : node.tests)
                if (!test(one)) return false;
            return true;
        case Op::address: return address(node);
        case Op::envelope: return envelope(node);
        case Op::exists: return exists(node);
        case Op::header: return header(node);
        case Op::size: return size(node);
        case Op::string: {
            std::uint64_t count = 0;
            const auto values = expand(node.arguments[0].strings);
            for (const auto& value : values) count += value.empty() ? 0 : 1;
            return node.match.type == Match::Type::count ? match_count(node, count, node.arguments[1].strings)
                                                         : match_any(node, values, node.arguments[1].strings);
        }
        case Op::hasflag: return hasflag(node);
        case Op::body: return body(node);
        case Op::date: return date(node);
        case Op::currentdate: return currentdate(node);
        case Op::duplicate: return duplicate(node);
        case Op::environment: return environment(node);
        case Op::ihave: return ihave(node);
        case Op::mailboxexists:
            for (const auto& name : expand(node.arguments[0].strings))
                if (!world_.has_mailbox(name)) return false;
            return true;
        case Op::mailboxidexists:
            for (const auto& id : expand(node.arguments[0].strings))
                if (!world_.mailbox_by_id(id)) return false;
            return true;
        case Op::specialuse_exists: return specialuse_exists(node);
        case Op::metadata: return metadata(node, false);
        case Op::metadataexists: return metadata_exists(node, false);
        case Op::servermetadata: return metadata(node, true);
        case Op::servermetadataexists: return metadata_exists(node, true);
        case Op::spamtest:
        case Op::virustest: return score(node);
        case Op::valid_notify_method:
            for (const auto& uri : expand(node.arguments[0].strings))
                if (!parse_notify_method(uri)) return false;
            return true;
        case Op::notify_method_capability: return notify_method_capability(node);
        case Op::valid_ext_list:
            for (const auto& name : expand(node.arguments[0].strings))
                if (!world_.list(list_name(name))) return false;
            return true;
        default: fail(node, "no test");
    }
}

bool Machine::ihave(const Node& node) {
    Capabilities found;
    for (const auto& name : node.arguments[0].strings) {
        const auto capability = find_capability(name.source());
        if (!capability) return false;
        if (grammar_changes().has(*capability) && !frame().enabled.has(*capability)) return false;
        found.add(*capability);
    }
    frame().enabled.add(found);
    return true;
}

Machine::Flow Machine::include(const Node& node) {
    const auto name = node.arguments[0].strings[0].source();
    const auto place = node.has(Tag::global) ? ScriptPlace::global : ScriptPlace::personal;
    if (!is_script_name(name)) fail(node, fmt::format("no script can be called \"{}\"", name));
    const auto identity = fmt::format("{}/{}", place == ScriptPlace::global ? "global" : "personal", name);
    if (node.has(Tag::once) && included_.contains(identity)) return Flow::on;
    for (const auto& frame : frames_)
        if (frame->identity == identity) fail(node, fmt::format("the script \"{}\" includes itself", name));
    if (frames_.size() >= options_.include_depth)
        fail(node, fmt::format("more than {} scripts include one another", options_.include_depth));
    if (++includes_ > options_.includes)
        fail(node, fmt::format("more than {} scripts are included", options_.includes));
    auto included = world_.script(place, name);
    if (!included.trouble.empty()) fail(node, fmt::format("the script \"{}\": {}", name, included.trouble));
    if (!included.script) {
        if (node.has(Tag::optional)) return Flow::on;
        fail(node, fmt::format("there is no script \"{}\"", name));
    }
    charge(10);
    included_.insert(identity);
    auto inner = std::make_unique<Frame>();
    inner->script = included.script.get();
    inner->identity = identity;
    inner->enabled = included.script->required;
    inner->root = current_part();
    frames_.push_back(std::move(inner));
    const auto flow = block(included.script->commands);
    frames_.pop_back();
    at_ = &node;
    return flow == Flow::stop ? Flow::stop : Flow::on;
}

Machine::Flow Machine::foreverypart(const Node& node) {
    const bool nested = !frame().loops.empty();
    const auto root = current_part();
    const auto depth = frame().loops.size();
    frame().loops.push_back({tag_value(node, Tag::name), 0});
    auto leave = [&](Flow flow) {
        frame().loops.resize(depth);
        return flow;
    };
    // Counted anew each time, because `replace` may change how many parts there are.
    for (std::size_t part = nested ? root + 1 : root;
         part < message_.parts().size() && part < message_.parts()[root].behind; ++part) {
        charge(2);
        frame().loops.back().part = part;
        const auto flow = block(node.block);
        at_ = &node;
        if (flow == Flow::break_) {
            const bool here = !break_named_ || ascii::same(frame().loops.back().name, break_name_);
            if (here) return leave(Flow::on);
            if (depth == 0) fail(node, fmt::format("no loop is called \"{}\"", break_name_));
            return leave(flow);
        }
        if (flow != Flow::on) return leave(flow);
    }
    return leave(Flow::on);
}

Outcome run(const Job& job, World& world, const Options& options) { return Machine(job, world, options).run(); }

}  // namespace poplar::sieve
