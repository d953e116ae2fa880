#pragma once
// The page and the types that are made from the declarations: docs/reference/admin-api.md and admin-api.ts. A test
// holds the files against what is made (tests/admin/pages_test.cc); POPLAR_WRITE_PAGES=1 makes it write them.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/operation.h"

namespace poplar::api {

/// Operations that belong together.
struct Group {
    std::string_view title;  ///< "Accounts"
    std::string_view words;  ///< text for all of them, in Markdown
    std::vector<const Operation*> operations;
};

std::string markdown_page(std::span<const Group> groups);
std::string typescript_file(std::span<const Group> groups);

}  // namespace poplar::api
