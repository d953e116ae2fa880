#pragma once
// THREAD (RFC 5256 s3, s4).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "mail/structure.h"

namespace poplar::imap {

enum class ThreadAlgorithm : std::uint8_t { ordered_subject, references };
/// By its name in any case.
std::optional<ThreadAlgorithm> find_thread_algorithm(std::string_view name);

/// The fields that a message is threaded by.
struct ThreadEntry {
    std::uint32_t id = 0;      ///< as the answer names it: its message number, or UID
    std::uint32_t number = 0;  ///< its message number, by which equals are sorted
    std::int64_t sent = 0;     ///< as sent_time() has it
    std::string subject;       ///< base subject
    bool is_reply = false;     ///< its subject says so (RFC 5256 s2.1)
    std::string message_id = {};
    std::vector<std::string> references = {};  ///< the first is the conversation's first message
};
/// As much as the algorithm needs.
ThreadEntry thread_entry(ThreadAlgorithm algorithm, std::uint32_t id, std::uint32_t number, Timestamp received,
                         const mail::Structure& structure);

/// Appends `(2)(3 6 (4 23)(44 7 96))`; nothing for no messages.
void write_threads(std::string& out, ThreadAlgorithm algorithm, std::vector<ThreadEntry> entries);

}  // namespace poplar::imap
