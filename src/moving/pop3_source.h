#pragma once
// The client's side of POP3, as far as a move needs it: it lists and reads, and never deletes.
#include <cstdint>
#include <string>
#include <vector>

#include "moving/wire.h"

namespace poplar::moving {

/// Errors of all calls: those of Wire; invalid (what comes is no POP3), denied (the server says no).
class Pop3Source {
public:
    struct Listed {
        std::uint32_t number = 0;
        std::uint64_t octets = 0;
        std::string unique_id;
    };

    Result<> open(const Endpoint& endpoint, const Credentials& credentials);
    bool is_open() const { return wire_.is_open(); }
    /// In the server's order. denied: it has no UIDL.
    Result<std::vector<Listed>> list();
    Result<std::string> header(std::uint32_t number);   ///< by TOP
    Result<std::string> message(std::uint32_t number);  ///< by RETR
    /// Ends without QUIT, so that the server does not enter the UPDATE state: nothing is deleted or marked as read
    /// there, even where retrieving a message does (RFC 1939 s6).
    void leave();

private:
    Result<> begin(const Endpoint& endpoint, const Credentials& credentials);
    Result<std::string> ask(std::string_view command);
    Result<std::string> fetch(std::string_view command);
    Result<> lines(std::string_view command, const std::function<void(std::string_view)>& take);

    Wire wire_;
};

}  // namespace poplar::moving
