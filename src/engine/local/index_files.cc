// Checks tables by the checksums that the MANIFEST has of them, logs by those of their records, the rest by sums of our
// own.
#include "engine/local/index_files.h"

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/metadata.h>
#include <rocksdb/sst_file_reader.h>

#include <algorithm>
#include <charconv>

#include "base/crc32c.h"
#include "base/encoding.h"
#include "base/log.h"

namespace poplar::engine::local {

using namespace std::string_view_literals;

namespace {

constexpr std::size_t kChunk = 256u << 10;

std::optional<std::string> read_file(rocksdb::Env& env, const std::filesystem::path& path) {
    std::string bytes;
    if (!rocksdb::ReadFileToString(&env, path.string(), &bytes).ok()) return std::nullopt;
    return bytes;
}

// RocksDB's texts say "... offset N size M ...".
std::uint64_t offset_in(std::string_view text) {
    constexpr std::string_view kWord = " offset ";
    auto at = text.find(kWord);
    std::uint64_t offset = 0;
    if (at != std::string_view::npos)
        std::from_chars(text.data() + at + kWord.size(), text.data() + text.size(), offset);
    return offset;
}

// The file that a CURRENT names.
std::optional<std::string> manifest_in(std::string_view current) {
    if (!current.starts_with("MANIFEST-") || !current.ends_with('\n')) return std::nullopt;
    current.remove_suffix(1);
    if (current.find_first_of("/\n\0"sv) != std::string_view::npos) return std::nullopt;
    return std::string(current);
}

// Whether a sector behind `begin` holds nothing, as one does that a power cut kept from the disk. A flipped bit leaves
// none, and what it hits must not be cut off: there may be no way back to the index before.
bool unwritten(std::string_view bytes, std::uint64_t begin) {
    constexpr std::uint64_t kSector = 512;
    for (auto at = begin; at < bytes.size(); at += kSector - at % kSector)
        if (bytes.substr(at, kSector - at % kSector).find_first_not_of('\0') == std::string_view::npos) return true;
    return false;
}

}  // namespace

std::optional<std::uint64_t> damage_in_log(std::string_view bytes) {
    // Blocks of 32 KB; records: masked crc (4), length (2), type (1), of the recyclable types a log number (4); the crc
    // is over what follows the length. A block's last octets that no header fits in are zeros.
    constexpr std::size_t kBlock = 32768, kHeader = 7, kRecyclable = 5;
    for (std::size_t at = 0; at < bytes.size();) {
        std::size_t left = std::min(kBlock - at % kBlock, bytes.size() - at);
        if (kBlock - at % kBlock < kHeader) {
            if (bytes.substr(at, left).find_first_not_of('\0') != std::string_view::npos) return at;
            at += left;
            continue;
        }
        if (left < kHeader) return at;
        Decoder in(bytes.substr(at));
        std::uint32_t masked = in.u32() - 0xa282ead8u;
        std::uint32_t crc = (masked >> 17) | (masked << 15);
        std::size_t length = in.u8();
        length |= std::size_t{in.u8()} << 8;
        std::size_t header = in.u8() >= kRecyclable ? kHeader + 4 : kHeader;
        if (header + length > left || crc != crc32c(bytes.substr(at + 6, header - 6 + length))) return at;
        at += header + length;
    }
    return std::nullopt;
}

std::optional<std::string> damage_in_current(rocksdb::Env& env, const std::filesystem::path& directory) {
    auto current = read_file(env, directory / "CURRENT");
    if (!current) return std::nullopt;
    auto name = manifest_in(*current);
    if (!name) return "it names no MANIFEST";
    if (!env.FileExists((directory / *name).string()).IsNotFound()) return std::nullopt;
    return fmt::format("it names {}, which is not there", *name);
}

TornManifest::TornManifest(rocksdb::Env& env, const std::filesystem::path& directory) : env_(env) {
    auto current = read_file(env, directory / "CURRENT");
    auto name = current ? manifest_in(*current) : std::nullopt;
    if (!name) return;
    path_ = directory / *name;
    if (auto bytes = read_file(env, path_)) bytes_ = std::move(*bytes);
}

bool TornManifest::cut() {
    auto end = damage_in_log(bytes_);
    if (!end || *end == 0 || !unwritten(bytes_, *end) || !replace(bytes_.substr(0, *end))) return false;
    log::warning("store.index", {{"says", "the end of its MANIFEST is torn"}, {"cut_octets", bytes_.size() - *end}});
    return true;
}

void TornManifest::put_back() { (void)replace(bytes_); }

// In one step: the draft's name is one that RocksDB removes if a crash leaves it.
bool TornManifest::replace(const std::string& bytes) {
    auto draft = std::filesystem::path(path_).replace_filename("000000.dbtmp").string();
    return rocksdb::WriteStringToFile(&env_, bytes, draft, true).ok() && env_.RenameFile(draft, path_.string()).ok();
}

Damage IndexFiles::failed(const std::string& name, const rocksdb::Status& status) const {
    auto damage = damaged(name, offset_in(status.ToString()), status.ToString());
    damage.unread = status.IsIOError() && !status.IsPathNotFound();
    return damage;
}

IndexFiles::IndexFiles(rocksdb::DB& db, std::filesystem::path directory, std::string_view stored)
    : db_(db), directory_(std::move(directory)) {
    sums_ = sums_now();
    Decoder in(stored);
    for (auto n = in.varint(); n > 0 && in.ok(); --n) {
        std::string name(in.string());
        auto sum = in.u32();
        auto it = sums_.find(name);
        if (it != sums_.end() && in.ok() && it->second != sum)
            found_.push_back(damaged(name, 0, "the file is not what it was"));
    }
}

// IDENTITY and OPTIONS files: written once, and nothing the index depends on.
IndexFiles::Sums IndexFiles::sums_now() const {
    Sums sums;
    std::vector<std::string> names;
    if (!db_.GetEnv()->GetChildren(directory_.string(), &names).ok()) return sums;
    for (const auto& name : names) {
        if (name != "IDENTITY" && !(name.starts_with("OPTIONS-") && !name.ends_with(".dbtmp"))) continue;
        if (auto bytes = read_file(*db_.GetEnv(), directory_ / name)) sums[name] = crc32c(*bytes);
    }
    return sums;
}

std::string IndexFiles::sums() const {
    Encoder out;
    out.varint(sums_.size());
    for (const auto& [name, sum] : sums_) out.string(name).u32(sum);
    return std::move(out).bytes();
}

Result<std::vector<Damage>> IndexFiles::check(const Pace& pace) const {
    std::vector<Damage> found;
    for (const auto& [name, sum] : sums_now())
        if (auto it = sums_.find(name); it != sums_.end() && it->second != sum)
            found.push_back(damaged(name, 0, "the file is not what it was"));

    auto refuse = [](const rocksdb::Status& status) { return fail(Errc::io, "index: " + status.ToString()); };
    // Nothing that is looked at may be removed meanwhile.
    if (auto held = db_.DisableFileDeletions(); !held.ok()) return refuse(held);
    struct Release {
        rocksdb::DB& db;
        ~Release() { (void)db.EnableFileDeletions(false); }
    } release{db_};
    rocksdb::LiveFilesStorageInfoOptions wanted;
    wanted.include_checksum_info = true;
    wanted.wal_size_for_flush = ~0ull;  // no flush for our sake
    std::vector<rocksdb::LiveFileStorageInfo> files;
    if (auto listed = db_.GetLiveFilesStorageInfo(wanted, &files); !listed.ok()) return refuse(listed);
    for (const auto& file : files) {
        const auto& name = file.relative_filename;
        if (file.file_type == rocksdb::kTableFile) {
            bool has_sum = file.file_checksum_func_name == "FileChecksumCrc32c";
            auto damage = check_table(name, has_sum ? file.file_checksum : std::string(), pace);
            if (!damage) return pass_on(damage);
            if (*damage) found.push_back(std::move(**damage));
        } else if (file.file_type == rocksdb::kDescriptorFile || file.file_type == rocksdb::kCurrentFile) {
            auto bytes = read_file(*db_.GetEnv(), directory_ / name);
            if (!bytes) {
                found.push_back(failed(name, rocksdb::Status::IOError("can't be read")));
            } else if (file.file_type == rocksdb::kCurrentFile) {
                if (*bytes != file.replacement_contents)
                    found.push_back(damaged(name, 0, "the file is not what it was"));
            } else if (bytes->size() < file.size) {
                found.push_back(damaged(name, bytes->size(), "the file is too short"));
            } else if (auto at = damage_in_log(std::string_view(*bytes).substr(0, file.size))) {
                found.push_back(damaged(name, *at, "a checksum is wrong"));
            }
        }
    }
    return found;
}

Result<std::optional<Damage>> IndexFiles::check_table(const std::string& name, const std::string& stored_sum,
                                                      const Pace& pace) const {
    auto path = (directory_ / name).string();
    std::string sum_text;
    if (!stored_sum.empty()) {
        std::unique_ptr<rocksdb::SequentialFile> file;
        auto status = db_.GetEnv()->NewSequentialFile(path, &file, rocksdb::EnvOptions());
        if (!status.ok()) return failed(name, status);
        std::string buffer(kChunk, '\0');
        std::uint32_t sum = 0;
        for (;;) {
            rocksdb::Slice got;
            status = file->Read(buffer.size(), &got, buffer.data());
            if (!status.ok()) return failed(name, status);
            if (got.empty()) break;
            sum = crc32c(got.ToStringView(), sum);
            if (!pace(got.size())) return fail(Errc::cancelled, "the check was stopped");
        }
        // Stored with its highest octet first.
        if (Encoder().u32_key(sum).bytes() == stored_sum) return std::nullopt;
        sum_text = "the file's checksum is wrong";
    }
    rocksdb::Options options;
    options.env = db_.GetEnv();
    rocksdb::SstFileReader reader(options);
    auto status = reader.Open(path);
    if (status.ok()) status = reader.VerifyChecksum();
    if (!status.ok()) return failed(name, status);
    if (!sum_text.empty()) return damaged(name, 0, sum_text);
    return std::nullopt;
}

}  // namespace poplar::engine::local
