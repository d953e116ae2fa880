#include "moving/source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/digest.h"

namespace poplar::moving {

namespace {
constexpr std::size_t kPart = 64 << 10;
constexpr std::size_t kLongestUniqueId = 70;

// A plain file; nothing else is opened, and no link is followed at the end of its path.
class OpenFile {
public:
    explicit OpenFile(const std::filesystem::path& path)
        : descriptor_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) {
        error_ = errno;
        struct stat found{};
        if (descriptor_ >= 0 && ::fstat(descriptor_, &found) == 0 && S_ISREG(found.st_mode))
            size_ = static_cast<std::uint64_t>(found.st_size);
    }
    ~OpenFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    bool gone() const { return descriptor_ < 0 && error_ == ENOENT; }
    const std::optional<std::uint64_t>& size() const { return size_; }  // nothing: it is not open
    std::ptrdiff_t read_at(char* to, std::size_t size, std::uint64_t offset) const {
        return ::pread(descriptor_, to, size, static_cast<off_t>(offset));
    }

private:
    const int descriptor_;
    std::optional<std::uint64_t> size_;
    int error_ = 0;
};

}  // namespace

Result<> read(const SourceMessage& message, const std::function<Result<>(std::string_view)>& take) {
    const OpenFile in(message.file);
    if (!in.size()) return fail(Errc::not_found, fmt::format("{} can't be opened", message.file.string()));
    std::string part(kPart, '\0');
    Digest digest;
    for (const auto& range : message.content) {
        for (std::uint64_t done = 0; done < range.size;) {
            const auto wanted = std::min<std::uint64_t>(range.size - done, part.size());
            const auto got = in.read_at(part.data(), wanted, range.offset + done);
            if (got < 0) return fail(Errc::io, fmt::format("{} can't be read", message.file.string()));
            if (got == 0) return fail(Errc::not_found, fmt::format("{} ends too early", message.file.string()));
            const auto text = std::string_view(part).substr(0, static_cast<std::size_t>(got));
            digest.add(text);
            if (auto taken = take(text); !taken) return taken;
            done += text.size();
        }
    }
    if (!message.digest.empty() && digest.finish() != message.digest)
        return fail(Errc::not_found,
                    fmt::format("{} has changed: {} is not where it was", message.file.string(), message.key));
    return {};
}

Result<std::optional<std::string>> read_small(const std::filesystem::path& path, std::uint64_t limit) {
    const OpenFile in(path);
    if (in.gone()) return std::nullopt;
    if (!in.size()) return fail(Errc::invalid, fmt::format("{} can't be opened, or is no plain file", path.string()));
    if (*in.size() > limit) return fail(Errc::invalid, fmt::format("{} is too large", path.string()));
    std::string text(*in.size(), '\0');
    for (std::size_t done = 0; done < text.size();) {
        const auto got = in.read_at(text.data() + done, text.size() - done, done);
        if (got < 0) return fail(Errc::io, fmt::format("{} can't be read", path.string()));
        if (got == 0) text.resize(done);
        done += static_cast<std::size_t>(got);
    }
    return text;
}

bool is_unique_id(std::string_view text) {
    return !text.empty() && text.size() <= kLongestUniqueId &&
           std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e; });
}

void settle_unique_ids(std::vector<SourceMessage>& messages) {
    std::set<std::string> seen;
    for (auto& message : messages) {
        auto& id = message.unique_id;
        if (id.empty()) continue;
        std::string_view why;
        if (id.size() > kLongestUniqueId)
            why = "is longer than 70 octets";
        else if (!is_unique_id(id))
            why = "has octets that no unique-id may have";
        else if (!seen.insert(id).second)
            why = "is an earlier message's, too";
        if (why.empty()) continue;
        message.not_kept = fmt::format("{} {}", printable_key(id), why);
        id.clear();
    }
}

std::string printable_key(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c > 0x20 && c < 0x7f && c != '%')
            out += c;
        else
            out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace poplar::moving
