#include "engine/local/reserve.h"

#include <algorithm>

#include "base/log.h"
#include "engine/local/file.h"

namespace poplar::engine::local {

void Reserve::take() {
    std::lock_guard guard(mutex_);
    if (octets_ == 0) {  // another configuration may have left one
        (void)unlink_file(disk_, path_);
        return;
    }
    if (missing_ == 0) return;
    auto file = File::open(disk_, path_, File::Mode::create_new);
    if (!file && file.error().code() == Errc::exists) file = File::open(disk_, path_, File::Mode::read_write);
    if (!file) return;
    auto size = file->size();
    auto space = free_space(disk_, path_.parent_path());
    if (!size || !space) return;
    if (*size > octets_) (void)file->truncate(octets_);
    missing_ = octets_ - std::min(octets_, *size);
    if (missing_ > 0 && *space >= octets_ + missing_ && file->allocate(0, octets_)) missing_ = 0;
}

bool Reserve::give_up() {
    std::lock_guard guard(mutex_);
    auto file = File::open(disk_, path_, File::Mode::read_write);
    auto size = file ? file->size() : 0;
    if (!file || !size || *size == 0) return false;
    // By halves, because whoever filled the disk may take what is given up.
    constexpr std::uint64_t kLeast = 1u << 20;
    std::uint64_t rest = *size > kLeast ? *size / 2 : 0;
    if (!file->truncate(rest)) return false;
    missing_ = octets_ - std::min(octets_, rest);
    log::warning("store.reserve_given_up", {{"octets", *size - rest}, {"left", rest}});
    return true;
}

}  // namespace poplar::engine::local
