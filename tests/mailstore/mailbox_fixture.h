#pragma once
#include "tests/mailstore/fixture.h"

namespace poplar::mailstore {

/// Mailboxes by their names.
class MailboxFixture : public StoreTest {
protected:
    Mailbox add(const std::string& name, SpecialUse use = SpecialUse::none) {
        auto made = test::run(store_.add_mailbox(kAccount, name, use));
        EXPECT_TRUE(made) << name << ": " << (made ? "" : made.error().detail());
        return made ? *made : Mailbox();
    }
    Mailbox mailbox(const std::string& name) {
        auto found = test::run(store_.mailbox(kAccount, name));
        EXPECT_TRUE(found) << name << ": " << (found ? "" : found.error().detail());
        return found ? *found : Mailbox();
    }
    /// All names, joined by spaces.
    std::string names() {
        auto all = test::run(store_.mailboxes(kAccount));
        EXPECT_TRUE(all);
        std::string text;
        for (const auto& one : *all) text += (text.empty() ? "" : " ") + one.name;
        return text;
    }
    NewMessage to(MailboxId id, std::string text) {
        auto fresh = message(std::move(text));
        fresh.mailbox = id;
        return fresh;
    }
    Message append_to(const std::string& name, std::string text) {
        auto done = test::run(store_.append(kAccount, to(mailbox(name).id, std::move(text))));
        EXPECT_TRUE(done) << done.error().detail();
        return done ? *done : Message{};
    }
    static Uid uid_of(const Message& appended) { return Uid(appended.order.value); }

    std::vector<StoredMessage> list(const std::string& name) {
        auto found = test::run(store_.list(kAccount, mailbox(name).id, OrderKey(0), 100'000));
        EXPECT_TRUE(found);
        return found ? *found : std::vector<StoredMessage>();
    }
    /// A mailbox's unique-ids, in order, joined by spaces.
    std::string ids(const std::string& name) {
        std::string text;
        for (const auto& one : list(name)) text += (text.empty() ? "" : " ") + one.unique_id;
        return text;
    }
    /// "1:seen+$Forwarded 4:" and so on, by UID.
    std::string flags(const std::string& name) {
        const auto id = mailbox(name).id;
        auto found = test::run(store_.list_uids(kAccount, id));
        auto keywords = test::run(store_.keywords(kAccount, id));
        EXPECT_TRUE(found && keywords);
        std::string text;
        for (const auto& one : (*found)->messages) {
            text += (text.empty() ? "" : " ") + std::to_string(one.uid) + ":";
            constexpr const char* kNames[] = {"seen", "answered", "flagged", "deleted", "draft"};
            std::string set;
            for (int bit = 0; bit < 5; ++bit)
                if (one.flags >> bit & 1) set += (set.empty() ? "" : "+") + std::string(kNames[bit]);
            const auto& bits = (*found)->keyword_sets.at(one.flags >> 8);
            for (std::size_t n = 0; n < bits.size() * 8; ++n)
                if (static_cast<unsigned char>(bits[n / 8]) >> n % 8 & 1)
                    set += (set.empty() ? "" : "+") + keywords->at(n);
            text += set;
        }
        return text;
    }
};

inline std::vector<Uid> uids(std::initializer_list<std::uint64_t> numbers) {
    std::vector<Uid> all;
    for (auto number : numbers) all.emplace_back(number);
    return all;
}

constexpr std::uint8_t bits_of(Flag flag) { return static_cast<std::uint8_t>(flag); }

}  // namespace poplar::mailstore
