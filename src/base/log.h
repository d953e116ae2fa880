#pragma once
// Structured logs: one line an event, a name and fields, as text (`event key=value ...`) or JSON. Never a password,
// never a message's content. May be called from any thread.
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace poplar::log {

enum class Level { debug, info, warning, error };
enum class Format { text, json };

/// How much of the log its peers may fill (base/log_shares.h).
struct ShareLimits {
    /// Octets a second of lines about all peers together; 0: any number. Within a second a peer may take as much as
    /// stays for the others, or a few lines in any case.
    std::uint64_t rate = 1'500'000;
    /// Octets of lines that a peer earns with each octet that it sends; 0: it need not earn them. It has some to begin
    /// with, and gets a line now and then without sending anything.
    std::uint64_t per_octet = 15;
};

/// One `key=value`. Text values may hold any bytes from a peer: they are escaped on output.
struct Field {
    template <std::convertible_to<std::string_view> Text>
    Field(std::string_view n, const Text& v) : name(n), value(std::string_view(v)) {}
    template <std::integral Number>
    Field(std::string_view n, Number v) : name(n), value(static_cast<std::int64_t>(v)) {}
    std::string_view name;
    std::variant<std::string_view, std::int64_t> value;
};

/// Until called: text, info and above, to stderr. `file` empty: stderr. Throws std::runtime_error if it can't be
/// opened.
void configure(Level minimum, Format format, const std::string& file);
/// Opens the log file anew (after logrotate). Throws as configure does; the old file stays in use then.
void reopen();
void limit_shares(const ShareLimits& limits);
bool enabled(Level level);

/// Never waits for whoever reads the log: a thread of the log's own writes the lines, and those that it can't write in
/// time (1 MiB waits) or at all (a full disk) are lost. `log.dropped` then says how many lines, as soon as that can be
/// written.
void write(Level level, std::string_view event, std::initializer_list<Field> fields);
/// Somebody outside who causes a line.
struct Cause {
    std::uint64_t peer;         ///< peer_key() of its address
    std::uint64_t octets_sent;  ///< by it, since its last line
};
/// As write(), within the peer's share of the log (base/log_shares.h). `log.held_back` tells from time to time how many
/// lines were not written.
void write(const Cause& cause, Level level, std::string_view event, std::initializer_list<Field> fields);

/// Waits until what was logged before is written, for a second at most. The end of the process does so, too.
void flush();

inline void debug(std::string_view event, std::initializer_list<Field> f = {}) { write(Level::debug, event, f); }
inline void info(std::string_view event, std::initializer_list<Field> f = {}) { write(Level::info, event, f); }
inline void warning(std::string_view event, std::initializer_list<Field> f = {}) { write(Level::warning, event, f); }
inline void error(std::string_view event, std::initializer_list<Field> f = {}) { write(Level::error, event, f); }

}  // namespace poplar::log
