#pragma once
// Asks rspamd what it thinks of a message.
#include <memory>

#include "base/error.h"
#include "delivery/inspector.h"
#include "http/client.h"
#include "inspection/options.h"
#include "inspection/rspamd_reply.h"

namespace poplar::inspection {

/// A user's mail gets no marks of ours, because its readers have filters of their own.
enum class Sender : std::uint8_t { stranger, user };

/// Turns rspamd's answer into the fate of the message.
delivery::Judgement judgement_of(const RspamdReply& reply, Sender sender);

/// Teaches rspamd.
class RspamdTeacher {
public:
    enum class Lesson : std::uint8_t { spam, ham };
    /// `options.controller` is not empty. Errors: invalid.
    static Result<std::unique_ptr<RspamdTeacher>> make(const RspamdOptions& options);
    /// What it knows already is no failure. Errors: io (it does not answer, or refuses); the detail has its words.
    Task<Result<>> teach(Lesson lesson, std::unique_ptr<engine::BodyReader> wire, std::uint64_t octets) const;

private:
    RspamdTeacher(const RspamdOptions& options, std::shared_ptr<const http::Origin> origin, std::string target)
        : options_(options), origin_(std::move(origin)), target_(std::move(target)) {}

    const RspamdOptions options_;
    const std::shared_ptr<const http::Origin> origin_;
    const std::string target_;
};

class Rspamd final : public delivery::Inspector {
public:
    /// `options.url` is not empty. Errors: invalid.
    static Result<std::unique_ptr<Rspamd>> make(const RspamdOptions& options);
    Task<delivery::Judgement> judge(std::shared_ptr<const delivery::Envelope> envelope,
                                    std::unique_ptr<engine::BodyReader> wire, std::uint64_t octets) override;

private:
    Rspamd(const RspamdOptions& options, std::shared_ptr<const http::Origin> origin, std::string target)
        : options_(options), origin_(std::move(origin)), target_(std::move(target)) {}
    Task<Result<RspamdReply>> ask(std::shared_ptr<const delivery::Envelope> envelope,
                                  std::unique_ptr<engine::BodyReader> wire, std::uint64_t octets);

    const RspamdOptions options_;
    const std::shared_ptr<const http::Origin> origin_;
    const std::string target_;
};

}  // namespace poplar::inspection
