#include "delivery/settings.h"

#include "config/keys.h"
#include "delivery/delivery.h"

namespace poplar::delivery {

void add_settings(config::Keys& keys, Limits& limits) {
    constexpr std::int64_t kMillion = 1'000'000;
    keys.boolean("addresses.detail_files", limits.detail_files,
                 "Mail to `jane+Work@` goes to the mailbox `Work` if `jane@` has one, else to INBOX; no mailbox is "
                 "ever made for it. An alias may lead to `jane+work@` as well; its targets are in lower case unless "
                 "local parts keep theirs.");
    keys.size("limits.message_size", limits.message_octets, 1000, std::uint64_t(4) << 30,
              "Octets of a message. Announced as SIZE; larger: `552 5.3.4`.");
    keys.number("limits.hops", limits.hops, 1, 10'000, "`Received` fields in a message; more is a loop: `554 5.4.6`.");
    keys.size("limits.header_size", limits.header_octets, 1000, 64u << 20, "Octets of a header; more: `554 5.6.0`.");
    keys.number("limits.header_fields", limits.header_fields, 10, kMillion, "Fields of a header; more: `554 5.6.0`.");
}

}  // namespace poplar::delivery
