#include "pop3/session.h"

#include "base/log.h"
#include "pop3/authorization.h"
#include "pop3/conversation.h"
#include "pop3/transaction.h"

namespace poplar::pop3 {

namespace {

/// For the log's line at the end.
struct Report {
    std::string account;
    Transaction::Done done;
};

/// From one state to the next (RFC 1939 s3). The failure says why the session ends.
Task<Result<>> run(Conversation& conversation, const Services& services, Report& report) {
    Result<Login> login = fail(Errc::closed, "");
    {
        Authorization authorization(conversation, services);
        login = co_await authorization.run();
    }
    Result<> ended;
    if (login) {
        report.account = login->access.address;
        Transaction transaction(conversation, services, std::move(*login), report.done);
        ended = co_await transaction.run();
        transaction.note_use();
        co_await transaction.mark_seen();
    } else {
        ended = pass_on(login);
    }
    if (!ended) co_await conversation.say_why(ended.error().code());
    co_return ended;
}

}  // namespace

Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string session_id) {
    Conversation conversation(*connection, options, services.logins, session_id);
    auto& lines = conversation.lines();
    connection->session().id = session_id;
    connection->session().end = [&lines] { lines.cut(); };
    Report report;
    const auto ended = co_await lines.guard(run(conversation, services, report), "pop3.failed", session_id);
    co_await connection->close(lines.parting());
    connection->log(log::Level::info, "pop3.end",
                    {{"session", session_id},
                     {"peer", connection->peer().address},
                     {"account", report.account},
                     {"reason", lines.reason(ended)},
                     {"retrieved", report.done.retrieved},
                     {"deleted", report.done.deleted},
                     {"octets", report.done.octets}});
}

}  // namespace poplar::pop3
