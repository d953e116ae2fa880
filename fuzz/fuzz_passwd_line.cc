// Lines of a passwd-file, of any octets: what is imported has an address with a domain, a scheme, and no controls.
#include "directory/passwd_file.h"
#include "fuzz/check.h"

namespace poplar::directory {
namespace {

bool printable(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

void check_line(std::string_view line) {
    const auto account = parse_passwd_line(line, "example.org");
    const auto without_domain = parse_passwd_line(line, "");
    if (!account) {
        CHECK(account.error().code() == Errc::invalid && !without_domain);
        return;
    }
    if (!*account) {
        CHECK(without_domain && !*without_domain);
        return;
    }
    const auto& [address, password] = (*account)->account;
    CHECK(address.contains('@'));
    CHECK(printable(address) && printable(password));
    CHECK(!address.contains(':') && !password.contains(':'));
    CHECK(password.empty() || password.starts_with('{'));
    CHECK(password.empty() || password.contains('}'));
    // An account that was read, written as a line, reads the same.
    const auto again = parse_passwd_line(address + ":" + password + "\r\n", "");
    CHECK(again && *again && (*again)->account.address == address && (*again)->account.password == password);
    if (without_domain) CHECK((*without_domain)->account.address == address);
}

}  // namespace
}  // namespace poplar::directory

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::directory::check_line(poplar::fuzz::Input(data, size).rest());
    return 0;
}
