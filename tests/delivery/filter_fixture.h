#pragma once
// An account with scripts, and mail that comes for it.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "delivery/filter.h"
#include "tests/delivery/world.h"

namespace poplar::test {

class FilterTest : public testing::Test {
protected:
    FilterTest() { account_ = run(world_.directory.find_account("demo@example.test"))->id; }

    void activate(std::string text, std::string name = "main") {
        const auto put = run(world_.delivery.scripts().put(account_, name, std::move(text)));
        ASSERT_TRUE(put) << put.error().detail();
        ASSERT_TRUE(run(world_.delivery.scripts().activate(account_, name)));
    }

    /// The verdict on a message for each recipient.
    std::vector<delivery::Verdict> deliver(std::string text, std::string with = "LMTP",
                                           std::vector<std::string> others = {}) {
        auto envelope = std::make_shared<delivery::Envelope>();
        envelope->reverse_path = "ann@elsewhere.test";
        envelope->received.with = std::move(with);
        envelope->received.by = "mx.example.test";
        envelope->received.peer = peer_;
        if (envelope->received.with != "LMTP") envelope->replies = delivery::Replies::one;
        others.insert(others.begin(), "demo@example.test");
        for (const auto& address : others) {
            auto found = run(world_.directory.find_account(address));
            envelope->add(address, std::vector{found->id});
        }
        auto incoming = world_.delivery.begin(envelope, text.size());
        mail::WireEncoder encoder(mail::BareNewlines::normalize);
        std::string wire;
        encoder.encode(text, wire);
        encoder.finish(wire);
        EXPECT_TRUE(run(incoming->write(wire)));
        auto done = run(incoming->finish(encoder.sizes()));
        EXPECT_TRUE(done);
        return done ? *done : std::vector<delivery::Verdict>();
    }

    std::vector<mailstore::StoredMessage> in(std::string mailbox) {
        auto found = run(world_.store.mailbox(account_, std::move(mailbox)));
        if (!found) return {};
        auto listed = run(world_.store.list(account_, found->id, mailstore::OrderKey{0}, 1000));
        return listed ? *listed : std::vector<mailstore::StoredMessage>();
    }

    World world_;
    std::string peer_;  ///< an inspector sees the mail of one
    directory::AccountId account_;
};

}  // namespace poplar::test
