#include "engine/local/backup_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"

namespace poplar::engine::local {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPart = 1u << 20;
constexpr std::size_t kBlock = 4096;  // what can be a hole, and what is compared at a file's ends

bool is_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

// Writes all but the blocks of zeros.
Result<> write_data(File& file, std::string_view bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        std::size_t zeros = 0, data = 0;
        while (zeros < bytes.size() && is_zero(bytes.substr(zeros, kBlock)))
            zeros += std::min(kBlock, bytes.size() - zeros);
        bytes.remove_prefix(zeros);
        offset += zeros;
        while (data < bytes.size() && !is_zero(bytes.substr(data, kBlock)))
            data += std::min(kBlock, bytes.size() - data);
        if (auto done = file.write_at(bytes.substr(0, data), offset); !done) return done;
        bytes.remove_prefix(data);
        offset += data;
    }
    return {};
}

// Calls `take` with the parts of the file's first `size` octets that are no hole.
Result<std::string> read_parts(const File& file, std::uint64_t size, const BackupPace& pace,
                               const std::function<Result<>(std::string_view, std::uint64_t)>& take) {
    Digest digest;
    std::string part(kPart, '\0');
    for (std::uint64_t at = 0; at < size;) {
        auto data = file.next_data(at);
        if (!data) return pass_on(data);
        // Parts begin at blocks' beginnings, so that holes are found again.
        auto begin = std::clamp(*data / kBlock * kBlock, at, size);
        digest.add_zeros(begin - at);
        at = begin;
        if (at == size) break;
        auto got = file.read_at(part.data(), std::min<std::uint64_t>(kPart, size - at), at);
        if (!got) return pass_on(got);
        if (*got == 0) return fail(Errc::corrupt, fmt::format("{} is too short", file.path().string()));
        std::string_view bytes(part.data(), *got);
        digest.add(bytes);
        if (auto done = take(bytes, at); !done) return pass_on(done);
        at += *got;
        if (!pace(*got)) return fail(Errc::cancelled, "it was given up");
    }
    return digest.finish();
}

}  // namespace

Result<std::string> copy_file(Disk& disk, const fs::path& from, const fs::path& to, std::uint64_t size,
                              const BackupPace& pace) {
    auto source = File::open(disk, from, File::Mode::read);
    if (!source) return pass_on(source);
    auto target = File::open(disk, to, File::Mode::create_new);
    if (!target) return pass_on(target);
    auto write = [&](std::string_view bytes, std::uint64_t offset) { return write_data(*target, bytes, offset); };
    auto digest = read_parts(*source, size, pace, write);
    if (!digest) return digest;
    if (auto done = target->truncate(size); !done) return pass_on(done);
    if (auto done = target->sync_metadata(Sync::copy); !done) return pass_on(done);
    return digest;
}

Result<std::string> digest_file(Disk& disk, const fs::path& path, const BackupPace& pace) {
    auto file = File::open(disk, path, File::Mode::read);
    if (!file) return pass_on(file);
    auto size = file->size();
    if (!size) return pass_on(size);
    return read_parts(*file, *size, pace, [](std::string_view, std::uint64_t) { return Result<>(); });
}

bool same_file(Disk& disk, const fs::path& one, const fs::path& other) {
    auto a = File::open(disk, one, File::Mode::read), b = File::open(disk, other, File::Mode::read);
    if (!a || !b) return false;
    // Two file systems may give the same number, but a file with one name alone is no link of another's.
    auto left = a->identity(), right = b->identity();
    auto links = a->links();
    return left && right && *left == *right && links && *links > 1 && same_ends(disk, one, other);
}

bool same_ends(Disk& disk, const fs::path& one, const fs::path& other) {
    auto a = File::open(disk, one, File::Mode::read), b = File::open(disk, other, File::Mode::read);
    if (!a || !b) return false;
    auto size = a->size();
    if (auto its = b->size(); !size || !its || *its != *size) return false;
    auto ends = [&](const File& file) {
        std::string bytes(2 * kBlock, '\0');
        auto begin = *size - std::min<std::uint64_t>(*size, kBlock);
        (void)file.read_at(bytes.data(), kBlock, 0);
        (void)file.read_at(bytes.data() + kBlock, kBlock, begin);
        return bytes;
    };
    auto left = ends(*a);
    // An end that was given back to the disk tells nothing.
    return left == ends(*b) && !is_zero(std::string_view(left).substr(kBlock));
}

Result<> make_folders(Disk& disk, const fs::path& root, const fs::path& folder) {
    auto path = root;
    for (const auto& name : folder.lexically_relative(root)) {
        path /= name;
        if (auto made = ensure_directory(disk, path); !made) return made;
    }
    return {};
}

Result<std::string> read_text(Disk& disk, const fs::path& path) {
    auto file = File::open(disk, path, File::Mode::read);
    if (!file) return pass_on(file);
    auto size = file->size();
    if (!size) return pass_on(size);
    std::string text(*size, '\0');
    auto got = file->read_at(text.data(), text.size(), 0);
    if (!got) return pass_on(got);
    text.resize(*got);
    return text;
}

Result<> write_text(Disk& disk, const fs::path& path, std::string_view text) {
    auto file = File::open(disk, path, File::Mode::create_new);
    if (!file) return pass_on(file);
    if (auto done = file->write_at(text, 0); !done) return done;
    return file->sync_metadata(Sync::copy);
}

}  // namespace poplar::engine::local
