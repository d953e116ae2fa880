#include "outbound/report.h"

#include <gtest/gtest.h>

#include "tests/delivery/world.h"

namespace poplar::outbound {
namespace {

using namespace std::chrono_literals;
using queue::Recipient;
using test::run;

Report some_report(ReportKind kind) {
    Report report{kind, {}, {}, Timestamp(432'000s), "Subject: lost\r\n", false};
    report.message.id = "0123456789ab";
    report.message.sender = "demo@example.test";
    report.message.envelope_id = "env 1";
    report.recipients = {{.address = "bob@far.example",
                          .state = Recipient::State::failed,
                          .orcpt = "rfc822;old@far.example",
                          .reply = "550 5.1.1 who?",
                          .status = "5.1.1",
                          .host = "mx.far.example"}};
    return report;
}

TEST(Reports, HaveAPartForPeopleOneForProgramsAndTheHeader) {
    const auto text = compose(some_report(ReportKind::failed), "mx.example.test", "x1", Timestamp());
    for (std::string_view line :
         {"To: <demo@example.test>\r\n", "Subject: Your message could not be delivered\r\n",
          "Auto-Submitted: auto-replied\r\n",
          "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"report-x1\"\r\n",
          "mx.far.example said: 550 5.1.1 who?\r\n", "Content-Type: message/delivery-status\r\n\r\n",
          "Original-Envelope-Id: env 1\r\n", "Reporting-MTA: dns; mx.example.test\r\n",
          "\r\n\r\nOriginal-Recipient: rfc822;old@far.example\r\nFinal-Recipient: rfc822; bob@far.example\r\nAction: "
          "failed\r\n"
          "Status: 5.1.1\r\nRemote-MTA: dns; mx.far.example\r\nDiagnostic-Code: smtp; 550 5.1.1 who?\r\n",
          "Content-Type: text/rfc822-headers\r\n\r\nSubject: lost\r\n", "\r\n--report-x1--\r\n"})
        EXPECT_TRUE(text.contains(line)) << line << "\nis not in\n" << text;
    EXPECT_FALSE(text.contains("8bit"));
}

TEST(Reports, HaveAStatusOfTheirOwnClass) {
    struct Case {
        ReportKind kind;
        std::string status, shown;
    };
    for (const auto& [kind, status, shown] :
         {Case{ReportKind::failed, "4.2.1", "5.4.7"}, Case{ReportKind::failed, "", "5.0.0"},
          Case{ReportKind::delayed, "4.2.1", "4.2.1"}, Case{ReportKind::delayed, "5.7.1", "4.0.0"},
          Case{ReportKind::relayed, "2.1.5", "2.1.5"}}) {
        auto report = some_report(kind);
        report.recipients[0].status = status;
        const auto text = compose(report, "mx.example.test", "x1", Timestamp());
        EXPECT_TRUE(text.contains("\r\nStatus: " + shown + "\r\n")) << status;
        EXPECT_EQ(text.contains("Will-Retry-Until"), kind == ReportKind::delayed);
    }
}

TEST(Reports, WithUtf8HaveTheTypesForThat) {
    auto report = some_report(ReportKind::failed);
    report.recipients[0].address = "b\u00f6b@far.example";
    report.message.utf8 = true;
    const auto text = compose(report, "mx.example.test", "x1", Timestamp());
    EXPECT_TRUE(text.contains("report-type=global-delivery-status;"));
    EXPECT_TRUE(text.contains("Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"));
    EXPECT_TRUE(text.contains("Final-Recipient: utf-8; b\u00f6b@far.example\r\n"));
    EXPECT_TRUE(text.contains("Content-Type: message/global-headers\r\n"));
}

TEST(Reports, AreDeliveredToTheSenderWithoutASenderOfTheirOwn) {
    test::World world;
    ASSERT_TRUE(run(send(world.delivery, "mx.example.test", some_report(ReportKind::failed), Timestamp())));
    const auto inbox = world.inbox("demo@example.test");
    ASSERT_EQ(inbox.size(), 1u);
    EXPECT_TRUE(inbox[0].starts_with("Return-Path: <>\r\nDelivered-To: demo@example.test\r\n"));
}

TEST(Reports, ToNobodyAreNoFailureAndAFailingStoreIsOne) {
    test::World world;
    auto report = some_report(ReportKind::failed);
    report.message.sender = "nobody@example.test";
    EXPECT_TRUE(run(send(world.delivery, "mx.example.test", report, Timestamp())));
    world.engine.fail_next_commits(100, Errc::no_space);
    EXPECT_FALSE(run(send(world.delivery, "mx.example.test", some_report(ReportKind::failed), Timestamp())));
}

TEST(Reports, ThatAreTooLargeComeWithoutTheMessageOrNotAtAll) {
    auto report = some_report(ReportKind::failed);
    report.content = "Subject: " + std::string(5000, 'x') + "\r\n";
    test::World world({.message_octets = 4000});
    ASSERT_TRUE(run(send(world.delivery, "mx.example.test", report, Timestamp())));
    const auto inbox = world.inbox("demo@example.test");
    ASSERT_EQ(inbox.size(), 1u);
    EXPECT_TRUE(inbox[0].contains("550 5.1.1 who?") && !inbox[0].contains("xxxx"));
    test::World small({.message_octets = 100});
    EXPECT_TRUE(run(send(small.delivery, "mx.example.test", report, Timestamp()))) << "it is not tried for ever";
    EXPECT_TRUE(small.inbox("demo@example.test").empty());
}

TEST(Reports, ToASenderElsewhereGoToTheQueue) {
    test::World world;
    queue::Queue queue(world.engine, world.clock, {});
    delivery::Delivery delivery(world.directory, world.store, world.quotas, world.clock, {}, &queue);
    auto report = some_report(ReportKind::failed);
    report.message.sender = "x@elsewhere.example";
    ASSERT_TRUE(run(send(delivery, "mx.example.test", report, Timestamp())));
    auto queued = run(queue.list("", 10, false));
    ASSERT_EQ(queued->size(), 1u);
    EXPECT_EQ(queued->front().message.sender, "");
    EXPECT_EQ(queued->front().parts.at(0).recipients.at(0).address, "x@elsewhere.example");
    report.message.id = "0123456789ac";
    report.message.sender = "x@b\u00fccher.example";
    ASSERT_TRUE(run(send(delivery, "mx.example.test", report, Timestamp())));
    queued = run(queue.list("", 10, false));
    ASSERT_EQ(queued->size(), 2u);
    for (const auto& item : *queued)
        for (const auto& part : item.parts)
            EXPECT_TRUE(part.domain == "elsewhere.example" || part.domain == "xn--bcher-kva.example") << part.domain;
}

}  // namespace
}  // namespace poplar::outbound
