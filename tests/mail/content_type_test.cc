#include "mail/content_type.h"

#include <gtest/gtest.h>

#include <string>

namespace poplar::mail {
namespace {

using Kind = ContentType::Kind;

TEST(ContentType, TellsWhatHasPartsAndTheirBoundary) {
    struct Case {
        std::string value;
        Kind kind;
        std::string boundary;
    };
    const std::string longest(70, 'b');
    for (const auto& [value, kind, boundary] : {
             Case{" text/plain; charset=utf-8", Kind::leaf, ""},
             {" multipart/mixed; boundary=abc\r\n", Kind::multipart, "abc"},
             {"Multipart/Mixed;\r\n\tBOUNDARY=\"a b;=\"\r\n", Kind::multipart, "a b;="},
             {" multipart/mixed ; charset=\"; boundary=no\" ; boundary = (comment) \"a\\\"b\" (more)", Kind::multipart,
              "a\"b"},
             {" (a (nested\\)) comment) multipart/digest; boundary=d", Kind::digest, "d"},
             {" message/rfc822", Kind::message, ""},
             {" MESSAGE/Global; x=y", Kind::message, ""},
             {" message/partial", Kind::leaf, ""},
             {" message/delivery-status", Kind::fields, ""},
             {" message/global-headers", Kind::fields, ""},
             {" multipart/mixed; boundary=" + longest, Kind::multipart, longest},
             {" multipart/mixed; boundary=" + longest + "b", Kind::leaf, ""},
             {" multipart/mixed", Kind::leaf, ""},
             {" multipart/mixed; boundary=", Kind::leaf, ""},
             {" multipart/mixed; boundary=\"\"", Kind::leaf, ""},
             {" multipart/mixed; boundary=\"a \"", Kind::leaf, ""},
             {" multipart/mixed; boundary=\u00fc", Kind::multipart, "\u00fc"},
             {" multipart/mixed; boundary=\"\xfc\"", Kind::multipart, "\xfc"},
             {" multipart/mixed; boundary=\"a\x7f\"", Kind::leaf, ""},
             {" multipart/signed; boundary=abc", Kind::signed_multipart, "abc"},
             {" multipart/signed-by-nobody; boundary=abc", Kind::multipart, "abc"},
             {" multipart/mixed; boundary=\"a\"b; boundary=c", Kind::leaf, ""},
             {" multipart/mixed; boundary*=utf-8''a; boundary=c", Kind::leaf, ""},
             {" multipart/mixed; xboundary=a; boundaryx=b", Kind::leaf, ""},
             {"", Kind::leaf, ""},
             {" (unclosed multipart/mixed; boundary=a", Kind::leaf, ""},
         }) {
        const auto type = parse_content_type(value);
        EXPECT_EQ(static_cast<int>(type.kind), static_cast<int>(kind)) << value;
        if (!boundary.empty()) EXPECT_EQ(type.boundary(), boundary) << value;
    }
}

}  // namespace
}  // namespace poplar::mail
