// Scripts and messages of any octets: a run ends within its bounds, and an error keeps the message as it came.
#include <string>

#include "fuzz/check.h"
#include "tests/sieve/bench_of_scripts.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto end = input.find("\n%%\n");  // the script, then the message
    static const auto require = test::require_all({"ihave", "encoded-character"});
    test::Bench bench;
    bench.world.options.regexes = 5;
    bench.world.scripts = {{"personal/a", "keep;"}, {"personal/b", "require \"include\"; include \"b\";"}};
    if (end != std::string_view::npos) bench.message = test::crlf(input.substr(end + 4));
    const auto script = std::string(require) + std::string(input.substr(0, end));
    auto compiled = sieve::compile(script, bench.world.options);
    if (!compiled.script) return 0;
    bench.job.script = compiled.script;
    bench.job.message = bench.message;
    bench.job.message_octets = bench.message.size();
    bench.job.explain = size % 2 == 1;
    const auto outcome = sieve::run(bench.job, bench.world, bench.world.options);
    CHECK(outcome.instructions <= bench.world.options.instructions || outcome.error);
    if (outcome.error)
        CHECK(outcome.actions.empty() && outcome.implicit_keep && !outcome.implicit_state.changed() &&
              outcome.memories.empty());
    CHECK(outcome.actions.size() <= bench.world.options.actions);
    CHECK(outcome.trace.size() <= 10'000);
    for (const auto& action : outcome.actions) CHECK(action.state.text(bench.message).size() < 64u << 20);
    return 0;
}
