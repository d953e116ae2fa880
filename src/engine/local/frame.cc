#include "engine/local/frame.h"

#include <cassert>
#include <cstring>

#include "base/crc32c.h"

namespace poplar::engine::local {

namespace {

// `frame` begins with the header to be filled in.
void seal(char* frame, std::size_t size) {
    assert(size >= kFrameHeader && size <= kFrameSize);
    auto length = static_cast<std::uint32_t>(size - kFrameHeader);
    std::memcpy(frame + 4, &length, 4);
    std::uint32_t crc = crc32c(std::string_view(frame, size).substr(4));
    std::memcpy(frame, &crc, 4);
}

}  // namespace

void seal_frame(std::string& frame) { seal(frame.data(), frame.size()); }

void append_frame(std::string_view data, std::string& out) {
    const auto before = out.size();
    out.append(kFrameHeader, '\0').append(data);
    seal(out.data() + before, kFrameHeader + data.size());
}

Result<FrameView> parse_frame(std::string_view bytes, FrameCheck check) {
    if (bytes.size() < kFrameHeader) return FrameView{};
    std::uint32_t crc, length;
    std::memcpy(&crc, bytes.data(), 4);
    std::memcpy(&length, bytes.data() + 4, 4);
    if (length == 0 || length > kFrameData) return fail(Errc::corrupt, "a frame of impossible length");
    FrameView view{{}, kFrameHeader + length};
    if (bytes.size() < view.size) return view;
    if (check == FrameCheck::crc && crc32c(bytes.substr(4, 4 + length)) != crc)
        return fail(Errc::corrupt, "a frame's checksum is wrong");
    view.data = bytes.substr(kFrameHeader, length);
    return view;
}

Result<Frames> parse_frames(std::string_view bytes) {
    Frames found;
    found.reserve(bytes.size() / kFrameSize + 2);
    while (!bytes.empty()) {
        auto frame = parse_frame(bytes, FrameCheck::crc);
        if (!frame) return pass_on(frame);
        if (frame->data.empty()) return fail(Errc::corrupt, "a frame is cut off");
        found.push_back(frame->data);
        bytes.remove_prefix(frame->size);
    }
    return found;
}

}  // namespace poplar::engine::local
