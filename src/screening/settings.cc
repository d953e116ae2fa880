#include "screening/settings.h"

#include "config/keys.h"
#include "mail/address.h"
#include "screening/screener.h"

namespace poplar::screening {

void add_settings(config::Keys& keys, Options& options) {
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    keys.boolean("checks.spf", options.spf,
                 "Mail that comes by SMTP: whether the sender's domain lets the client send (RFC 7208). The result "
                 "goes into `Authentication-Results` and `Received-SPF`; it refuses nothing by itself.");
    keys.boolean("checks.dkim", options.dkim,
                 "Whether its signatures fit (RFC 6376): RSA with 1024 to 4096 bits, and Ed25519. A signature with "
                 "`l=` that leaves a part of the body unsigned has the result `policy`.");
    keys.boolean("checks.arc", options.arc,
                 "Whether the chain of earlier servers' results is whole (RFC 8617). What an alias sends on is sealed "
                 "with the keys of its domain (`poplar dkim`).");
    const config::Words<Options::Dmarc> words = {
        {"off", Options::Dmarc::off}, {"mark", Options::Dmarc::mark}, {"enforce", Options::Dmarc::enforce}};
    keys.choice<Options::Dmarc>(
        "checks.dmarc", options.dmarc, words,
        "What the domain in `From` wants done with mail that is not its own (DMARC): `off`, `mark` (the result is "
        "noted) or `enforce`: `reject` is obeyed with `550 5.7.1` at the end of the message, and `quarantine` goes to "
        "the mailbox `Junk`. SPF and DKIM are checked for it even where they are off. While the DNS has no answer, "
        "nothing is refused.");
    auto check = [](const std::string& text) {
        auto domain = mail::canonical_domain(text);
        return domain && *domain == text ? std::string() : "\"" + text + "\" is no domain in lower case";
    };
    keys.texts("checks.trusted_sealers", options.trusted_sealers, "domains like \"lists.example\"", check,
               "Forwarders that are believed: mail that fails DMARC here, but passed there by their `ARC-Seal`, is "
               "kept.");
    keys.boolean("checks.iprev", options.iprev,
                 "Whether a name of the client's address leads back to it (`iprev`, RFC 8601). The result goes into "
                 "`Authentication-Results`; it refuses nothing.");
    keys.boolean("checks.helo", options.helo,
                 "Whether the name that the client gives itself leads to its address: `x-helo` there.");
    auto check_list = [](const std::string& text) {
        auto list = parse_address_list_zone(text);
        return list ? std::string() : list.error().detail();
    };
    keys.texts("checks.dnsbl", options.dnsbl, "lists like \"bl.example\" or \"bl.example=127.0.0.4\"", check_list,
               "Lists of addresses in the DNS. A client that is on one gets `554 5.7.1` for each recipient but "
               "`postmaster`. With an address behind `=`, that answer of the list alone counts. A list that does not "
               "answer refuses nobody.");
    keys.texts("checks.dnswl", options.dnswl, "lists like \"wl.example\"", check_list,
               "Lists whose clients are neither refused for being on another list nor greylisted.");
    keys.duration("checks.list_timeout", options.list_timeout, milliseconds(100), minutes(1),
                  "For all lists of `checks.dnsbl` together, and for those of `checks.dnswl`.");
    keys.duration("checks.greylist", options.greylist, std::chrono::seconds(0), std::chrono::hours(24),
                  "Greylisting: mail that neither SPF nor a signature vouches for gets `451 4.7.1` at its end when "
                  "client and sender's domain come together for the first time, and is taken when they come again "
                  "after so long. Those who came again, or passed once, are remembered for 36 days. `\"0s\"`: off.");
    keys.number("checks.signatures", options.signatures, 1, 50,
                "DKIM signatures of a message that are looked at, from the top. Each costs a question and some "
                "microseconds.");
    keys.duration("checks.timeout", options.timeout, milliseconds(100), minutes(5),
                  "For all questions about a message; each check has its share of it. What was not answered by "
                  "then is a `temperror`.");
}

}  // namespace poplar::screening
