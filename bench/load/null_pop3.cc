#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>

#include "bench/load/messages.h"
#include "bench/load/null.h"

namespace poplar::bench {

namespace {

constexpr std::size_t kInput = 1024, kMemory = 64 << 20;
constexpr auto kPatience = std::chrono::hours(24);

iovec piece(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

/// The answer to one command, by its first octets: no more is read of it. `next`: the message that RETR gives.
std::string_view answer(std::string_view line, const CannedMaildrop& maildrop, std::uint64_t& next) {
    constexpr auto word = [](const char(&text)[5]) {
        return std::uint32_t(text[0]) | std::uint32_t(text[1]) << 8 | std::uint32_t(text[2]) << 16 |
               std::uint32_t(text[3]) << 24;
    };
    if (line.size() < 4) return "-ERR\r\n";
    switch (std::uint32_t(line[0]) | std::uint32_t(line[1]) << 8 | std::uint32_t(line[2]) << 16 |
            std::uint32_t(line[3]) << 24) {
        case word("STAT"): return maildrop.stat;
        case word("RETR"): return maildrop.retr(next++);
        case word("UIDL"): return maildrop.uidl;
        case word("LIST"): return maildrop.list;
        case word("CAPA"): return "+OK\r\nUSER\r\nSTLS\r\nUIDL\r\nPIPELINING\r\n.\r\n";
        default: return "+OK\r\n";
    }
}

}  // namespace

CannedMaildrop::CannedMaildrop(std::uint64_t count, std::size_t size) {
    std::string message = make_message(size, 1);
    stat = fmt::format("+OK {} {}\r\n", count, count * message.size());
    list = uidl = "+OK\r\n";
    for (std::uint64_t i = 1; i <= count; ++i) {
        fmt::format_to(std::back_inserter(list), "{} {}\r\n", i, message.size());
        fmt::format_to(std::back_inserter(uidl), "{} {:016x}\r\n", i, i * 0x9E3779B97F4A7C15ULL);
    }
    list += ".\r\n";
    uidl += ".\r\n";
    std::string retr = fmt::format("+OK {} octets\r\n{}.\r\n", message.size(), message);
    message_size_ = retr.size();
    copies_ = count == 0 ? 1 : std::max<std::uint64_t>(1, kMemory / message_size_);
    for (std::uint64_t i = 0; i < copies_; ++i) messages_ += retr;
}

Detached serve_pop3(Loop& loop, int accepted, const CannedMaildrop& maildrop, SSL_CTX* context, Implicit implicit) {
    Channel channel(loop, kInput, kPatience);
    if (!channel.adopt(accepted)) co_return;
    if (implicit == Implicit::yes)
        if (auto done = co_await channel.accept_tls(context); !done) co_return;
    if (auto sent = co_await channel.write("+OK null\r\n"); !sent) co_return;
    std::array<iovec, 16> answers;
    static std::atomic<std::uint64_t> sessions{0};
    std::uint64_t next = 997 * sessions.fetch_add(1, std::memory_order_relaxed);
    for (;;) {
        if (auto more = co_await channel.fill(); !more) co_return;
        // Commands that were sent together are answered together.
        std::size_t count = 0;
        for (;;) {
            auto input = channel.input();
            auto end = input.find('\n');
            bool last = end == input.npos;
            bool stls = !last && input.starts_with("STLS"), quit = !last && input.starts_with("QUIT");
            if (!last) {
                answers[count++] = piece(answer(input, maildrop, next));
                channel.consume(end + 1);
            }
            if (count > 0 && (last || stls || quit || count == answers.size())) {
                if (auto sent = co_await channel.write(std::span(answers.data(), count)); !sent) co_return;
                count = 0;
            }
            if (quit) co_return;
            if (stls)
                if (auto done = co_await channel.accept_tls(context); !done) co_return;
            if (last || stls) break;
        }
    }
}

}  // namespace poplar::bench
