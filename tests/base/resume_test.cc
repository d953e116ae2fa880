#include "base/resume.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

namespace poplar {
namespace {

TEST(ResumeOn, RunsTheHandlerOnItsExecutorAndKeepsThatAtWorkUntilThen) {
    asio::io_context context(1);
    std::string got;
    auto keep = [&got](std::string value) { got = std::move(value); };
    auto resume = resume_on<std::string>(context.get_executor(), std::move(keep));
    EXPECT_EQ(context.poll(), 0u);
    EXPECT_FALSE(context.stopped()) << "there is work to come";
    std::thread([&] { resume("from afar"); }).join();
    EXPECT_EQ(got, "") << "not on the caller's thread";
    context.run();
    EXPECT_EQ(got, "from afar");
}

TEST(ResumeOn, DoesNotTouchTheContextOnceCalled) {  // which may be gone before the function is
    std::move_only_function<void(int)> resume;
    int got = 0;
    {
        asio::io_context context(1);
        resume = resume_on<int>(context.get_executor(), [&got](int value) { got = value; });
        resume(7);
        context.run();
    }
    EXPECT_EQ(got, 7);
    resume = nullptr;
}

}  // namespace
}  // namespace poplar
