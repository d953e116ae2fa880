#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace poplar::inspection {

/// The fate of a message that could not be looked at.
enum class OnError : std::uint8_t {
    accept,    ///< it is taken as it is
    tempfail,  ///< its sender is told to come again
};

struct RspamdOptions {
    std::string url;  ///< "http://127.0.0.1:11333"; "": rspamd is not asked
    std::chrono::milliseconds timeout = std::chrono::seconds(15);  ///< for one message
    OnError on_error = OnError::accept;
    std::string controller;     ///< the worker that learns, "http://127.0.0.1:11334"; "": nobody learns
    std::string password_file;  ///< for it; "": it wants none
};

struct MilterOptions {
    std::string socket;                                            ///< as parse_milter_place() reads it
    std::chrono::milliseconds timeout = std::chrono::seconds(30);  ///< for each answer
    OnError on_error = OnError::tempfail;
};

struct Options {
    RspamdOptions rspamd;
    std::vector<MilterOptions> milters;  ///< in the order in which they are asked
};

}  // namespace poplar::inspection
