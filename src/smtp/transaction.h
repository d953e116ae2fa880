#pragma once
// One mail transaction: from MAIL to the last octet of its message and what became of it (RFC 5321 s3.3).
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/budget.h"
#include "delivery/delivery.h"
#include "smtp/command.h"
#include "smtp/session.h"

namespace poplar::smtp {

/// How long a client may still take for its message. There is a limit for the whole message, and a stock of time that
/// waiting uses up and octets fill again.
class ReadTime {
public:
    explicit ReadTime(const Timeouts& timeouts)
        : timeouts_(timeouts), end_(waits_since_ + timeouts.message), left_(timeouts.data_block) {}
    /// The server waits for the client from now on.
    void resume() { waits_since_ = SteadyClock::now(); }
    std::optional<std::chrono::seconds> left() const;  ///< for the next read; none: the client's time is over
    void came() { left_ -= waited(SteadyClock::now()); }
    void took(std::uint64_t octets);

private:
    SteadyClock::duration waited(SteadyTime now) const;

    const Timeouts& timeouts_;
    SteadyTime waits_since_ = SteadyClock::now();
    SteadyTime end_;
    SteadyClock::duration left_;  // the stock of time
};

class Transaction {
public:
    /// All but `mail` outlive it.
    Transaction(const Services& services, const Options& options, const net::Peer& peer, Mail mail);

    const std::string& id() const { return id_; }  ///< ours, in Received, in the reply and in the log
    const Mail& mail() const { return mail_; }
    const std::string& reverse_path() const { return envelope_->reverse_path; }
    const std::vector<delivery::Recipient>& recipients() const { return envelope_->recipients; }
    /// How many accounts and addresses elsewhere the recipients lead to.
    std::size_t destinations() const { return envelope_->destinations(); }
    bool in_chunks() const { return time_ && in_chunks_; }
    std::uint64_t octets() const;  ///< of the message so far

    /// Somebody who has logged in submits the message. To be called before anything is added.
    void submit(std::shared_ptr<delivery::Sending> sending) { envelope_->sending = std::move(sending); }
    delivery::Sending* sending() const { return envelope_->sending.get(); }
    /// The operator trusts the client.
    void trust_client() { envelope_->known_client = true; }
    /// A recipient, and where its mail goes. False: there is no memory for it, and it was not added.
    bool add(const Rcpt& rcpt, const directory::Resolution& resolution, std::string mailbox, delivery::Room room = {});
    /// One elsewhere, by the address that its mail goes to.
    bool add_elsewhere(const Rcpt& rcpt, std::string address);
    delivery::RoomView room() const { return envelope_->room; }  ///< that is kept for its recipients so far
    /// Whether a recipient's room may turn out too small.
    bool is_uncertain() const { return delivery::is_uncertain(envelope_->room); }
    /// From now on octets are taken. `received` lacks only the id.
    void begin_data(mail::Received received);
    void begin_chunks(mail::Received received);
    /// A chunk was refused and is missing from the message, so the whole transaction fails (RFC 3030 s2).
    void fail_chunks();

    /// Reads what follows DATA up to its end, or one whole BDAT chunk, even if the message is refused meanwhile: the
    /// refusal is told afterwards. Errors: the connection's.
    Task<Result<>> read_data(net::Connection& connection);
    Task<Result<>> read_chunk(net::Connection& connection, std::uint64_t octets);
    std::optional<Reply> refusal() const { return refusal_; }
    const std::string& reason() const { return reason_; }  ///< of the refusal, for the log; may be empty

    /// To be called after the last octet: stores the message. One reply a recipient, in order; kStored only if it is
    /// durable.
    Task<std::vector<Reply>> store();
    /// Of a recipient, by number, whose filter refused the message: the reason. Else "".
    std::string_view rejection(std::size_t recipient) const {
        const auto found = rejections_.find(recipient);
        return found == rejections_.end() ? std::string_view() : std::string_view(found->second);
    }

private:
    Task<> take(std::string_view wire);
    bool reserve();
    bool reserve_memory(std::size_t more);
    void ask_for_reports();
    void refuse(Reply reply, std::string_view why = {});

    const Services& services_;
    const Options& options_;
    const net::Peer& peer_;
    Mail mail_;
    std::string id_;
    Budget::Holding memory_;      // of the envelope
    Budget::Holding unfinished_;  // octets of the message, in memory or on the disk
    std::shared_ptr<delivery::Envelope> envelope_ = std::make_shared<delivery::Envelope>();
    std::optional<ReadTime> time_;  // since octets were first taken
    bool in_chunks_ = false;
    std::unique_ptr<delivery::Incoming> incoming_;  // null before the message begins and after a refusal
    mail::DataDecoder decoder_;
    mail::WireEncoder encoder_;
    std::string wire_;  // one block in wire form, if decoding or encoding changed its octets
    std::optional<Reply> refusal_;
    std::string reason_;
    std::map<std::size_t, std::string> rejections_;  // by recipient
};

/// Reads `octets` octets and forgets them. Errors: the connection's.
Task<Result<>> swallow(net::Connection& connection, std::uint64_t octets, const Timeouts& timeouts);

/// The only place where a verdict becomes a reply.
Reply reply_for(const delivery::Verdict& verdict);

/// SMTP has one reply for all recipients (RFC 5321 s4.1.1.4): 250 only if all of them have the message, otherwise the
/// first temporary failure, otherwise the first failure. After a temporary one the client sends the message again, and
/// recipients who have it already get it twice. That is better than never, and better than remembering strangers'
/// messages.
Reply one_reply(const std::vector<Reply>& replies);

}  // namespace poplar::smtp
