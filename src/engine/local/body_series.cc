// Looks up where bodies lie, opens their segments, and tries again when a body was copied meanwhile.
#include "engine/local/body_series.h"

#include <algorithm>

namespace poplar::engine::local {

namespace {
constexpr std::size_t kGrowth = 8, kWindow = 256;  // places looked up together: 1, 8, 64, 256
constexpr int kPlaceTries = 3;                     // of a body that is copied while it is looked up
}  // namespace

const BodyPlace* LocalBodySeries::known(BodyId id) {
    while (next_ < ahead_.size() && ahead_[next_].id < id) ++next_;
    return next_ < ahead_.size() && ahead_[next_].id == id ? &ahead_[next_].place : nullptr;
}

void LocalBodySeries::keep(std::vector<Index::Placed> places) {
    ahead_ = std::move(places);
    next_ = 0;
    window_ = std::min(window_ * kGrowth, kWindow);
}

// Null: it would have to wait, or there is no such body.
const BodyPlace* LocalBodySeries::try_look_up(BodyId id) {
    if (goes_on(id)) {
        auto places = index_.places(partition_, id, window_, Wait::no);
        if (!places || !*places) return nullptr;
        keep(std::move(**places));
    } else {
        auto place = index_.place_at_hand(partition_, id);
        if (!place || !*place) return nullptr;
        window_ = 1;
        keep({{id, **place}});
    }
    return known(id);
}

Task<Result<BodyPlace>> LocalBodySeries::look_up(BodyId id) {
    if (const auto* place = try_look_up(id)) co_return *place;
    if (goes_on(id)) {
        auto read = [this, id] { return *index_.places(partition_, id, window_, Wait::yes); };
        if (auto places = co_await pool_.read(partition_, read)) keep(std::move(*places));
        if (const auto* place = known(id)) co_return *place;
        // If the scan failed, the damaged place may be another body's.
    } else {
        window_ = 1;
    }
    co_return co_await look_up_anew(id);
}

Task<Result<BodyPlace>> LocalBodySeries::look_up_anew(BodyId id) {
    auto read = [this, id] { return index_.place(partition_, id); };
    co_return co_await pool_.read(partition_, read);
}

// Null: it can't be opened. The reference count is this series' own, because one count for all sessions, and a common
// lock to look the segment up under, took a twentieth of the time of fetching a small message.
std::shared_ptr<const File> LocalBodySeries::open_segment(SegmentId id) {
    if (!segment_ || segment_id_ != id) {
        auto opened = directory_.segment_reader(id);
        if (!opened) return nullptr;
        auto held = std::make_shared<const std::shared_ptr<const File>>(std::move(*opened));
        segment_ = {held, held->get()};
        segment_id_ = id;
    }
    return segment_;
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
        segment = open_segment(place.segment);
        if (segment || n == kPlaceTries) break;
        auto again = co_await look_up_anew(id);
        if (!again) co_return pass_on(again);
        if (place == *again) break;
        place = *again;
    }
    SharedPart shared;
    if (place.shared != BodyId()) {
        auto opened = co_await open_shared(id, place.shared);
        if (!opened) co_return pass_on(opened);
        shared = std::move(*opened);
    }
    co_return std::make_unique<LocalBodyReader>(directory_, index_, pool_, memory_, partition_, id, place,
                                                std::move(segment), std::move(shared));
}

// As open() does it with the body's own place.
Task<Result<SharedPart>> LocalBodySeries::open_shared(BodyId id, BodyId shared) {
    SharedPart part;
    for (int n = 0; n <= kPlaceTries; ++n) {
        auto place = index_.place_at_hand(kSharedBodies, shared);
        if (!place || n > 0) {
            auto read = [this, shared] { return index_.place(kSharedBodies, shared); };
            place = co_await pool_.read(partition_, read);
        }
        if (!*place && place->error().code() == Errc::not_found) {
            auto still_there = co_await look_up_anew(id);
            if (!still_there) co_return pass_on(still_there);
            co_return fail(Errc::corrupt, "the shared body that it ends with is missing");
        }
        if (!*place) co_return pass_on(*place);
        const bool same = n > 0 && **place == part.place;
        part.place = **place;
        if (part.place.inline_octets == 0 || same) break;
        auto segment = directory_.segment_reader(part.place.segment);
        if (segment) {
            part.segment = std::move(*segment);
            break;
        }
    }
    co_return part;
}

std::unique_ptr<BodyReader> LocalBodySeries::try_open_whole(BodyId id) {
    const auto* place = known(id);
    if (!place) place = try_look_up(id);
    if (!place) return nullptr;
    last_ = id;
    auto segment = open_segment(place->segment);
    if (!segment) return nullptr;
    SharedPart shared;
    if (place->shared != BodyId()) {
        auto found = index_.place_at_hand(kSharedBodies, place->shared);
        if (!found || !*found) return nullptr;
        auto opened = directory_.segment_reader((*found)->segment);
        if (!opened) return nullptr;
        shared = {**found, std::move(*opened)};
    }
    auto reader = std::make_unique<LocalBodyReader>(directory_, index_, pool_, memory_, partition_, id, *place,
                                                    std::move(segment), std::move(shared));
    if (!reader->try_verify()) return nullptr;
    return reader;
}

}  // namespace poplar::engine::local
