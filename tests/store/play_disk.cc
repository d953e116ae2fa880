// Scrubs, crashes, torn writes and backups.
#include "tests/store/play.h"

#include <algorithm>
#include <fstream>

namespace poplar::test::model {

void Play::scrub() {
    std::string found;
    auto report = [&](const engine::local::Damage& damage) { found = damage.file + ": " + damage.what; };
    value_of(engine_->verify(report), "verify");
    expect(found.empty(), "verify found {}", found);
}

void Play::crash(const ModelStep& step) {
    auto abandoned = directory_.path() / "abandoned";
    copy_directory(options_.directory, abandoned);
    stop();
    fs::remove_all(options_.directory);
    fs::rename(abandoned, options_.directory);
    if (step.kind == Kind::torn) tear(step);
    if (step.kind == Kind::rebuild) {
        auto damage = value_of(engine::local::LocalEngine::rebuild(options_), "rebuild");
        expect_sound(damage);
    }
    start();
}

void Play::back_up() {
    stop();
    fs::remove_all(directory_.path() / "backup");
    copy_directory(options_.directory, directory_.path() / "backup");
    backup_ = Backup{known_, last_order_, purged_, names_, views_};
    start();
}

void Play::put_back() {
    if (!backup_) return;
    stop();
    fs::remove_all(options_.directory);
    copy_directory(directory_.path() / "backup", options_.directory);
    known_ = backup_->known;
    last_order_ = backup_->last_order;
    purged_ = backup_->purged;
    names_ = backup_->names;
    views_ = backup_->views;
    threads_.clear();
    for (auto& reader : readers_) reader = {};  // numbers that were given out come again
    start();
}

void Play::tear(const ModelStep& step) {
    fs::path newest;
    for (const auto& file : fs::directory_iterator(options_.directory / "log/0"))
        newest = std::max(newest, file.path());
    auto log = read_whole(newest);
    auto end = log.find_last_not_of('\0') + 1;
    if (end <= 128) return;
    auto piece = log.substr(64, 8 + step.a % (end - 72));
    end += 16;  // the last record may end in zeros
    if (log.size() < end + piece.size()) log.resize(end + piece.size(), '\0');
    log.replace(end, piece.size(), piece);
    std::ofstream(newest, std::ios::binary | std::ios::trunc) << log;
}

}  // namespace poplar::test::model
