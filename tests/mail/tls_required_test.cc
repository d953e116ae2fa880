#include "mail/tls_required.h"

#include <gtest/gtest.h>

namespace poplar::mail {
namespace {

TEST(TlsRequired, TheFieldIsFoundInTheHeaderAlone) {
    struct Case {
        std::string_view message;
        bool says_no;
    };
    for (const auto& [message, says_no] : {Case{"Subject: x\r\nTLS-Required: No\r\n\r\ntext\r\n", true},
                                           {"tls-required:no\r\n\r\n", true},
                                           {"TLS-Required:\r\n No\r\nTo: x\r\n\r\n", true},
                                           {"TLS-Required: Yes\r\n\r\n", false},
                                           {"TLS-Required: No, please\r\n\r\n", false},
                                           {"X-TLS-Required: No\r\n\r\n", false},
                                           {"Subject: x\r\n TLS-Required: No\r\n\r\n", false},
                                           {"Subject: x\r\n\r\nTLS-Required: No\r\n\r\n", false},
                                           {"", false}})
        for (const std::size_t step : {1u, 3u, 1000u}) {
            TlsRequiredFinder finder;
            for (auto rest = message; !rest.empty(); rest.remove_prefix(std::min(step, rest.size())))
                finder.feed(rest.substr(0, step));
            EXPECT_EQ(finder.says_no(), says_no) << message << " in pieces of " << step;
        }
}

}  // namespace
}  // namespace poplar::mail
