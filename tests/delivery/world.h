#pragma once
// A whole mail system in memory: directory, store and delivery over the engine that can fail on demand.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "delivery/delivery.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"
#include "quota/quotas.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::test {

struct World {
    explicit World(delivery::Limits limits = {}, quota::Options quota_options = {})
        : directory(engine, clock, {}),
          store(engine, clock, {}),
          quotas(directory, store, quota_options),
          delivery(directory, store, quotas, clock, limits) {
        EXPECT_TRUE(run(directory.add_domain("example.test")));
        delivery.use_common_scripts(engine);
        add("demo@example.test");
    }

    void add(const std::string& address) { EXPECT_TRUE(run(directory.add_account(address, ""))) << address; }
    void disable(const std::string& address) {
        EXPECT_TRUE(run(directory.set_status(address, directory::AccountStatus::disabled))) << address;
    }
    void alias(const std::string& address, std::vector<std::string> targets) {
        EXPECT_TRUE(run(directory.add_alias(address, std::move(targets)))) << address;
    }

    /// The account's messages as stored: wire form, oldest first.
    std::vector<std::string> inbox(const std::string& address) {
        std::vector<std::string> messages;
        auto account = run(directory.find_account(address));
        if (!account) return messages;
        auto listed = run(store.list(account->id, mailstore::OrderKey{0}, 1000));
        EXPECT_TRUE(listed);
        if (listed)
            for (const auto& message : *listed) messages.push_back(text_of(account->id, message));
        return messages;
    }

    std::string text_of(directory::AccountId account, const mailstore::Message& message) {
        auto reader = run(store.open(account, message));
        EXPECT_TRUE(reader);
        std::string text;
        while (reader) {
            auto chunk = run((*reader)->next());
            EXPECT_TRUE(chunk);
            if (!chunk || chunk->empty()) break;
            text += *chunk;
        }
        EXPECT_EQ(text.size(), message.wire_octets);
        return text;
    }

    ManualClock clock;
    MemoryEngine engine;
    directory::Directory directory;
    mailstore::MailStore store;
    quota::Quotas quotas;
    delivery::Delivery delivery;
};

/// The message without the header fields that delivery put on top (all up to the end of our Received).
inline std::string content_of(const std::string& stored) {
    auto at = stored.find("\r\nReceived: ");
    if (at == stored.npos) return "no Received: " + stored;
    do at = stored.find("\r\n", at + 2);
    while (at != stored.npos && at + 2 < stored.size() && (stored[at + 2] == ' ' || stored[at + 2] == '\t'));
    return at == stored.npos ? "" : stored.substr(at + 2);
}

/// As content_of, for a message without a header: leaves out the empty line that delivery put before its text, too.
inline std::string text_alone_of(const std::string& stored) {
    auto content = content_of(stored);
    return content.starts_with("\r\n") ? content.substr(2) : content;
}

}  // namespace poplar::test
