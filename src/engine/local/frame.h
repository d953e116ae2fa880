#pragma once
// A body on disk is a row of frames: u32 crc, u32 length, then `length` octets; the crc is crc32c of the length's four
// octets and the data. A frame holds at most 64 KB, so that what goes to a client was checked a moment before, whatever
// the body's size.
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/container/small_vector.hpp>

#include "base/error.h"

namespace poplar::engine::local {

inline constexpr std::size_t kFrameHeader = 8;
inline constexpr std::size_t kFrameData = 64 * 1024;
inline constexpr std::size_t kFrameSize = kFrameHeader + kFrameData;

/// Appends `data` (at most kFrameData octets) to `out` as one frame.
void append_frame(std::string_view data, std::string& out);

/// Fills in the header of a frame whose data stands behind kFrameHeader unused octets.
void seal_frame(std::string& frame);

/// The frame at the beginning of `bytes`: `data` points into it. `size` is what it takes; when `bytes` is too short,
/// that much is needed and `data` is empty. Errors: corrupt.
struct FrameView {
    std::string_view data;
    std::size_t size = kFrameHeader;
};
enum class FrameCheck { crc, none };
Result<FrameView> parse_frame(std::string_view bytes, FrameCheck check);

/// The data of frames in a row. Most bodies are two: what was put before the message, and the message.
using Frames = boost::container::small_vector<std::string_view, 2>;
/// All of a body's, each checked. Errors: corrupt.
Result<Frames> parse_frames(std::string_view bytes);

}  // namespace poplar::engine::local
