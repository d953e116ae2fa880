#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>

namespace poplar::log {

namespace {

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warning: return spdlog::level::warn;
        case Level::error: return spdlog::level::err;
    }
    return spdlog::level::err;
}

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug: return "debug";
        case Level::info: return "info";
        case Level::warning: return "warning";
        case Level::error: return "error";
    }
    return "error";
}

struct State {
    std::atomic<Level> minimum = Level::info;
    std::atomic<Format> format = Format::text;
    std::mutex changing;  // held to change or to take what follows
    std::string file;
    std::shared_ptr<spdlog::logger> logger;
};

// Lines are complete when they reach spdlog: time, level and event are part of the format here. So is the choice of
// them.
std::shared_ptr<spdlog::logger> make_logger(const std::string& file) {
    spdlog::sink_ptr sink;
    if (file.empty()) {
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
        try {
            sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
        } catch (const spdlog::spdlog_ex& failure) {
            throw std::runtime_error(failure.what());
        }
    }
    auto logger = std::make_shared<spdlog::logger>("poplar", std::move(sink));
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::debug);
    logger->flush_on(spdlog::level::debug);
    return logger;
}

State& state() {
    static State* instance = [] {  // never destroyed: threads may log until the process ends
        auto* made = new State;
        made->logger = make_logger("");
        return made;
    }();
    return *instance;
}

std::string timestamp() {
    auto now = std::chrono::system_clock::now();
    auto since = now.time_since_epoch();
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(since - seconds).count();
    std::time_t whole = seconds.count();
    std::tm utc{};
    gmtime_r(&whole, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                       utc.tm_hour, utc.tm_min, utc.tm_sec, millis);
}

// The same escapes are right for JSON and for a quoted text value. Octets over 0x7f that are not UTF-8 become U+FFFD.
void append_escaped(std::string& out, std::string_view text) {
    auto continuation = [&](std::size_t at) { return at < text.size() && (text[at] & 0xc0) == 0x80; };
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto c = static_cast<unsigned char>(text[i]);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(text[i]);
        } else if (c < 0x20 || c == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
        } else if (c < 0x80) {
            out.push_back(text[i]);
        } else {
            std::size_t more = c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 ? 2 : 1;
            bool whole = c >= 0xc2 && c < 0xf5;
            for (std::size_t k = 1; whole && k <= more; ++k) whole = continuation(i + k);
            if (whole) {  // RFC 3629 s4: no overlong forms, no surrogates, nothing over U+10FFFF
                const auto second = static_cast<unsigned char>(text[i + 1]);
                whole = !(c == 0xe0 && second < 0xa0) && !(c == 0xed && second >= 0xa0) &&
                        !(c == 0xf0 && second < 0x90) && !(c == 0xf4 && second >= 0x90);
            }
            // C1 controls steer a terminal, U+2028 and U+2029 end lines for some readers.
            const bool c1 = whole && c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
            const bool separator =
                whole && (text.substr(i, 3) == "\xe2\x80\xa8" || text.substr(i, 3) == "\xe2\x80\xa9");
            if (c1 || separator) {
                fmt::format_to(std::back_inserter(out), "\\u{:04x}",
                               c1 ? 0x80u + (text[i + 1] & 0x3fu) : 0x2000u + (text[i + 2] & 0x3fu));
                i += more;
            } else if (whole) {
                out.append(text.substr(i, more + 1));
                i += more;
            } else {
                out.append("\\ufffd");
            }
        }
    }
}

bool is_plain(std::string_view text) {
    if (text.empty()) return false;
    for (char c : text)
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '=') return false;
    return true;
}

std::string text_line(Level level, std::string_view event, std::initializer_list<Field> fields) {
    auto line = fmt::format("{} {} {}", timestamp(), name_of(level), event);
    for (const auto& field : fields) {
        line.append(" ").append(field.name).append("=");
        if (auto* number = std::get_if<std::int64_t>(&field.value)) {
            fmt::format_to(std::back_inserter(line), "{}", *number);
        } else if (auto text = std::get<std::string_view>(field.value); is_plain(text)) {
            line.append(text);
        } else {
            line.push_back('"');
            append_escaped(line, text);
            line.push_back('"');
        }
    }
    return line;
}

std::string json_line(Level level, std::string_view event, std::initializer_list<Field> fields) {
    auto line = fmt::format(R"({{"time":"{}","level":"{}","event":")", timestamp(), name_of(level));
    append_escaped(line, event);
    line.push_back('"');
    for (const auto& field : fields) {
        line.append(",\"");
        append_escaped(line, field.name);
        line.append("\":");
        if (auto* number = std::get_if<std::int64_t>(&field.value)) {
            fmt::format_to(std::back_inserter(line), "{}", *number);
        } else {
            line.push_back('"');
            append_escaped(line, std::get<std::string_view>(field.value));
            line.push_back('"');
        }
    }
    line.push_back('}');
    return line;
}

}  // namespace

void configure(Level minimum, Format format, const std::string& file) {
    auto& s = state();
    auto logger = make_logger(file);
    std::lock_guard guard(s.changing);
    s.file = file;
    s.minimum = minimum;
    s.format = format;
    s.logger = std::move(logger);
}

void reopen() {
    auto& s = state();
    std::lock_guard guard(s.changing);
    if (!s.file.empty()) s.logger = make_logger(s.file);
}

bool enabled(Level level) { return level >= state().minimum.load(std::memory_order_relaxed); }

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
    if (!enabled(level)) return;
    auto& s = state();
    const auto line = s.format == Format::json ? json_line(level, event, fields) : text_line(level, event, fields);
    std::unique_lock lock(s.changing);
    const auto logger = s.logger;
    lock.unlock();
    logger->log(to_spdlog(level), line);
}

}  // namespace poplar::log
