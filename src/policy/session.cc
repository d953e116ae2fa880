// One client of the policy listener: requests in, one line of advice out for each.
#include "policy/session.h"

#include <chrono>

#include "base/log.h"
#include "delivery/delivery.h"
#include "mail/address.h"
#include "policy/request.h"
#include "session/lines.h"

namespace poplar::policy {

namespace {

constexpr auto kIdle = std::chrono::minutes(10);
constexpr std::string_view kNoOpinion = "DUNNO";
constexpr std::string_view kTrouble = "451 4.3.0 Storage trouble, try later";

/// The states in which one recipient may still be refused.
bool is_about_a_recipient(const Request& request) {
    const auto& state = request.state;
    return request.type == "smtpd_access_policy" && !request.recipient.empty() &&
           (state == "RCPT" || state == "DATA" || state == "END-OF-MESSAGE");
}

class Session {
public:
    Session(net::Connection& connection, delivery::Delivery& delivery, std::string_view id)
        : connection_(connection), delivery_(delivery), lines_(connection, 1), id_(id) {}

    Task<Result<>> run();
    session::Lines& lines() { return lines_; }
    void log_end(std::string_view result);

private:
    Task<std::string_view> advise(Request request);

    net::Connection& connection_;
    delivery::Delivery& delivery_;
    session::Lines lines_;
    std::string_view id_;
    std::uint64_t requests_ = 0, refused_ = 0;
};

Task<Result<>> Session::run() {
    RequestReader reader;
    for (;;) {
        auto line = co_await lines_.read(kLineLimit, kIdle);
        if (!line && line.error().code() == Errc::too_large) co_return lines_.end("line too long");
        if (!line) co_return pass_on(line);
        auto whole = reader.take(*line);
        if (!whole) {
            connection_.log(
                log::Level::warning, "policy.bad_request",
                {{"session", id_}, {"peer", connection_.peer().address}, {"reason", whole.error().detail()}});
            co_return lines_.end("bad request");
        }
        if (!*whole) continue;
        ++requests_;
        const auto action = co_await advise(reader.finish());
        const auto reply = answer(action);
        if (auto written = co_await connection_.write(reply); !written) co_return written;
    }
}

/// No room is kept: Postfix may ask long before it hands the message over, and never says that it gave up.
Task<std::string_view> Session::advise(Request request) {
    if (!is_about_a_recipient(request)) co_return kNoOpinion;
    auto address = mail::parse_address(request.recipient);
    if (!address) co_return kNoOpinion;
    auto resolution = co_await delivery_.resolve(*address);
    if (!resolution && resolution.error().code() == Errc::invalid) co_return kNoOpinion;
    if (!resolution) co_return kTrouble;
    if (resolution->bounds.empty()) co_return kNoOpinion;
    auto admitted = co_await delivery_.would_admit(*resolution, request.size);
    if (admitted) co_return kNoOpinion;
    using Kind = delivery::Verdict::Kind;
    const auto& verdict = admitted.error();
    if (verdict.kind != Kind::over_quota && verdict.kind != Kind::full) co_return kTrouble;
    ++refused_;
    connection_.log(log::Level::info, "policy.refused",
                    {{"session", id_}, {"recipient", request.recipient}, {"reason", verdict.text}});
    co_return verdict.kind == Kind::full ? "452 4.2.2 Mailbox full, try later" : "552 5.2.2 Mailbox full";
}

void Session::log_end(std::string_view result) {
    connection_.log(log::Level::debug, "policy.end",
                    {{"session", id_},
                     {"peer", connection_.peer().address},
                     {"requests", requests_},
                     {"refused", refused_},
                     {"result", result}});
}

}  // namespace

Task<> serve(std::unique_ptr<net::Connection> connection, delivery::Delivery& delivery, std::string id) {
    Session session(*connection, delivery, id);
    connection->session().id = id;
    connection->session().end = [&session] { session.lines().cut(); };
    const auto ended = co_await session.lines().guard(session.run(), "policy.failed", id);
    session.log_end(session.lines().reason(ended));
    co_await connection->close();
}

}  // namespace poplar::policy
