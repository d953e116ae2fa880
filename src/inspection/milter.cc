#include "inspection/milter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "base/log.h"
#include "base/steady.h"
#include "delivery/delivery.h"
#include "mail/header_walk.h"
#include "mail/wire_form.h"

namespace poplar::inspection {

namespace {

using milter::Answer;
using milter::Packet;
using milter::Terms;
using Kind = Answer::Kind;
using Judgement = delivery::Judgement;

constexpr auto kValues = asio::as_tuple(use_awaitable);
constexpr std::size_t kReadOctets = 16 * 1024;
constexpr int kMostTimeouts = 10;  // that all steps of a message may take together
constexpr int kMostWaits = 60;     // times that a program may say that it is still at work

/// A connection to the program, with a deadline for each call. Errors: timed_out, closed, invalid, io.
class Link {
public:
    Link(const Executor& executor, std::chrono::milliseconds timeout)
        : socket_(std::make_shared<Socket>(executor)),
          timer_(executor),
          timeout_(timeout),
          end_(SteadyClock::now() + kMostTimeouts * timeout) {}

    Task<Result<>> connect(MilterPlace place) {
        boost::system::error_code error;
        asio::generic::stream_protocol::endpoint endpoint;
        if (place.path.empty())
            endpoint = asio::ip::tcp::endpoint(asio::ip::make_address(place.address, error), place.port);
        else
            endpoint = asio::local::stream_protocol::endpoint(place.path);
        if (error) co_return fail(Errc::invalid, error.message());
        start_timer();
        auto [failed] = co_await socket_->async_connect(endpoint, kValues);
        timer_.cancel();
        if (failed) co_return failure(failed);
        co_return Result<>();
    }
    Task<Result<>> send(char command, std::string data) {
        const auto packet = milter::encode(command, data);
        start_timer();
        auto [failed, octets] = co_await asio::async_write(*socket_, asio::buffer(packet), kValues);
        timer_.cancel();
        if (failed) co_return failure(failed);
        co_return Result<>();
    }
    Task<Result<Packet>> read() {
        start_timer();
        for (;;) {
            auto packet = milter::take_packet(input_);
            if (!packet || *packet) {
                timer_.cancel();
                if (!packet) co_return pass_on(packet);
                co_return std::move(**packet);
            }
            std::array<char, kReadOctets> block;
            auto [failed, octets] = co_await socket_->async_read_some(asio::buffer(block), kValues);
            input_.append(block.data(), octets);
            if (failed) {
                timer_.cancel();
                co_return failure(failed);
            }
        }
    }

private:
    using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;

    void start_timer() {
        timer_.expires_at(std::min(SteadyClock::now() + timeout_, end_));
        timer_.async_wait([weak = std::weak_ptr(socket_), expired = expired_](boost::system::error_code cancelled) {
            const auto socket = weak.lock();
            if (cancelled || !socket) return;
            *expired = true;
            boost::system::error_code ignored;
            socket->close(ignored);
        });
    }
    std::unexpected<Error> failure(const boost::system::error_code& error) const {
        if (*expired_) return fail(Errc::timed_out, "no answer in time");
        if (error == asio::error::eof) return fail(Errc::closed, "the program has closed the connection");
        return fail(Errc::io, error.message());
    }

    std::shared_ptr<Socket> socket_;
    SteadyTimer timer_;
    const std::chrono::milliseconds timeout_;
    const SteadyTime end_;  // of all steps together
    const std::shared_ptr<bool> expired_ = std::make_shared<bool>(false);
    std::string input_;
};

/// One message, from the first step to the program's last word.
class Conversation {
public:
    Conversation(const Executor& executor, std::chrono::milliseconds timeout,
                 std::shared_ptr<const delivery::Envelope> envelope)
        : link_(executor, timeout), envelope_(std::move(envelope)) {}

    Task<Result<Judgement>> hold(MilterPlace place, std::unique_ptr<engine::BodyReader> wire) {
        if (auto connected = co_await link_.connect(std::move(place)); !connected) co_return pass_on(connected);
        if (auto agreed = co_await agree(); !agreed) co_return pass_on(agreed);
        auto answer = co_await tell_envelope();
        std::string rest;  // of the body: what came with the header's end
        if (answer && goes_on(*answer)) answer = co_await tell_header(*wire, rest);
        if (answer && goes_on(*answer)) answer = co_await tell_body(*wire, std::move(rest));
        if (answer && (goes_on(*answer) || answer->kind == Kind::skip)) answer = co_await end();
        if (!answer) co_return pass_on(answer);
        (void)co_await link_.send('Q', "");  // a program that is gone by now has said all
        co_return judgement_of(*answer);
    }

private:
    static bool goes_on(const Answer& answer) { return answer.kind == Kind::go_on; }

    Task<Result<>> agree() {
        if (auto sent = co_await link_.send('O', milter::offer()); !sent) co_return sent;
        auto packet = co_await link_.read();
        if (!packet) co_return pass_on(packet);
        auto terms = milter::parse_terms(*packet);
        if (!terms) co_return pass_on(terms);
        terms_ = *terms;
        co_return Result<>();
    }

    /// The next answer. `changes`: at the end of the message, when there may be some before it.
    Task<Result<Answer>> answer(milter::Changes* changes = nullptr) {
        std::size_t most = milter::kMostFields + milter::kMostBody / 1024;  // packets before it
        for (int waits = 0; most-- > 0;) {
            auto packet = co_await link_.read();
            if (!packet) co_return pass_on(packet);
            auto parsed = milter::parse_answer(*packet);
            if (!parsed) co_return parsed;
            if (parsed->kind == Kind::wait) {
                if (++waits > kMostWaits) break;
            } else if (parsed->kind != Kind::change) {
                co_return parsed;
            } else if (!changes) {
                co_return fail(Errc::invalid, "the program wants a change before the message's end");
            } else if (auto applied = changes->apply(*packet); !applied) {
                co_return pass_on(applied);
            }
        }
        co_return fail(Errc::timed_out, "the program comes to no end");
    }

    /// One step, if the program wants it: its macros, and the answer if it gives one.
    Task<Result<Answer>> step(char command, std::string data, milter::Step without, milter::Step quiet,
                              std::vector<std::pair<std::string_view, std::string>> macros = {}) {
        if (terms_.has(without)) co_return Answer();
        if (!macros.empty())
            if (auto sent = co_await link_.send('D', milter::macros(command, macros)); !sent) co_return pass_on(sent);
        if (auto sent = co_await link_.send(command, std::move(data)); !sent) co_return pass_on(sent);
        if (terms_.has(quiet)) co_return Answer();
        auto said = co_await answer();
        if (said && said->kind == Kind::skip && command != 'B')
            co_return fail(Errc::invalid, "the program skips the body before it has come");
        co_return said;
    }

    std::string client() const {
        const auto& peer = envelope_->received.peer;
        boost::system::error_code error;
        const auto address = asio::ip::make_address(peer, error);
        if (error) return milter::strings({"localhost"}) + "U";
        std::string data = milter::strings({fmt::format("[{}]", peer)});
        data += address.is_v6() ? '6' : '4';
        data += std::string(2, '\0');  // its port, which nobody noted
        return data + milter::strings({address.is_v6() ? "IPv6:" + peer : peer});
    }

    Task<Result<Answer>> tell_envelope() {
        const auto& received = envelope_->received;
        const auto* who =
            envelope_->sending && envelope_->sending->submitter ? &*envelope_->sending->submitter : nullptr;
        using milter::Step;
        auto answer = co_await step('C', client(), Step::no_connect, Step::quiet_connect,
                                    {{"j", received.by},
                                     {"{daemon_name}", who ? "submission" : "smtp"},
                                     {"{if_name}", received.by},
                                     {"v", "Poplar"}});
        if (!answer || !goes_on(*answer)) co_return answer;
        answer =
            co_await step('H', milter::strings({received.helo.empty() ? "localhost" : received.helo}), Step::no_helo,
                          Step::quiet_helo, {{"{tls_version}", received.tls.substr(0, received.tls.find(' '))}});
        if (!answer || !goes_on(*answer)) co_return answer;
        answer =
            co_await step('M', milter::strings({"<" + envelope_->reverse_path + ">"}), Step::no_mail, Step::quiet_mail,
                          {{"i", received.id},
                           {"{mail_addr}", envelope_->reverse_path},
                           {"{auth_authen}", who ? who->address : ""},
                           {"{auth_type}", who ? "LOGIN" : ""}});
        if (!answer || !goes_on(*answer)) co_return answer;
        // They were taken long ago: one that the program refuses alone is passed over, lest the others' mail is
        // refused.
        std::size_t refusals = 0;
        std::optional<Answer> refusal;
        for (const auto& recipient : envelope_->recipients) {
            answer = co_await step('R', milter::strings({"<" + recipient.address + ">"}), Step::no_recipients,
                                   Step::quiet_recipient, {{"{rcpt_addr}", recipient.address}});
            if (!answer) co_return answer;
            if (answer->kind == Kind::reject || answer->kind == Kind::defer) {
                ++refusals;
                if (!refusal || answer->kind == Kind::defer) refusal = *answer;
            } else if (!goes_on(*answer)) {
                co_return answer;
            }
        }
        if (refusals != 0 && refusals == envelope_->recipients.size()) co_return *refusal;
        if (terms_.version < 4) co_return Answer();  // which knows no such step
        co_return co_await step('T', "", Step::no_data, Step::quiet_data);
    }

    Task<Result<Answer>> tell_header(engine::BodyReader& wire, std::string& rest) {
        mail::HeaderWalk walk;
        std::string plain;
        while (!walk.in_body() && plain.size() <= milter::kMostHeader) {
            auto chunk = co_await wire.next();
            if (!chunk) co_return pass_on(chunk);
            if (chunk->empty()) break;
            const auto before = plain.size();
            decoder_.decode(*chunk, plain);
            walk.feed(std::string_view(plain).substr(before));
        }
        const auto octets = static_cast<std::size_t>(std::min<std::uint64_t>(walk.header_octets(), plain.size()));
        if (octets > milter::kMostHeader) co_return fail(Errc::invalid, "the header is too large to be shown");
        changes_.emplace(std::string_view(plain).substr(0, octets), terms_);
        rest = plain.substr(octets);
        for (const auto& field : changes_->fields()) {
            auto answer =
                co_await step('L', milter::header_data(field, terms_), milter::no_headers, milter::quiet_header);
            if (!answer || !goes_on(*answer)) co_return answer;
        }
        co_return co_await step('N', "", milter::no_end_of_headers, milter::quiet_end_of_headers);
    }

    Task<Result<Answer>> tell_body(engine::BodyReader& wire, std::string plain) {
        if (terms_.has(milter::no_body)) co_return Answer();
        for (;;) {
            for (auto left = std::string_view(plain); !left.empty();
                 left.remove_prefix(std::min(milter::kBodyChunk, left.size()))) {
                auto answer = co_await step('B', std::string(left.substr(0, milter::kBodyChunk)), milter::no_body,
                                            milter::quiet_body);
                if (!answer || !goes_on(*answer)) co_return answer;
            }
            auto chunk = co_await wire.next();
            if (!chunk) co_return pass_on(chunk);
            if (chunk->empty()) co_return Answer();
            plain.clear();
            decoder_.decode(*chunk, plain);
        }
    }

    Task<Result<Answer>> end() {
        if (auto sent = co_await link_.send('D', milter::macros('E', {{"i", envelope_->received.id}})); !sent)
            co_return pass_on(sent);
        if (auto sent = co_await link_.send('E', ""); !sent) co_return pass_on(sent);
        auto last = co_await answer(&*changes_);
        at_end_ = last.has_value();
        co_return last;
    }

    Judgement judgement_of(const Answer& answer) {
        Judgement judgement;
        switch (answer.kind) {
            case Kind::reject:
                judgement.action = Judgement::Action::reject;
                judgement.text = answer.text.empty() ? "A filter refuses the message" : answer.text;
                return judgement;
            case Kind::defer:
                judgement.action = Judgement::Action::defer;
                judgement.text = answer.text.empty() ? "Try again later" : answer.text;
                return judgement;
            case Kind::discard: judgement.junk = true; return judgement;  // mail is never lost
            default: break;
        }
        if (!at_end_) return judgement;
        judgement.junk = changes_->quarantined();
        if (changes_->header_changed()) judgement.header = changes_->header();
        if (changes_->body()) judgement.body = std::make_shared<const std::string>(*changes_->body());
        return judgement;
    }

    Link link_;
    const std::shared_ptr<const delivery::Envelope> envelope_;
    Terms terms_;
    mail::WireDecoder decoder_;
    std::optional<milter::Changes> changes_;
    bool at_end_ = false;  // it has seen the whole message
};

std::string_view name_of(const Judgement& judgement) {
    if (judgement.action == Judgement::Action::reject) return "reject";
    if (judgement.action == Judgement::Action::defer) return "defer";
    if (judgement.junk) return "quarantine";
    return judgement.header || judgement.body ? "change" : "accept";
}

}  // namespace

Result<MilterPlace> parse_milter_place(std::string_view text) {
    const auto wrong = [&] {
        return fail(Errc::invalid, fmt::format("\"{}\" is neither \"inet:ADDRESS:PORT\" nor \"unix:/PATH\"", text));
    };
    const auto colon = text.find(':');
    const auto kind = text.substr(0, colon);
    if (colon == text.npos) return wrong();
    auto rest = text.substr(colon + 1);
    MilterPlace place;
    if (kind == "unix" || kind == "local") {
        if (!rest.starts_with('/') || rest.size() > 100) return wrong();
        place.path = rest;
        return place;
    }
    const auto end = rest.rfind(':');
    if ((kind != "inet" && kind != "inet6") || end == rest.npos) return wrong();
    auto address = rest.substr(0, end);
    if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
    boost::system::error_code error;
    const auto parsed = asio::ip::make_address(std::string(address), error);
    const auto port = rest.substr(end + 1);
    unsigned number = 0;
    const auto [last, bad] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error || bad != std::errc{} || last != port.data() + port.size() || number == 0 || number > 65535)
        return wrong();
    place.address = parsed.to_string();
    place.port = static_cast<std::uint16_t>(number);
    return place;
}

Result<std::unique_ptr<Milter>> Milter::make(const MilterOptions& options) {
    auto place = parse_milter_place(options.socket);
    if (!place) return pass_on(place);
    return std::unique_ptr<Milter>(new Milter(options, std::move(*place)));
}

Task<Judgement> Milter::judge(std::shared_ptr<const delivery::Envelope> envelope,
                              std::unique_ptr<engine::BodyReader> wire, std::uint64_t) {
    const auto id = envelope->received.id;
    Conversation conversation(co_await asio::this_coro::executor, options_.timeout, envelope);
    auto judged = co_await conversation.hold(place_, std::move(wire));
    if (judged) {
        log::info("inspection.judged",
                  {{"id", id}, {"by", options_.socket}, {"action", name_of(*judged)}, {"score", ""}});
        co_return std::move(*judged);
    }
    const bool accept = options_.on_error == OnError::accept;
    log::warning("inspection.failed", {{"id", id},
                                       {"by", options_.socket},
                                       {"reason", judged.error().detail()},
                                       {"then", accept ? "accept" : "tempfail"}});
    if (accept) co_return Judgement();
    co_return Judgement{.action = Judgement::Action::defer,
                        .text = "The message can't be checked now; try again later"};
}

}  // namespace poplar::inspection
