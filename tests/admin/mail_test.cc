// Delivering, showing, deleting, restoring and importing mail.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/admin/api_world.h"

namespace poplar::admin {
namespace {

TEST_F(AdminApiTest, DeliversAFileWithLfAndShowsItBackWithDecodedHeader) {
    add_jane();
    auto id = deliver("From: =?utf-8?q?J=C3=B6rg?= <j@b.test>\nSubject: Hi\n\n.dots\n..two\nlast");
    auto list = ask("GET", "/v1/accounts/jane@example.org/messages");
    ASSERT_EQ(list.body["messages"].size(), 1u);
    EXPECT_EQ(list.body["messages"][0]["from"], "J\xc3\xb6rg <j@b.test>");
    EXPECT_EQ(list.body["messages"][0]["subject"], "Hi");
    auto content = ask("GET", "/v1/accounts/jane@example.org/messages/" + id + "/content");
    EXPECT_TRUE(content.streamed);
    EXPECT_EQ(content.status, 200u);
    EXPECT_EQ(stream.type, "message/rfc822");
    EXPECT_TRUE(stream.text.starts_with("Return-Path: <a@b.test>\r\n")) << stream.text;
    EXPECT_TRUE(stream.text.ends_with("\r\n\r\n.dots\r\n..two\r\nlast\r\n")) << stream.text;
    EXPECT_EQ(stream.text.size(), list.body["messages"][0]["octets"]);
}

TEST_F(AdminApiTest, RemovesAndRestoresAMessageUnderTheSameId) {
    add_jane();
    auto id = deliver("Subject: keep me\n\nx\n");
    EXPECT_EQ(ask("DELETE", "/v1/accounts/jane@example.org/messages/" + id).status, 200u);
    EXPECT_TRUE(ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"].empty());
    auto kept = ask("GET", "/v1/accounts/jane@example.org/retained").body["messages"];
    ASSERT_EQ(kept.size(), 1u);
    EXPECT_EQ(kept[0]["reason"], "admin");
    EXPECT_EQ(kept[0]["subject"], "keep me");
    EXPECT_EQ(kept[0]["expires"], "2026-01-31T00:00:00Z");
    EXPECT_EQ(ask("POST", "/v1/accounts/jane@example.org/retained/" + id + "/restore").status, 200u);
    EXPECT_EQ(ask("POST", "/v1/accounts/jane@example.org/retained/" + id + "/restore").status, 409u);
    EXPECT_EQ(ask("POST", "/v1/accounts/jane@example.org/retained/none/restore").status, 404u);
    EXPECT_EQ(ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"][0]["unique_id"], id);
}

TEST_F(AdminApiTest, StoresAMessageOfAnotherServerOnceAndKeepsItsUniqueId) {
    add_jane();
    const std::string jane = "/v1/accounts/jane@example.org", import = jane + "/import?source=";
    const std::string text = "Subject: x\n\ntext\n.\n";
    auto stored = ask("POST", import + "a&unique_id=old-1&flags=seen,Work&received=1276000001000", text).body;
    EXPECT_EQ(stored["state"], "stored");
    EXPECT_EQ(stored["unique_id"], "old-1");
    EXPECT_FALSE(stored.contains("not_kept"));
    EXPECT_EQ(ask("POST", import + "a&unique_id=old-1", text).body["state"], "there");
    auto listed = ask("GET", jane + "/messages").body["messages"];
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0]["octets"], 23);
    EXPECT_EQ(listed[0]["received"], "2010-06-08T12:26:41Z");
    EXPECT_EQ(listed[0]["flags"], Json::array({"seen", "Work"}));

    // One that another message has, and one that none may have.
    auto twice = ask("POST", import + "b&unique_id=old-1&mailbox=Lists%2Fasio", text).body;
    EXPECT_EQ(twice["state"], "stored");
    EXPECT_NE(twice["unique_id"], "old-1");
    EXPECT_TRUE(twice.contains("not_kept"));
    EXPECT_TRUE(ask("POST", import + "c&unique_id=%20", text).body.contains("not_kept"));
    EXPECT_EQ(ask("GET", jane + "/messages?mailbox=Lists%2Fasio").body["messages"].size(), 1u);
    EXPECT_EQ(ask("POST", import + "d&flags=no%20keyword%7B", text).body["state"], "stored");
    EXPECT_EQ(ask("POST", jane + "/import?source=", text).status, 400u);

    // Mail deleted here does not return, also when nothing is kept of it any more.
    EXPECT_EQ(ask("DELETE", jane + "/messages/old-1").status, 200u);
    EXPECT_EQ(ask("POST", import + "a&unique_id=old-1", text).body["state"], "deleted");
    auto found = ask("POST", jane + "/imported", Json{{"sources", {"a", "b", "z"}}}).body["messages"];
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0]["state"], "deleted");
    EXPECT_EQ(found[1]["state"], "there");
    EXPECT_EQ(found[1]["unique_id"], twice["unique_id"]);
}

TEST_F(AdminApiTest, RestoresWhatWasDeletedInSomeTime) {
    add_jane();
    auto remove = [&] {
        auto id = deliver("Subject: x\n\nx\n");
        auto list = ask("GET", "/v1/accounts/jane@example.org/messages").body["messages"];
        EXPECT_EQ(
            ask("DELETE", "/v1/accounts/jane@example.org/messages/" + list[0]["unique_id"].get<std::string>()).status,
            200u);
    };
    remove();
    clock.advance(std::chrono::hours(1));
    remove();
    remove();
    clock.advance(std::chrono::hours(1));
    remove();
    auto restore = [&](const Json& body) {
        return ask("POST", "/v1/accounts/jane@example.org/retained/restore", body).body["restored"];
    };
    EXPECT_EQ(restore({{"since", "2026-01-01T00:30:00Z"}, {"until", "2026-01-01T01:00:00Z"}}), 2);
    EXPECT_EQ(restore({{"since", "2026-01-01T00:30:00Z"}, {"until", "2026-01-01T01:00:00Z"}}), 0) << "nothing twice";
    EXPECT_EQ(restore({{"since", "30m"}}), 1);
    EXPECT_EQ(restore({{"since", "2025-01-01"}}), 1);
    EXPECT_EQ(ask("POST", "/v1/accounts/jane@example.org/retained/restore", Json{{"since", "soon"}}).status, 400u);
    auto restored = ask("GET", "/v1/accounts/jane@example.org/activity?kind=restored").body["entries"];
    ASSERT_EQ(restored.size(), 1u);
    EXPECT_EQ(restored[0]["messages"], 4);
}

TEST_F(AdminApiTest, RestoresByDeviceMailboxAndHeaderAndIntoAnotherMailbox) {
    add_jane();
    const std::string jane = "/v1/accounts/jane@example.org";
    const auto account = run(directory.find_account("jane@example.org"))->id;
    ask("POST", jane + "/mailboxes", Json{{"name", "Lists"}});
    auto phone = ask("POST", jane + "/devices", Json{{"name", "phone"}, {"view", "shared"}}).body["id"];
    std::vector<std::string> ids;
    for (const char* subject : {"Invoice 1", "hello", "invoice 2", "other"})
        ids.push_back(deliver(fmt::format("From: Shop <s@b.test>\nSubject: {}\n\nx\n", subject)));
    auto remove_by = [&](std::optional<std::uint32_t> device, std::vector<std::uint32_t> numbers) {
        mailstore::WantedMaildrop wanted;
        wanted.device = device;
        auto maildrop = run(store.open_maildrop(account, wanted));
        ASSERT_TRUE(run((*maildrop)->messages()));
        ASSERT_TRUE(run((*maildrop)->remove(std::move(numbers))));
    };
    remove_by(auth::device_of_text(phone.get<std::string>()), {1, 2});
    remove_by(std::nullopt, {1});
    ask("DELETE", jane + "/messages/" + ids[3]);
    auto listed = ask("GET", jane + "/retained").body["messages"];
    ASSERT_EQ(listed.size(), 4u);
    std::map<std::string, std::string> by;
    for (const auto& one : listed) by[one["unique_id"]] = one["deleted_by"];
    EXPECT_EQ(by[ids[0]], "phone (" + phone.get<std::string>() + ")");
    EXPECT_EQ(by[ids[2]], "the account's own password");
    EXPECT_EQ(by[ids[3]], "administrator");
    EXPECT_EQ(listed[0]["devices"], Json::array({phone}));
    auto content = ask("GET", jane + "/retained/" + ids[0] + "/content");
    EXPECT_TRUE(content.streamed && stream.text.contains("Subject: Invoice 1"));

    auto restore = [&](Json body) { return ask("POST", jane + "/retained/restore", body); };
    EXPECT_EQ(restore(Json::object()).status, 400u) << "it has to be said what";
    EXPECT_EQ(restore({{"device", "tablet"}}).status, 404u);
    EXPECT_EQ(restore({{"all", true}, {"to", "None"}}).status, 404u);
    auto planned = restore({{"device", "phone"}, {"dry_run", true}}).body;
    EXPECT_EQ(planned["restored"], 2);
    EXPECT_EQ(planned["messages"].size(), 2u);
    EXPECT_EQ(ask("GET", jane + "/messages").body["messages"].size(), 0u) << "nothing happened yet";
    EXPECT_EQ(restore({{"subject", "INVOICE"}, {"from_header", "shop"}, {"device", "none"}}).body["restored"], 1);
    EXPECT_EQ(ask("DELETE", jane + "/devices/phone").status, 200u);
    EXPECT_EQ(restore({{"device", phone}, {"subject", "hello"}, {"to", "Lists"}}).body["restored"], 1)
        << "by its id, though it was revoked";
    EXPECT_EQ(ask("GET", jane + "/messages?mailbox=Lists").body["messages"][0]["unique_id"], ids[1]);
    EXPECT_EQ(restore({{"mailbox", "lists"}}).body["restored"], 0) << "it was deleted from INBOX";
    auto again = restore({{"ids", {ids[1], ids[0], "gone"}}}).body;
    EXPECT_EQ(again["restored"], 1);
    EXPECT_EQ(again["already"], 1);
    EXPECT_EQ(again["missing"], Json::array({"gone"}));
    EXPECT_EQ(ask("GET", jane + "/retained/" + ids[0] + "/content").status, 404u) << "it is back";
    EXPECT_EQ(restore({{"all", true}}).body["restored"], 1);
    EXPECT_EQ(restore({{"all", true}}).body["restored"], 0);
    EXPECT_TRUE(run(store.check(account)));
}

}  // namespace
}  // namespace poplar::admin
