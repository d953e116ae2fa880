#include "pop3/session.h"

#include "base/log.h"
#include "pop3/authorization.h"
#include "pop3/conversation.h"
#include "pop3/transaction.h"

namespace poplar::pop3 {

Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string session_id) {
    Conversation conversation(*connection, options, services.sasl, session_id);
    std::optional<Login> login;
    {
        Authorization authorization(conversation, services);
        login = co_await authorization.run();
    }
    std::string account;
    Transaction::Done done;
    if (login) {
        account = login->account;
        Transaction transaction(conversation, services, std::move(*login));
        co_await transaction.run();
        done = transaction.done();
    }
    co_await connection->close(conversation.parting());
    connection->log(log::Level::info, "pop3.end",
                    {{"session", session_id},
                     {"peer", connection->peer().address},
                     {"account", account},
                     {"reason", conversation.reason()},
                     {"retrieved", done.retrieved},
                     {"deleted", done.deleted},
                     {"octets", done.octets}});
}

}  // namespace poplar::pop3
