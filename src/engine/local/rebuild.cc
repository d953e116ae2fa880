// A rebuild: the old index is set aside, the whole log replayed, what only the old index knows written to the log, and
// each damaged file replaced by a copy.
#include "engine/local/rebuild.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "engine/local/index.h"
#include "engine/local/log_files.h"
#include "engine/local/recovery.h"
#include "engine/local/salvage.h"
#include "engine/local/segment_copy.h"

namespace poplar::engine::local {

namespace {

// The index that is being replaced; null if something is wrong with it. Errors: the disk's, because a rebuild without
// this index loses for good what it alone may know, and a full disk or one that fails once is no reason for that.
Result<std::unique_ptr<Index>> sound_index(StoreDirectory& directory, const Options& options) {
    auto unread = [&](const std::string& why) {
        return fail(Errc::io, fmt::format("{} may know alone what damaged records said, and can't be read: {}. To give "
                                          "that up, remove it and rebuild",
                                          directory.relative(directory.old_index()), why));
    };
    auto judge = [&](const Error& error) -> Result<std::unique_ptr<Index>> {
        if (error.code() == Errc::corrupt) return nullptr;
        if (error.code() == Errc::io) return unread(error.detail());
        return std::unexpected(error);
    };
    auto there = directory.rebuild_was_interrupted();
    if (!there) return pass_on(there);
    if (!*there) return nullptr;
    auto index = Index::open(directory.disk(), directory.old_index(), options);
    if (!index) return judge(index.error());
    auto files = (*index)->check_files([](std::uint64_t) { return true; });
    if (!files) return judge(files.error());
    for (const auto& one : *files)
        if (one.unread) return unread(one.what);
    if (!files->empty()) return nullptr;
    SegmentTable table;
    if (auto recovered = recover(directory, **index, table); !recovered) return judge(recovered.error());
    return std::move(*index);
}

// Replaces each damaged file by a copy of what can be read of it. The rest was salvaged, or is lost.
Result<> retire(StoreDirectory& directory, Index& index, SegmentTable& table, const Recovered& recovered,
                const std::vector<LogFile>& files) {
    if (auto flushed = index.flush(Index::FlushMode::wait); !flushed) return flushed;
    for (const auto& file : files) {
        LogFile copy{{file.id.number, file.id.pass + 1}, file.last};
        copy.as_of = recovered.position.next_sequence - 1;
        SegmentHeader header{.mark = directory.mark(), .id = copy.id, .first_sequence = 1};
        header.last = copy.last;
        header.as_of = copy.as_of;
        header.next_body = recovered.position.next_body;
        SegmentCopy work(directory, index, {file.id}, 0, SegmentCopy::Unreadable::leave_out);
        auto written = work.write(header, [](std::uint64_t) { return true; });
        if (!written) return pass_on(written);
        auto done = finish_copies(directory, index, table, {{{file}, {copy}}}, recovered.position);
        if (!done) return done;
    }
    return {};
}

}  // namespace

Result<std::vector<Damage>> rebuild_index(StoreDirectory& directory, const Options& options) {
    if (!directory.check_format())
        if (auto written = directory.write_format(); !written) return pass_on(written);
    auto again = directory.rebuild_was_interrupted();
    if (!again) return pass_on(again);
    if (auto aside = directory.set_aside_index(); !aside) return pass_on(aside);

    auto index = Index::open(directory.disk(), directory.index(), options);
    if (!index) return pass_on(index);
    SegmentTable table;
    auto recovered = recover(directory, **index, table);
    if (!recovered) return pass_on(recovered);
    auto damage = recovered->damage;
    if (!damage.empty()) {
        auto known = sound_index(directory, options);
        if (!known) return pass_on(known);
        if (*known) {
            auto records = salvage(directory, **known, **index, recovered->position);
            known->reset();
            if (!records) return pass_on(records);
            log::info("store.salvaged", {{"records", *records}});
            auto files = recovered->unreadable;
            const auto& end = recovered->position;
            if (*records == 0 && !files.empty() && files.back().id.number == end.segment) {
                // Only the last segment's header was lost. A segment can be retired only if another follows it.
                auto next = directory.create_segment(end.segment + 1, end.next_sequence);
                if (!next) return pass_on(next);
            }
            SegmentTable after;
            recovered = recover(directory, **index, after);
            if (!recovered) return pass_on(recovered);
            std::erase_if(files, [&](const auto& file) { return file.id.number >= recovered->position.segment; });
            if (auto done = retire(directory, **index, after, *recovered, files); !done) return pass_on(done);
        }
    }
    // An interrupted rebuild may have mended what it found, but nobody heard of it, and it was not repaired: so this
    // one tells of damage.
    if (*again) damage.push_back({"index.old", 0, {}, {}, "a rebuild did not come to its end"});
    recovered->damage = damage;
    if (auto swept = sweep_large(directory, **index, *recovered); !swept) return pass_on(swept);
    if (auto flushed = (*index)->flush(Index::FlushMode::wait); !flushed) return pass_on(flushed);
    directory.disk().reached(Step::index_rebuilt);
    return damage;
}

}  // namespace poplar::engine::local
