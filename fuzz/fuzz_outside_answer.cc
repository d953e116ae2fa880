// Answers of other directories, of any octets: the JSON of a web service, a passwd-file, packets of the PAM process,
// and what is stored of it all.
#include "directory/outside/http.h"
#include "directory/outside/kept.h"
#include "directory/outside/pam_talk.h"
#include "directory/outside/passwd_file.h"
#include "directory/outside/words.h"
#include "fuzz/check.h"

namespace poplar::directory::outside {
namespace {

void check_json(std::string_view body, bool with_password) {
    const auto answer = parse_http_answer(body, with_password);
    if (!answer) {
        CHECK(answer.error().code() == Errc::invalid);
        return;
    }
    CHECK(answer->credential.empty() && answer->networks.empty());
    CHECK(answer->right.has_value() == (with_password && answer->exists));
}

void check_file(std::string_view text) {
    const auto file = parse_passwd_file(text, {"example.org", "example.net"}, "CRYPT", mail::LocalPartCase::fold);
    for (const auto& [address, entry] : file.accounts) {
        CHECK(address.ends_with("@example.org") || address.ends_with("@example.net"));
        CHECK(entry.credential.empty() || entry.credential.starts_with('{'));
    }
    for (const auto& [line, why] : file.refused) CHECK(line > 0 && !why.empty());
}

void check_packets(std::string_view packet) {
    if (const auto question = decode_pam_question(packet)) CHECK(decode_pam_question(encode(*question)) == *question);
    if (const auto answer = decode_pam_answer(packet)) CHECK(decode_pam_answer(encode(*answer)) == *answer);
    if (const auto kept = decode_kept(packet)) CHECK(decode_kept(encode(*kept)) == *kept);
}

void check_words(std::string_view text) {
    const mail::Address address{std::string(text), "example.org"};
    const auto filter = filter_for("(mail={local})", address);
    CHECK(filter && filter->starts_with("(mail=") && filter->ends_with(")"));
    CHECK(filter->substr(6, filter->size() - 7).find_first_of(std::string_view("*()\0", 4)) == std::string::npos);
    const auto query = query_of(text);
    if (query) CHECK(!query->parameters.empty());
}

}  // namespace
}  // namespace poplar::directory::outside

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::directory::outside;
    poplar::fuzz::Input input(data, size);
    const auto what = input.number();
    switch (what % 5) {
        case 0: check_json(input.rest(), false); break;
        case 1: check_json(input.rest(), true); break;
        case 2: check_file(input.rest()); break;
        case 3: check_packets(input.rest()); break;
        default: check_words(input.rest());
    }
    return 0;
}
