#include "engine/local/body_series.h"

#include <algorithm>

namespace poplar::engine::local {

namespace {
constexpr std::size_t kGrowth = 8, kWindow = 256;  // places looked up together: 1, 8, 64, 256
constexpr int kPlaceTries = 3;                     // of a body that is copied while it is looked up
}  // namespace

const BodyPlace* LocalBodySeries::known(BodyId id) {
    while (next_ < ahead_.size() && ahead_[next_].id < id) ++next_;
    if (next_ == ahead_.size() || ahead_[next_].id != id) return nullptr;
    return &ahead_[next_++].place;
}

Task<Result<BodyPlace>> LocalBodySeries::look_up(BodyId id) {
    const bool goes_on = last_ != BodyId() && last_ < id;
    window_ = goes_on ? std::min(window_ * kGrowth, kWindow) : 1;
    if (goes_on) {
        auto places = index_.places(partition_, id, window_, Wait::no);
        if (!places) {
            auto read = [this, id] { return *index_.places(partition_, id, window_, Wait::yes); };
            places = co_await pool_.run(read);
        }
        ahead_ = *places ? std::move(**places) : std::vector<Index::Placed>();
        next_ = 0;
        if (const auto* place = known(id)) co_return *place;
        // What is damaged may be another's place.
    }
    if (auto place = index_.place(partition_, id, Wait::no)) co_return std::move(*place);
    co_return co_await look_up_anew(id);
}

Task<Result<BodyPlace>> LocalBodySeries::look_up_anew(BodyId id) {
    auto read = [this, id] { return *index_.place(partition_, id, Wait::yes); };
    co_return co_await pool_.run(read);
}

Task<Result<std::unique_ptr<BodyReader>>> LocalBodySeries::open(BodyId id) {
    BodyPlace place;
    if (const auto* found = known(id)) {
        place = *found;
    } else {
        auto looked_up = co_await look_up(id);
        if (!looked_up) co_return pass_on(looked_up);
        place = *looked_up;
    }
    last_ = id;
    // The segment is opened now, and stays so: it may be copied and unlinked while this is being read, or may have been
    // since the place was looked up.
    std::shared_ptr<const File> segment;
    for (int n = 0; place.inline_octets != 0; ++n) {
        if (auto opened = directory_.segment_reader(place.segment)) segment = std::move(*opened);
        if (segment || n == kPlaceTries) break;
        auto again = co_await look_up_anew(id);
        if (!again) co_return pass_on(again);
        if (place == *again) break;
        place = *again;
    }
    co_return std::make_unique<LocalBodyReader>(directory_, index_, pool_, memory_, partition_, id, place,
                                                std::move(segment));
}

}  // namespace poplar::engine::local
