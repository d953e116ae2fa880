#pragma once
// Shows each message to a milter: a program that Sendmail and Postfix would ask as well.
//
// All steps are gone through when the message has come, in the order of a session. So a program that refuses the
// client, the sender or a recipient refuses the message.
#include <chrono>
#include <string>

#include "base/error.h"
#include "delivery/inspector.h"
#include "inspection/milter_protocol.h"
#include "inspection/options.h"

namespace poplar::inspection {

/// A place where a program listens.
struct MilterPlace {
    std::string path;  ///< of a local socket; "": `address` and `port`
    std::string address;
    std::uint16_t port = 0;
    bool operator==(const MilterPlace&) const = default;
};
/// "inet:127.0.0.1:11391", "inet6:[::1]:11391", or "unix:/run/x.sock". Errors: invalid.
Result<MilterPlace> parse_milter_place(std::string_view text);

class Milter final : public delivery::Inspector {
public:
    /// Errors: invalid (options.socket).
    static Result<std::unique_ptr<Milter>> make(const MilterOptions& options);
    Task<delivery::Judgement> judge(std::shared_ptr<const delivery::Envelope> envelope,
                                    std::unique_ptr<engine::BodyReader> wire, std::uint64_t octets) override;

private:
    Milter(const MilterOptions& options, MilterPlace place) : options_(options), place_(std::move(place)) {}

    const MilterOptions options_;
    const MilterPlace place_;
};

}  // namespace poplar::inspection
