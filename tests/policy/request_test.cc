// Postfix's questions, read line by line.
#include "policy/request.h"

#include <gtest/gtest.h>

#include <vector>

namespace poplar::policy {
namespace {

/// Takes all lines; "whole" if the last one ended the request, else "more" or the failure's text.
std::string take(RequestReader& reader, const std::vector<std::string>& lines) {
    std::string state = "more";
    for (const auto& line : lines) {
        auto whole = reader.take(line);
        if (!whole) return whole.error().detail();
        state = *whole ? "whole" : "more";
    }
    return state;
}

TEST(PolicyRequest, IsWholeAtTheEmptyLine) {
    RequestReader reader;
    EXPECT_EQ(take(reader, {"request=smtpd_access_policy", "protocol_state=RCPT", "sender=", "x-new.attribute_2=a=b",
                            "recipient=jane=doe@example.org", "size=1234", "a name/with: signs=x"}),
              "more");
    EXPECT_EQ(take(reader, {""}), "whole");
    const auto request = reader.finish();
    EXPECT_EQ(request.type, "smtpd_access_policy");
    EXPECT_EQ(request.state, "RCPT");
    EXPECT_EQ(request.recipient, "jane=doe@example.org");
    EXPECT_EQ(request.size, 1234u);
    EXPECT_EQ(take(reader, {"request=other", ""}), "whole") << "the reader begins anew";
    const auto second = reader.finish();
    EXPECT_EQ(second.recipient, "");
    EXPECT_EQ(second.size, std::nullopt);
}

TEST(PolicyRequest, SizeThatPostfixDoesNotKnowIsZero) {
    for (const auto& [line, size] : {std::pair<std::string, std::optional<std::uint64_t>>{"size=0", std::nullopt},
                                     {"size=", std::nullopt},
                                     {"size=1", 1},
                                     {"size=18446744073709551615", ~0ull}}) {
        RequestReader reader;
        EXPECT_EQ(take(reader, {line, ""}), "whole") << line;
        EXPECT_EQ(reader.finish().size, size) << line;
    }
}

TEST(PolicyRequest, LastOfSeveralValuesCounts) {
    RequestReader reader;
    EXPECT_EQ(take(reader, {"size=5", "recipient=a@example.org", "recipient=b@example.org", "size=0", ""}), "whole");
    const auto request = reader.finish();
    EXPECT_EQ(request.recipient, "b@example.org");
    EXPECT_EQ(request.size, std::nullopt);
}

TEST(PolicyRequest, RefusesWhatIsNone) {
    std::vector<std::string> many;
    for (std::size_t n = 0; n <= kAttributeLimit; ++n) many.push_back("a" + std::to_string(n) + "=");
    for (const auto& [lines, why] :
         {std::pair<std::vector<std::string>, std::string>{{""}, "a request without attributes"},
          {{"GET / HTTP/1.1"}, "a line that is no attribute"},
          {{"=x"}, "a line that is no attribute"},
          {{std::string("a\0b=x", 5)}, "a line that is no attribute"},
          {{std::string("a=\0x", 4)}, "a line that is no attribute"},
          {{std::string(kNameLimit + 1, 'a') + "=x"}, "a line that is no attribute"},
          {{"size=1x"}, "a size that is no number"},
          {{"size=-1"}, "a size that is no number"},
          {{"size=18446744073709551616"}, "a size that is no number"},
          {many, "too many attributes"}}) {
        RequestReader reader;
        EXPECT_EQ(take(reader, lines), why);
    }
}

}  // namespace
}  // namespace poplar::policy
