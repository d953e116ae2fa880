#pragma once
// A message on its way in: its octets pass the checks and the limits into the store, then its copies are made.
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "delivery/copies.h"
#include "delivery/delivery.h"
#include "delivery/dispatch.h"
#include "delivery/envelope.h"
#include "delivery/filter.h"
#include "delivery/greylist.h"
#include "delivery/inspector.h"
#include "delivery/sent_copies.h"
#include "delivery/stranger_checks.h"
#include "delivery/verdict.h"
#include "directory/directory.h"
#include "mail/downgrade.h"
#include "mail/header_mender.h"
#include "mail/submission_filter.h"
#include "mail/tls_required.h"
#include "mailstore/mail_store.h"
#include "queue/queue.h"
#include "screening/signing.h"

namespace poplar::delivery {

/// What incoming messages use; all outlive them.
struct IncomingServices {
    mailstore::MailStore& store;
    directory::Directory& directory;
    Filter& filter;
    Dispatch& dispatch;
    const Clock& clock;
    const Limits& limits;
    queue::Queue* queue;  ///< null: nothing leaves
    const std::vector<Inspector*>& inspectors;
    const screening::KeyRing* ring;       ///< null: nothing is signed
    const screening::Screener* screener;  ///< null: nothing is checked
    Greylist* greylist;                   ///< null: nobody has to come twice
    SentCopies& sent;
};

class IncomingMessage final : public Incoming {
public:
    IncomingMessage(std::shared_ptr<Envelope> envelope, std::unique_ptr<mailstore::ContentWriter> writer,
                    const IncomingServices& services);

    std::span<char> room() override { return writer_->room(); }
    Task<std::expected<void, Verdict>> write(std::string_view wire) override;
    Task<std::expected<std::vector<Verdict>, Verdict>> finish(mail::WireSizes sizes) override;

private:
    const Submitter* submitter() const;
    std::unexpected<Verdict> too_large() const;
    std::string_view filtered(std::string_view wire);
    Task<std::expected<void, Verdict>> keep(std::string_view wire);
    Task<std::expected<void, Verdict>> finish_header();
    Task<std::expected<void, Verdict>> check_header();
    Task<std::expected<void, Verdict>> check_author();
    Task<std::expected<void, Verdict>> check_stranger();
    Task<std::expected<void, Verdict>> check_greylist();
    void complete_header();
    std::size_t other_copies() const;
    bool wants_inspection() const;
    Task<std::expected<void, Verdict>> inspect(Inspector& inspector, mailstore::Content& content, std::size_t accounts);
    Task<Result<>> read_again(const mailstore::Content& content);
    std::string sealed_head() const;
    Task<Result<>> enqueue(const CheckedMessage& checked);
    Task<> keep_copy(const CheckedMessage& checked);

    const std::shared_ptr<Envelope> envelope_;
    const std::unique_ptr<mailstore::ContentWriter> writer_;
    const IncomingServices services_;
    CheckedMessage message_;                            // what is known of it; finish() moves it on
    std::unique_ptr<screening::MessageSigner> signer_;  // of what leaves in our own name
    std::unique_ptr<StrangerChecks> checks_;            // of what comes from outside, if it is checked
    mail::HeaderMender mender_;
    std::optional<mail::SubmissionFilter> submitted_;      // of mail that somebody submits
    bool keeps_copy_ = false;                              // among the submitter's sent mail
    std::optional<mail::TlsRequiredFinder> tls_required_;  // of mail that leaves
    bool more_than_one_author_ = false, eight_bit_ = false;
    mail::Downgrader downgrader_;
    std::uint64_t wire_octets_ = 0;
};

}  // namespace poplar::delivery
