#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "bench/load/null.h"

namespace poplar::bench {

namespace {

constexpr std::size_t kInput = 131'072;
constexpr auto kPatience = std::chrono::hours(24);
constexpr off_t kAllocate = 256L << 20, kLargest = 2048L << 20;
constexpr std::string_view kEnd = "\r\n.\r\n";

}  // namespace

Sink::Sink(const std::string& file) : file_(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
    if (!file_) throw std::runtime_error(fmt::format("{}: {}", file, std::strerror(errno)));
}

void Sink::write(std::vector<iovec>& pieces) {
    std::span<iovec> left = pieces;
    while (!left.empty()) {
        if (end_ > allocated_ - (64 << 20)) {
            // Room ahead, so that a sync changes no size; begun anew when it is large.
            if (end_ > kLargest) {
                end_ = allocated_ = 0;
                if (::ftruncate(file_.get(), 0) != 0) throw std::runtime_error("the sink: ftruncate");
            }
            if (::posix_fallocate(file_.get(), allocated_, kAllocate) != 0)
                throw std::runtime_error("the sink: fallocate");
            allocated_ += kAllocate;
        }
        ssize_t written =
            ::pwritev(file_.get(), left.data(), static_cast<int>(std::min<std::size_t>(left.size(), 1024)), end_);
        if (written < 0) throw std::runtime_error(fmt::format("the sink: {}", std::strerror(errno)));
        end_ += written;
        auto done = static_cast<std::size_t>(written);
        while (!left.empty() && done >= left.front().iov_len) {
            done -= left.front().iov_len;
            left = left.subspan(1);
        }
        if (done > 0) left.front() = {static_cast<char*>(left.front().iov_base) + done, left.front().iov_len - done};
    }
    pieces.clear();
}

void Sink::append(std::string_view octets) {
    one_.assign(1, {const_cast<char*>(octets.data()), octets.size()});
    write(one_);
}

void Sink::sync() {
    if (waiters_.empty()) return;
    write(pieces_);
    if (::fdatasync(file_.get()) != 0) throw std::runtime_error("the sink: fdatasync");
    waking_.swap(waiters_);
    for (auto waiter : waking_) waiter.resume();
    waking_.clear();
}

Detached serve_lmtp(Loop& loop, int accepted, Sink& sink) {
    Channel channel(loop, kInput, kPatience);
    if (!channel.adopt(accepted)) co_return;
    if (auto sent = co_await channel.write("220 null\r\n"); !sent) co_return;
    std::string answers;
    unsigned recipients = 0;
    for (;;) {
        if (auto more = co_await channel.fill(); !more) co_return;
        bool quit = false, data = false;
        answers.clear();
        for (std::size_t end; (end = channel.input().find('\n')) != std::string_view::npos && !data;) {
            auto line = channel.input().substr(0, end);
            data = line.starts_with("DATA");
            quit = line.starts_with("QUIT");
            recipients += line.starts_with("RCPT");
            answers += data                                                   ? "354 go\r\n"
                       : quit                                                 ? "221 bye\r\n"
                       : line.starts_with("LHLO") || line.starts_with("EHLO") ? "250-null\r\n250 PIPELINING\r\n"
                                                                              : "250 ok\r\n";
            channel.consume(end + 1);
        }
        if (auto sent = co_await channel.write(answers); !sent || quit) co_return;
        if (!data) continue;
        // Our client sends nothing behind the end, so the end of the input tells.
        while (!channel.input().ends_with(kEnd)) {
            auto have = channel.input();
            if (have.size() > kInput - 4096) {
                sink.append(have.substr(0, have.size() - kEnd.size()));
                channel.consume(have.size() - kEnd.size());
            }
            if (auto more = co_await channel.fill(); !more) co_return;
        }
        co_await sink.commit(channel.input());
        channel.consume(channel.input().size());
        answers.clear();
        for (; recipients > 0; --recipients) answers += "250 ok\r\n";
        if (auto sent = co_await channel.write(answers); !sent) co_return;
    }
}

}  // namespace poplar::bench
