// Each call on the platter, counted, and made to fail if it is the one that is to fail.
#include "tests/support/disk/simulated_disk.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace poplar::test {

namespace {
bool is_index(std::string_view path) { return path.find("/index") != std::string_view::npos; }
}  // namespace

std::string_view to_string(Call call) {
    constexpr auto kNames = std::to_array<std::string_view>({"open", "read", "write", "fdatasync", "fsync", "truncate",
                                                             "allocate", "list", "mkdir", "link", "rename", "unlink"});
    return kNames[static_cast<std::size_t>(call)];
}

SimulatedDisk::SimulatedDisk(std::shared_ptr<Platter> platter) : platter_(std::move(platter)), env_(make_env(*this)) {}
SimulatedDisk::~SimulatedDisk() = default;

void SimulatedDisk::kill() {
    std::lock_guard guard(mutex_);
    dead_ = true;
    for (auto& [fd, file] : files_) --platter_->live(file.node).opened;
    files_.clear();
}

PowerCut SimulatedDisk::power_cut() const {
    std::lock_guard guard(mutex_);
    return PowerCut(*platter_);
}

std::map<Sync, int> SimulatedDisk::syncs() const {
    std::lock_guard guard(mutex_);
    return syncs_;
}

void SimulatedDisk::set_fault(std::optional<Fault> fault) {
    std::lock_guard guard(mutex_);
    fault_ = fault;
    calls_.clear();
    faults_hit_ = 0;
}

std::uint64_t SimulatedDisk::calls(Call call, bool index) const {
    std::lock_guard guard(mutex_);
    auto it = calls_.find({call, index});
    return it == calls_.end() ? 0 : it->second;
}

std::uint64_t SimulatedDisk::faults_hit() const {
    std::lock_guard guard(mutex_);
    return faults_hit_;
}

void SimulatedDisk::set_capacity(std::optional<std::uint64_t> octets) {
    std::lock_guard guard(mutex_);
    capacity_ = octets;
}

std::uint64_t SimulatedDisk::used() const {
    std::lock_guard guard(mutex_);
    return platter_->used();
}

int SimulatedDisk::fail_with(int error) {
    errno = error;
    return -1;
}

bool SimulatedDisk::fails(Call call, bool index) {
    auto number = ++calls_[{call, index}];
    half_ = false;
    if (!fault_ || fault_->call != call || fault_->index != index) return false;
    if (number != fault_->nth && !(fault_->lasting && number > fault_->nth)) return false;
    ++faults_hit_;
    half_ = fault_->error == 0;
    if (half_) return false;
    errno = fault_->error;
    return true;
}

SimulatedDisk::Opened* SimulatedDisk::opened(int fd, std::optional<Call> call) {
    auto it = files_.find(fd);
    if (dead_ || it == files_.end()) return fail_with(dead_ ? EIO : EBADF), nullptr;
    if (call && fails(*call, it->second.index)) return nullptr;
    return &it->second;
}

bool SimulatedDisk::no_room(std::uint64_t octets) {
    return capacity_ && octets > 0 && platter_->used() + octets > *capacity_;
}

int SimulatedDisk::open(const char* path, int flags, unsigned) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    if (fails(Call::open, is_index(path))) return -1;
    int node = platter_->find(path);
    if (flags & O_CREAT) {
        if (node != Platter::kNothing && (flags & O_EXCL)) return fail_with(EEXIST);
        if (node == Platter::kNothing) node = platter_->make(path, false);
    }
    if (node == Platter::kNothing) return fail_with(ENOENT);
    if ((flags & O_DIRECTORY) && !platter_->node(node).directory) return fail_with(ENOTDIR);
    if (flags & O_TRUNC) platter_->resize(node, 0);
    ++platter_->live(node).opened;
    files_[next_fd_] = {node, is_index(path)};
    return next_fd_++;
}

int SimulatedDisk::close(int fd) {
    std::lock_guard guard(mutex_);
    auto it = files_.find(fd);
    if (it == files_.end()) return fail_with(EBADF);
    --platter_->live(it->second.node).opened;
    files_.erase(it);
    return 0;
}

ssize_t SimulatedDisk::pread(int fd, void* to, std::size_t size, std::uint64_t offset) {
    std::lock_guard guard(mutex_);
    auto* file = opened(fd, Call::read);
    if (!file) return -1;
    const auto& bytes = platter_->live(file->node).bytes;
    if (offset >= bytes.size()) return 0;
    if (half_) size = (size + 1) / 2;
    auto got = bytes.copy(static_cast<char*>(to), size, offset);
    return static_cast<ssize_t>(got);
}

ssize_t SimulatedDisk::pread_cached(int fd, void* to, std::size_t size, std::uint64_t offset) {
    return pread(fd, to, size, offset);
}

ssize_t SimulatedDisk::pwritev(int fd, const iovec* parts, int count, std::uint64_t offset) {
    std::lock_guard guard(mutex_);
    auto* file = opened(fd, Call::write);
    if (!file) return -1;
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    if (half_) bytes.resize((bytes.size() + 1) / 2);
    auto size = platter_->live(file->node).bytes.size();
    if (auto end = offset + bytes.size(); end > size && no_room(end - size)) {
        auto room = *capacity_ - std::min(*capacity_, platter_->used());
        auto fits = offset >= size ? room : size - offset + room;
        if (fits == 0) return fail_with(ENOSPC);
        bytes.resize(std::min<std::uint64_t>(bytes.size(), fits));
    }
    auto written = static_cast<ssize_t>(bytes.size());
    platter_->write(file->node, offset, std::move(bytes));
    return written;
}

int SimulatedDisk::sync(int fd, std::optional<Sync> what, Call call) {
    if (!dead_) {
        if (what && before_sync) before_sync(*what);
        if (before_any_sync) before_any_sync();
    }
    std::lock_guard guard(mutex_);
    auto* file = opened(fd, call);
    if (!file) {
        if (what && !dead_ && errno != EINTR)
            if (auto it = files_.find(fd); it != files_.end()) platter_->fail_to_sync(it->second.node);
        return -1;
    }
    if (what) ++syncs_[*what];
    if (what && omitted.contains(*what)) return 0;
    platter_->sync(file->node);
    return 0;
}

int SimulatedDisk::ftruncate(int fd, std::uint64_t size) {
    std::lock_guard guard(mutex_);
    auto* file = opened(fd, Call::truncate);
    if (!file) return -1;
    platter_->resize(file->node, size);
    return 0;
}

int SimulatedDisk::fallocate(int fd, int mode, std::uint64_t offset, std::uint64_t size) {
    std::lock_guard guard(mutex_);
    auto* file = opened(fd, Call::allocate);
    if (!file) return -1;
    auto now = platter_->live(file->node).bytes.size();
    if (mode & FALLOC_FL_PUNCH_HOLE)
        platter_->punch(file->node, offset, size);
    else if (offset + size > now) {
        if (no_room(offset + size - now)) return fail_with(ENOSPC);
        platter_->resize(file->node, offset + size);
    }
    return 0;
}

std::int64_t SimulatedDisk::seek_data(int fd, std::uint64_t offset) {
    std::lock_guard guard(mutex_);
    auto* file = opened(fd);
    if (!file) return -1;
    auto at = platter_->live(file->node).bytes.find_first_not_of('\0', offset);
    if (at == std::string::npos) return fail_with(ENXIO);
    return static_cast<std::int64_t>(std::max<std::uint64_t>(offset, at / Platter::kBlock * Platter::kBlock));
}

std::int64_t SimulatedDisk::size(int fd) {
    std::lock_guard guard(mutex_);
    auto* file = opened(fd);
    return file ? static_cast<std::int64_t>(platter_->live(file->node).bytes.size()) : -1;
}

std::int64_t SimulatedDisk::links(int fd) {
    std::lock_guard guard(mutex_);
    auto* file = opened(fd);
    return file ? platter_->live(file->node).links : -1;
}

std::int64_t SimulatedDisk::identity(int fd) {
    std::lock_guard guard(mutex_);
    auto* file = opened(fd);
    return file ? file->node : -1;
}

int SimulatedDisk::lock(int fd) {
    std::lock_guard guard(mutex_);
    return opened(fd) ? 0 : -1;
}

int SimulatedDisk::list(const char* path, std::vector<Name>& names) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    if (fails(Call::list, is_index(path))) return -1;
    int node = platter_->find(path);
    if (node == Platter::kNothing) return fail_with(ENOENT);
    for (const auto& [name, target] : platter_->live(node).names)
        names.push_back({name, platter_->node(target).directory});
    return 0;
}

int SimulatedDisk::mkdir(const char* path, unsigned) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    if (fails(Call::mkdir, is_index(path))) return -1;
    if (platter_->find(path) != Platter::kNothing) return fail_with(EEXIST);
    return platter_->make(path, true) == Platter::kNothing ? fail_with(ENOENT) : 0;
}

int SimulatedDisk::link(const char* from, const char* to) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    if (fails(Call::link, is_index(to))) return -1;
    int node = platter_->find(from), folder = platter_->find(Platter::parent(to));
    if (node == Platter::kNothing || folder == Platter::kNothing) return fail_with(ENOENT);
    if (platter_->find(to) != Platter::kNothing) return fail_with(EEXIST);
    platter_->set_names(folder, {{Platter::leaf(to), node}});
    return 0;
}

int SimulatedDisk::rename(const char* from, const char* to) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    if (fails(Call::rename, is_index(to))) return -1;
    int node = platter_->find(from), folder = platter_->find(Platter::parent(to));
    int old_folder = platter_->find(Platter::parent(from));
    if (node == Platter::kNothing || folder == Platter::kNothing) return fail_with(ENOENT);
    if (folder == old_folder) {
        platter_->set_names(folder, {{Platter::leaf(from), Platter::kNothing}, {Platter::leaf(to), node}});
    } else {
        platter_->set_names(folder, {{Platter::leaf(to), node}});
        platter_->set_names(old_folder, {{Platter::leaf(from), Platter::kNothing}});
    }
    return 0;
}

int SimulatedDisk::unlink(const char* path) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    if (fails(Call::unlink, is_index(path))) return -1;
    int node = platter_->find(path);
    if (node == Platter::kNothing) return fail_with(ENOENT);
    if (platter_->node(node).directory) return fail_with(EISDIR);
    platter_->set_names(platter_->find(Platter::parent(path)), {{Platter::leaf(path), Platter::kNothing}});
    return 0;
}

int SimulatedDisk::rmdir(const char* path) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    int node = platter_->find(path);
    if (node == Platter::kNothing) return fail_with(ENOENT);
    if (!platter_->live(node).names.empty()) return fail_with(ENOTEMPTY);
    platter_->set_names(platter_->find(Platter::parent(path)), {{Platter::leaf(path), Platter::kNothing}});
    return 0;
}

std::int64_t SimulatedDisk::disk_octets(const char* path) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    int node = platter_->find(path);
    if (node == Platter::kNothing) return fail_with(ENOENT);
    return static_cast<std::int64_t>(platter_->live(node).bytes.size());
}

std::int64_t SimulatedDisk::free_space(const char*) {
    std::lock_guard guard(mutex_);
    if (dead_) return fail_with(EIO);
    if (!capacity_) return std::int64_t{1} << 40;
    return static_cast<std::int64_t>(*capacity_ - std::min(*capacity_, platter_->used()));
}

void SimulatedDisk::reached(Step step) {
    if (!dead_ && on_step) on_step(step);
}

}  // namespace poplar::test
