#include "delivery/ready_script.h"

#include <fmt/format.h>

#include <vector>

namespace poplar::delivery {

namespace {

const std::vector<sieve::Refused>& refused() {
    static const std::vector<sieve::Refused> all = {
        {sieve::Op::redirect, "this server sends no mail on"},
        {sieve::Op::vacation, "this server answers no mail"},
        {sieve::Op::notify, "this server sends no notifications"},
    };
    return all;
}

}  // namespace

sieve::Compiled compile_script(std::string_view text, const sieve::Options& options, bool sends) {
    if (sends) return sieve::compile(text, options);
    return sieve::compile(text, options, refused());
}

std::string first_problem(const sieve::Compiled& compiled) {
    const auto& first = compiled.errors.front();
    return fmt::format("line {}, column {}: {}", first.at.line, first.at.column, first.message);
}

ReadyScript ready_script(std::string_view text, const sieve::Options& options, bool sends) {
    auto compiled = compile_script(text, options, sends);
    ReadyScript out;
    out.script = std::move(compiled.script);
    if (!out.script) out.trouble = first_problem(compiled);
    return out;
}

}  // namespace poplar::delivery
