#include "server/commands.h"

#include <gtest/gtest.h>

#include "base/version.h"

namespace poplar::server {
namespace {

struct Outcome {
    int code;
    std::string out, err;
};

Outcome poplar(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "poplar");
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int code = cli::run(static_cast<int>(arguments.size()), arguments.data(), host());
    std::fflush(stdout);
    return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(CommandLine, EverySubcommandHasHelp) {
    for (std::vector<const char*> command : {std::vector<const char*>{},
                                             {"serve"},
                                             {"check-config"},
                                             {"status"},
                                             {"verify"},
                                             {"rebuild"},
                                             {"version"},
                                             {"domain"},
                                             {"domain", "add"},
                                             {"domain", "list"},
                                             {"domain", "remove"},
                                             {"domain", "catch-all"},
                                             {"alias"},
                                             {"alias", "add"},
                                             {"alias", "list"},
                                             {"alias", "remove"},
                                             {"user"},
                                             {"user", "add"},
                                             {"user", "list"},
                                             {"user", "show"},
                                             {"user", "password"},
                                             {"user", "disable"},
                                             {"user", "enable"},
                                             {"user", "remove"},
                                             {"user", "removed"},
                                             {"user", "import"},
                                             {"mail"},
                                             {"mail", "list"},
                                             {"mail", "show"},
                                             {"mail", "deleted"},
                                             {"mail", "restore"},
                                             {"mail", "remove"},
                                             {"deliver"}}) {
        command.push_back("--help");
        auto outcome = poplar(command);
        EXPECT_EQ(outcome.code, 0) << command.front();
        EXPECT_NE(outcome.out.find("Usage: poplar"), std::string::npos) << command.front();
        EXPECT_EQ(outcome.err, "") << command.front();
    }
}

TEST(CommandLine, WrongUsageIsOneLineAndCode2) {
    for (std::vector<const char*> command : {std::vector<const char*>{},
                                             {"nothing"},
                                             {"user"},
                                             {"user", "add"},
                                             {"user", "add", "a@b.test", "--pasword-stdin"},
                                             {"user", "add", "a@b.test", "--generate", "--password-stdin"},
                                             {"alias", "add", "a@b.test"},
                                             {"mail", "show", "a@b.test"},
                                             {"user", "import"}}) {
        auto outcome = poplar(command);
        EXPECT_EQ(outcome.code, 2);
        EXPECT_TRUE(outcome.err.starts_with("poplar: ")) << outcome.err;
        EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    }
}

TEST(CommandLine, CommonOptionsStandBeforeOrAfterTheSubcommand) {
    auto before = poplar({"--json", "version"});
    auto after = poplar({"version", "--json"});
    EXPECT_EQ(before.out, after.out);
    EXPECT_EQ(nlohmann::json::parse(before.out)["version"], version());
    for (std::vector<const char*> command : {std::vector<const char*>{"--socket", "/nonexistent/s", "domain", "list"},
                                             {"domain", "--socket", "/nonexistent/s", "list"},
                                             {"domain", "list", "--socket", "/nonexistent/s"}}) {
        auto outcome = poplar(command);
        EXPECT_EQ(outcome.code, cli::kExitUnavailable);
        EXPECT_NE(outcome.err.find("no server answers at /nonexistent/s"), std::string::npos) << outcome.err;
    }
}

TEST(CommandLine, ABadConfigurationIsCode78) {
    for (std::vector<const char*> command : {std::vector<const char*>{"serve", "--config", "/nonexistent/c"},
                                             {"check-config", "--config", "/nonexistent/c"},
                                             {"status", "--config", "/nonexistent/c"},
                                             {"rebuild", "--config", "/nonexistent/c"}}) {
        auto outcome = poplar(command);
        EXPECT_EQ(outcome.code, cli::kExitConfig);
        EXPECT_EQ(outcome.err, "poplar: /nonexistent/c: cannot be read: No such file or directory\n");
    }
}

// Replacing octets that are not UTF-8 would set another password than the one that was given.
TEST(CommandLine, RefusesToSendWhatIsNotUtf8) {
    for (std::vector<const char*> command : {std::vector<const char*>{"domain", "add",
                                                                      "b\xfc"
                                                                      "cher.test"},
                                             {"user", "add", "a@b.test", "--password-hash", "{PLAIN}\xfc"}}) {
        command.insert(command.end(), {"--socket", "/nonexistent/s"});
        auto outcome = poplar(command);
        EXPECT_EQ(outcome.code, 1);
        EXPECT_NE(outcome.err.find("UTF-8"), std::string::npos) << outcome.err;
    }
}

}  // namespace
}  // namespace poplar::server
