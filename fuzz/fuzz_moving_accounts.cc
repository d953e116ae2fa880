// A list of accounts that are to move, from any octets.
#include "fuzz/check.h"
#include "moving/account_list.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::moving;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (auto list = parse_account_list(text, Passwords::in_list))
        for (const auto& one : *list)
            CHECK(!one.address.empty() && !one.user.empty() && !one.password.empty() && one.line > 0);
    (void)parse_account_list(text, Passwords::none);
    return 0;
}
