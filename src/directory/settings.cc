#include "directory/settings.h"

#include "config/keys.h"
#include "config/value.h"
#include "directory/directory.h"

namespace poplar::directory {

namespace {

config::Key detail_separator(char& value, std::string words) {
    auto set = [&value](const config::Value& given) -> std::string {
        const auto* text = given.as<std::string>();
        if (!text) return config::wrong_type("a text in quotes", given);
        const auto& t = *text;
        if (t.size() != 1 || t[0] <= 0x20 || t[0] >= 0x7f || t[0] == '@' || t[0] == '"' || t[0] == '.')
            return "must be one ASCII character other than \"@\", \".\" and a quote";
        value = t[0];
        return {};
    };
    return {"addresses.detail_separator", std::move(words), {}, set, [&value] {
                return config::toml_text(std::string(1, value));
            }};
}

}  // namespace

void add_settings(config::Keys& keys, Options& options) {
    keys.choice<mail::LocalPartCase>(
        "addresses.local_part_case", options.local_case,
        config::Words<mail::LocalPartCase>{{"fold", mail::LocalPartCase::fold}, {"keep", mail::LocalPartCase::keep}},
        "`fold`: `Jane@` and `jane@` are the same account. `keep`: they differ.");
    keys.add(detail_separator(options.detail_separator,
                              "`jane+anything@` is delivered to `jane@`, and opens the mailbox `anything` by POP3."));
    keys.number("addresses.alias_depth", options.alias_depth, 1, 100,
                "Aliases that lead to aliases, at most; more: `451 4.3.5`, as for a circle.");
    keys.number("addresses.alias_targets", options.alias_targets, 1, 100'000,
                "Accounts that one address may lead to; more: refused in the same way.");
    keys.size("addresses.alias_cache", options.alias_cache, 0, config::Keys::kMostOctets,
              "Memory for where aliases lead, until something in the directory changes. `0`: looked up each time.");
}

}  // namespace poplar::directory
