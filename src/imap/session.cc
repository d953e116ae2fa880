#include "imap/session.h"

#include "base/log.h"
#include "imap/client.h"

namespace poplar::imap {

Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string session_id) {
    Client client(*connection, services, options, session_id);
    auto& lines = client.lines();
    connection->session().id = session_id;
    connection->session().end = [&lines] { lines.cut(); };
    const auto ended = co_await lines.guard(client.run(), "imap.failed", session_id);
    client.note_use();
    co_await connection->close(lines.parting());
    const auto& done = client.done();
    connection->log(log::Level::info, "imap.end",
                    {{"session", session_id},
                     {"peer", connection->peer().address},
                     {"account", done.account},
                     {"reason", lines.reason(ended)},
                     {"commands", done.commands},
                     {"fetched", done.fetched},
                     {"appended", done.appended},
                     {"expunged", done.expunged},
                     {"octets", done.octets}});
}

}  // namespace poplar::imap
