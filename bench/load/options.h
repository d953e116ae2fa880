#pragma once
// The options of the command line.
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/load/channel.h"
#include "bench/load/messages.h"
#include "bench/load/tls.h"

namespace poplar::bench {

enum class Security { plain, stls, tls };
enum class MailProtocol { lmtp, smtp };

/// Accounts are numbered: "{}" in `user` is the number.
struct Accounts {
    std::string user = "user{}@example.test", password = "password";
    std::uint64_t count = 0;  ///< 0: as many as connections
    std::uint64_t first = 0;

    /// The name of the `number`-th (modulo count), in `buffer`.
    std::string_view name(std::uint64_t number, std::string& buffer) const;
};

struct Options {
    std::string server = "127.0.0.1:110";  ///< of POP3
    std::string mail_server;               ///< of LMTP or SMTP
    Endpoint pop3, mail;                   ///< the same, parsed
    Security security = Security::plain;
    TlsSessions sessions = TlsSessions::fresh;
    Accounts accounts;

    unsigned connections = 32;
    unsigned threads = 0;  ///< 0: one a processor, at most four
    double seconds = 5, warm_up = 1;
    std::uint64_t count = 0;  ///< polls, maildrops or messages, in place of a duration
    double rate = 0;          ///< operations a second, in place of as fast as it goes
    unsigned timeout = 60;    ///< seconds for any one wait

    std::vector<pid_t> pids;  ///< of the server
    bool json = false;

    bool uidl = false, list = false;             // poll
    bool remove = false;                         // drain: DELE
    unsigned window = 1;                         // drain: RETR commands under way
    MailProtocol protocol = MailProtocol::lmtp;  // deliver
    Sizes sizes;
    unsigned recipients = 1, messages_per_connection = 500;
    bool pipelining = true;
    unsigned poll_share = 90, drain_share = 2, deliver_share = 8;  // mixed
};

/// The options of `poplar-bench null`.
struct NullOptions {
    std::vector<std::string> pop3, pop3s, lmtp;  ///< addresses; port 0: the system chooses, the ready line tells
    std::string certificate, key;
    unsigned threads = 1;
    std::uint64_t messages = 0;
    std::size_t size = 4096;
    std::string sink;  ///< LMTP: the file to append to
};

}  // namespace poplar::bench
