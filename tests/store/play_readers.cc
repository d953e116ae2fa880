// Readers of the change log.
#include "tests/store/play.h"

namespace poplar::test::model {

std::map<std::uint64_t, std::uint32_t> Play::flags_in(MailboxId id) {
    std::map<std::uint64_t, std::uint32_t> flags;
    auto list = run(store_->list_uids(kAccount, id));
    if (!list && list.error().code() == Errc::not_found && !names_.contains(id)) return flags;  // it went since
    for (const auto& one : value_of(std::move(list), "list_uids")->messages) flags[one.uid] = one.flags;
    return flags;
}

void Play::follow(Reader& reader) {
    for (;;) {
        auto list = value_of(run(store_->changes_since(kAccount, reader.number, 3)), "changes_since");
        if (!reader.begun || list.forgotten) {
            reader.seen.clear();
            for (const auto& [id, name] : names_) reader.seen[id] = flags_in(id);
            reader.begun = true;
        } else {
            for (const auto& change : list.changes) apply(reader, change);
        }
        const bool all = reader.number == list.number || list.forgotten;
        reader.number = list.number;
        if (all) break;
    }
    std::map<MailboxId, std::map<std::uint64_t, std::uint32_t>> there;
    for (const auto& [id, name] : names_) there[id] = flags_in(id);
    expect(reader.seen == there, "a reader of the change log knows something else than there is");
}

void Play::apply(Reader& reader, const mailstore::Change& change) {
    using What = mailstore::Change::Kind;
    auto each = [](const std::vector<mailstore::UidRange>& ranges, auto&& see) {
        for (const auto& range : ranges)
            for (auto uid = range.first.value; uid <= range.last.value; ++uid) see(uid);
    };
    // Their flags are asked for, as a session would; what went meanwhile is told of later.
    auto look = [&](MailboxId id, const std::vector<mailstore::UidRange>& ranges) {
        const auto now = flags_in(id);
        each(ranges, [&](std::uint64_t uid) {
            auto found = now.find(uid);
            if (found != now.end())
                reader.seen[id][uid] = found->second;
            else if (change.kind != What::flags)
                reader.seen[id][uid] = 0;
        });
    };
    switch (change.kind) {
        case What::added:
        case What::flags: look(change.mailbox, change.uids); break;
        case What::removed:
            each(change.uids, [&](std::uint64_t uid) { reader.seen[change.mailbox].erase(uid); });
            break;
        case What::moved:
            each(change.uids, [&](std::uint64_t uid) { reader.seen[change.mailbox].erase(uid); });
            look(change.to, change.to_uids);
            break;
        case What::mailbox: reader.seen[change.mailbox]; break;
        case What::mailbox_removed: reader.seen.erase(change.mailbox); break;
        case What::document: break;
    }
}

}  // namespace poplar::test::model
