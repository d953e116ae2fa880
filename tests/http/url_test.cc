#include "http/url.h"

#include <gtest/gtest.h>

namespace poplar::http {
namespace {

TEST(Url, IsTakenApart) {
    struct Case {
        std::string_view text, host, port, target;
        bool tls;
    };
    for (auto [text, host, port, target, tls] :
         {Case{"https://id.example.org/check", "id.example.org", "443", "/check", true},
          {"http://127.0.0.1:8080", "127.0.0.1", "8080", "/", false},
          {"http://[::1]:81/a?b=c", "::1", "81", "/a?b=c", false},
          {"https://[::1]", "::1", "443", "/", true}}) {
        auto url = parse_url(text);
        ASSERT_TRUE(url) << text;
        EXPECT_EQ(url->host, host);
        EXPECT_EQ(url->port, port);
        EXPECT_EQ(url->target, target);
        EXPECT_EQ(url->tls, tls);
    }
    for (std::string_view wrong :
         {"", "ftp://x/", "https://", "https://x:y/", "https://x:/", "https://x:70000/", "https://a@b/", "https://x/#f",
          "https://x y/", "https://[::1/", "https://[::1]x/", "https://x:123456/"})
        EXPECT_FALSE(parse_url(wrong)) << wrong;
}

}  // namespace
}  // namespace poplar::http
