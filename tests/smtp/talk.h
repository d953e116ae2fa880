#pragma once
// Plays scripts to an SMTP or LMTP session over a mail system in memory.
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "smtp/session.h"
#include "tests/delivery/world.h"
#include "tests/support/script_connection.h"

namespace poplar::test {

inline smtp::Options options_for(smtp::Protocol protocol) {
    auto options = smtp::defaults(protocol);
    options.hostname = "mail.example.test";
    return options;
}

/// A TLS context to offer; the scripted peer never looks into it.
inline std::shared_ptr<const net::TlsContext> any_tls() {
    static const std::max_align_t nothing{};
    return {std::shared_ptr<const void>(), reinterpret_cast<const net::TlsContext*>(&nothing)};
}

inline Transcript talk(World& world, ScriptConnection::Script script,
                       const smtp::Options& options = options_for(smtp::Protocol::smtp),
                       smtp::UnknownRecipients* unknown = nullptr, Budget* envelopes = nullptr,
                       Budget* unfinished = nullptr) {
    auto transcript = std::make_shared<Transcript>();
    smtp::Services services{world.delivery, unknown, envelopes, unfinished};
    run(smtp::serve(std::make_unique<ScriptConnection>(std::move(script), transcript), services, options, "s1"));
    EXPECT_TRUE(transcript->closed);
    return *transcript;
}

/// Sends all of `input` in one packet.
inline Transcript talk(World& world, std::string input,
                       const smtp::Options& options = options_for(smtp::Protocol::smtp)) {
    return talk(world, ScriptConnection::Script{.flights = {std::move(input)}}, options);
}

/// The replies without their texts: "250 2.1.0", or "250" without an enhanced code. A reply of several lines counts
/// once. A line that is no reply stands as it is.
inline std::vector<std::string> codes(const std::string& output) {
    std::vector<std::string> found;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
        if (!line.ends_with('\r') || line.size() < 5) {
            found.push_back("broken: " + line);
            continue;
        }
        if (line[3] == '-') continue;
        auto word = line.substr(4, line.find_first_of(" \r", 4) - 4);
        bool enhanced = word.size() == 5 && word[0] == line[0] && word[1] == '.' && word[3] == '.';
        found.push_back(line.substr(0, 3) + (enhanced ? " " + word : ""));
    }
    return found;
}

/// The same after the greeting and the reply to EHLO, joined for one-line tables.
inline std::string after_hello(const std::string& output) {
    auto found = codes(output);
    std::string joined;
    for (std::size_t i = 2; i < found.size(); ++i) joined += (i > 2 ? ", " : "") + found[i];
    return joined;
}

inline const std::string kHello = "EHLO client.example\r\n";
inline const std::string kEnvelope = "MAIL FROM:<sender@remote.example>\r\nRCPT TO:<demo@example.test>\r\n";
inline const std::string kText = "Subject: hello\r\n\r\nA line\r\n";

}  // namespace poplar::test
