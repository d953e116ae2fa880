#include "base/one_shot.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/run.h"

namespace poplar {
namespace {

TEST(OneShot, ReceivesWhatWasSentBefore) {
    OneShot<int> shot;
    shot.sender().send(7);
    EXPECT_EQ(*test::run(shot.receive()), 7);
}

TEST(OneShot, ReceivesAFailure) {
    OneShot<void> shot;
    shot.sender().send(fail(Errc::busy, "why"));
    auto received = test::run(shot.receive());
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code(), Errc::busy);
}

TEST(OneShot, ADroppedSenderSendsCancelled) {
    OneShot<int> shot;
    {
        auto dropped = shot.sender();
    }
    auto received = test::run(shot.receive());
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code(), Errc::cancelled);
}

TEST(OneShot, AMovedSenderSendsOnce) {
    OneShot<int> shot;
    auto first = shot.sender();
    auto second = std::move(first);
    second.send(1);
    EXPECT_EQ(*test::run(shot.receive()), 1);
}

Task<std::thread::id> receive_where(OneShot<std::string>* shot, std::string* text) {
    auto received = co_await shot->receive();
    *text = received ? *received : "";
    co_return std::this_thread::get_id();
}

TEST(OneShot, ResumesTheReceiverOnItsOwnThreadWhicheverIsFirst) {
    for (int round = 0; round < 200; ++round) {
        OneShot<std::string> shot;
        std::jthread other([sender = shot.sender()]() mutable { sender.send("hello"); });
        std::string text;
        EXPECT_EQ(test::run(receive_where(&shot, &text)), std::this_thread::get_id());
        EXPECT_EQ(text, "hello");
    }
}

TEST(OneShot, OutlivesAReceiverThatNeverWaits) {
    auto shot = std::make_unique<OneShot<int>>();
    auto sender = shot->sender();
    shot.reset();
    sender.send(1);
}

}  // namespace
}  // namespace poplar
