// Holds docs/reference/admin-api.md and admin-api.ts against the declarations. POPLAR_WRITE_PAGES=1 writes them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "admin/api.h"

namespace poplar::admin {
namespace {

void expect_page(const std::string& name, const std::string& made) {
    const auto path = std::string(POPLAR_SOURCE_DIR "/docs/reference/") + name;
    if (std::getenv("POPLAR_WRITE_PAGES")) std::ofstream(path) << made;
    std::ifstream in(path);
    std::stringstream there;
    there << in.rdbuf();
    EXPECT_TRUE(there.str() == made) << name << " is not what is made from src/api/: run scripts/make-pages";
}

TEST(MadePages, AdminApiPageIsUpToDate) { expect_page("admin-api.md", api::markdown_page(operations())); }

TEST(MadePages, TypescriptIsUpToDate) { expect_page("admin-api.ts", api::typescript_file(operations())); }

TEST(Operations, EachHasWordsAndARouteOfItsOwn) {
    std::vector<std::pair<std::string_view, api::Method>> seen;
    for (const auto& group : operations())
        for (const auto* operation : group.operations) {
            EXPECT_FALSE(operation->request.words.empty()) << operation->route;
            EXPECT_TRUE(operation->route.starts_with("/v1/")) << operation->route;
            auto key = std::pair(operation->route, operation->method);
            EXPECT_EQ(std::ranges::find(seen, key), seen.end()) << operation->route;
            seen.push_back(key);
            for (const auto& member : operation->request.members) EXPECT_FALSE(member.words.empty()) << member.name;
        }
    EXPECT_GT(seen.size(), 20u);
}

}  // namespace
}  // namespace poplar::admin
