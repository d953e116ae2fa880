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
bool enabled(Level level);
void write(Level level, std::string_view event, std::initializer_list<Field> fields);

inline void debug(std::string_view event, std::initializer_list<Field> f = {}) { write(Level::debug, event, f); }
inline void info(std::string_view event, std::initializer_list<Field> f = {}) { write(Level::info, event, f); }
inline void warning(std::string_view event, std::initializer_list<Field> f = {}) { write(Level::warning, event, f); }
inline void error(std::string_view event, std::initializer_list<Field> f = {}) { write(Level::error, event, f); }

}  // namespace poplar::log
