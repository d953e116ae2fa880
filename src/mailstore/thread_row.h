#pragma once
// By which a message finds its thread (RFC 8474 s5.2, RFC 8621 s3), and the row that remembers it.
#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "mailstore/message.h"

namespace poplar::mail {
struct Structure;
}

namespace poplar::mailstore {

/// A message id, together with the base subject: a hash of both. A message and its replies have some in common.
using ThreadMark = std::array<char, 16>;

/// How many message ids of a message count, beside its own.
inline constexpr std::size_t kMostAnswered = 12;

struct ThreadMarks {
    ThreadMark own{};
    bool named = false;                 ///< others can name it: it has a Message-ID
    std::vector<ThreadMark> answers{};  ///< the message that it answers first, then the others back to the oldest
};
ThreadMarks thread_marks(const mail::Structure& structure, std::string_view unique_id);
/// The thread that a message has alone.
ThreadId own_thread(std::string_view unique_id);

/// Of a body: its thread, and the marks that its message was the first to leave.
struct ThreadRow {
    ThreadId thread;
    std::vector<ThreadMark> left{};
    bool operator==(const ThreadRow&) const = default;
};
std::string encode(const ThreadRow& row);
Result<ThreadRow> decode_thread(std::string_view value);

/// A mark's row.
std::string encode(const ThreadId& thread);
Result<ThreadId> decode_thread_id(std::string_view value);

}  // namespace poplar::mailstore
