#include "net/connection.h"

#include "base/peer_network.h"

namespace poplar::net {

void Connection::log(log::Level level, std::string_view event, std::initializer_list<log::Field> fields) {
    if (!log::enabled(level)) return;
    const auto sent = octets_received() - logged_up_to_;
    logged_up_to_ += sent;
    log::write({peer_key(peer().address), sent}, level, event, fields);
}

}  // namespace poplar::net
