#pragma once
#include <cstddef>
#include <string>
#include <system_error>

namespace poplar::net {

/// How one attempt to receive or send, without waiting, ended.
struct Attempt {
    enum class Outcome { moved, want_read, want_write, over } outcome;
    std::size_t octets = 0;
    std::string why = {};  // when over

    static Attempt moved(std::size_t octets) { return {Outcome::moved, octets}; }
    static Attempt over(std::string why) { return {Outcome::over, 0, std::move(why)}; }
};

inline std::string system_message(int error) { return std::system_category().message(error); }

}  // namespace poplar::net
