#include "process/privileges.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace poplar::process {
namespace {

TEST(MayRedirect, SeesEveryFolderAndLinkOnTheWay) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can make folders of others";
    const Identity theirs{"nobody", 65534, 65534};
    test::TempDir temporary;
    const std::filesystem::path top = temporary.path();
    auto folder = [&](const std::string& name, uid_t uid, gid_t gid, mode_t mode) {
        std::filesystem::create_directories(top / name);
        EXPECT_EQ(::chown((top / name).c_str(), uid, gid), 0);
        EXPECT_EQ(::chmod((top / name).c_str(), mode), 0);
    };
    auto link = [&](const std::string& name, const std::string& target, uid_t uid) {
        std::filesystem::create_symlink(target, top / name);
        EXPECT_EQ(::lchown((top / name).c_str(), uid, 0), 0);
    };
    folder("roots", 0, 0, 0755);
    folder("roots/below", 0, 0, 0755);
    folder("theirs", 65534, 65534, 0755);
    folder("theirs/roots", 0, 0, 0755);
    folder("closed", 65534, 65534, 0500);
    folder("group", 0, 65534, 0775);
    folder("other-group", 0, 1, 0775);
    folder("everybody", 0, 0, 0777);
    folder("sticky", 0, 0, 01777);
    folder("sticky/roots", 0, 0, 0755);
    folder("sticky/theirs", 65534, 65534, 0755);
    folder("third", 1, 1, 0755);
    link("roots/out", (top / "theirs").string(), 0);
    link("roots/relative", "../theirs", 0);
    link("roots/harmless", "below", 0);
    link("roots/circle", "circle", 0);
    link("theirs/in", (top / "roots").string(), 65534);
    link("sticky/in", (top / "roots").string(), 65534);
    struct Case {
        std::string path;
        bool redirected;
    };
    for (const auto& [path, redirected] : {
             Case{"roots/new", false},      {"roots/below/new", false},    {"roots/missing/new", false},
             {"roots/harmless/new", false}, {"theirs/new", true},          {"theirs/roots/new", true},
             {"theirs/in/new", true},       {"roots/out/new", true},       {"roots/relative/new", true},
             {"roots/circle/new", true},    {"closed/new", true},          {"group/new", true},
             {"other-group/new", false},    {"everybody/new", true},       {"sticky/new", false},
             {"sticky/missing/new", true},  {"sticky/roots/new", false},   {"sticky/theirs", true},
             {"sticky/in/new", true},       {"theirs/../roots/new", true}, {"third/new", false},
         })
        EXPECT_EQ(may_redirect(theirs, (top / path).string()), redirected) << path;
}

TEST(ActingAs, HasTheRightsOfTheUserAndGivesThemBack) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can act as others";
    test::TempDir temporary;
    {
        ActingAs acting({"nobody", 65534, 65534});
        EXPECT_EQ(geteuid(), 65534u);
        EXPECT_EQ(getegid(), 65534u);
        EXPECT_NE(::mkdir((temporary.path() / "new").c_str(), 0700), 0);
    }
    EXPECT_EQ(geteuid(), 0u);
    EXPECT_EQ(getegid(), 0u);
    EXPECT_EQ(::mkdir((temporary.path() / "new").c_str(), 0700), 0);
}

}  // namespace
}  // namespace poplar::process
