// Lines of text, so that `sha256sum` and a pair of eyes can check a backup without Poplar. The last line is a digest of
// the lines before it.
#include "engine/local/backup_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/digest.h"
#include "base/encoding.h"

namespace poplar::engine::local {

namespace {

constexpr std::size_t kDigestDigits = 64;
constexpr std::size_t kLongestPath = 255;

std::string digest_of(std::string_view text) {
    Digest digest;
    digest.add(text);
    return digest.finish();
}

// The line's end, and what comes behind it; an unfinished line is none.
std::optional<std::string_view> take_line(std::string_view& text) {
    auto end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

std::optional<std::string_view> take_word(std::string_view& line) {
    auto end = line.find(' ');
    if (end == std::string_view::npos) return std::nullopt;
    auto word = line.substr(0, end);
    line.remove_prefix(end + 1);
    return word;
}

template <class Number>
bool parse(std::string_view text, Number& number, int base = 10) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc() && end == text.data() + text.size();
}

bool is_digest(std::string_view text) {
    return text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Names as the store gives them, with "/" between: nothing that leads elsewhere.
bool is_path(std::string_view path) {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    if (path.empty() || path.size() > kLongestPath || path.find_first_not_of(kLetters) != std::string_view::npos)
        return false;
    for (std::size_t at = 0; at <= path.size();) {
        auto end = std::min(path.find('/', at), path.size());
        auto name = path.substr(at, end - at);
        if (name.empty() || name == "." || name == "..") return false;
        at = end + 1;
    }
    return true;
}

std::optional<BackupFile> parse_file(std::string_view line) {
    BackupFile file;
    auto digest = take_word(line), size = take_word(line);
    if (!digest || !is_digest(*digest) || !size || !parse(*size, file.size) || !is_path(line)) return std::nullopt;
    file.digest = *digest;
    file.path = line;
    return file;
}

}  // namespace

std::uint64_t BackupManifest::octets() const {
    std::uint64_t sum = 0;
    for (const auto& file : files) sum += file.size;
    return sum;
}

const BackupFile* BackupManifest::find(std::string_view path) const {
    auto it = std::ranges::lower_bound(files, path, {}, [](const auto& file) { return std::string_view(file.path); });
    return it != files.end() && it->path == path ? &*it : nullptr;
}

std::string encode_manifest(const BackupManifest& manifest) {
    auto text = fmt::format("poplar-backup {}\ntaken {}\nmark {:016x}\n", BackupManifest::kNewest,
                            millis(manifest.taken), manifest.mark.value);
    for (const auto& file : manifest.files) text += fmt::format("file {} {} {}\n", file.digest, file.size, file.path);
    return text + fmt::format("check {}\n", digest_of(text));
}

Result<BackupManifest> parse_manifest(std::string_view text) {
    constexpr std::string_view kFirst = "poplar-backup ", kTaken = "taken ", kMark = "mark ", kFile = "file ";
    const auto damaged = fail(Errc::corrupt, "MANIFEST is damaged");
    auto last = text.substr(0, text.size() - std::min<std::size_t>(text.size(), 1)).rfind('\n');
    if (last == std::string_view::npos) return damaged;
    auto lines = text.substr(0, last + 1);
    if (text.substr(last + 1) != fmt::format("check {}\n", digest_of(lines))) return damaged;
    int version = 0;
    auto first = take_line(lines);
    if (!first || !first->starts_with(kFirst) || !parse(first->substr(kFirst.size()), version)) return damaged;
    if (version > BackupManifest::kNewest)
        return fail(Errc::invalid,
                    fmt::format("a backup of format {}, this poplar knows up to {}", version, BackupManifest::kNewest));
    BackupManifest manifest;
    std::uint64_t taken = 0;
    auto line = take_line(lines);
    if (!line || !line->starts_with(kTaken) || !parse(line->substr(kTaken.size()), taken)) return damaged;
    manifest.taken = timestamp(taken);
    line = take_line(lines);
    if (!line || !line->starts_with(kMark) || !parse(line->substr(kMark.size()), manifest.mark.value, 16))
        return damaged;
    while (!lines.empty()) {
        line = take_line(lines);
        if (!line || !line->starts_with(kFile)) return damaged;
        auto file = parse_file(line->substr(kFile.size()));
        if (!file || (!manifest.files.empty() && manifest.files.back().path >= file->path)) return damaged;
        manifest.files.push_back(std::move(*file));
    }
    return manifest;
}

}  // namespace poplar::engine::local
