// Scripts of any octets: they compile or have a problem with a place in the script, never both and never neither.
#include <algorithm>
#include <string>

#include "fuzz/check.h"
#include "sieve/lexer.h"
#include "sieve/script.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::sieve;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    Options options;
    options.regexes = 5;
    const auto compiled = compile(text, options);
    CHECK((compiled.script == nullptr) == !compiled.errors.empty());
    const auto lines = static_cast<std::uint32_t>(std::ranges::count(text, '\n')) + 1;
    for (const auto& one : compiled.errors)
        CHECK(one.at.line >= 1 && one.at.line <= lines && one.at.column >= 1 && !one.message.empty());
    Lexer lexer(text);
    for (;;) {
        const auto token = lexer.next();
        if (!token || token->kind == Token::Kind::end) break;
    }
    return 0;
}
