// Makes messages with their mark, and finds the end of each that comes back.
#include "bench/load/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <random>

#include "base/crc32c.h"

namespace poplar::bench {

namespace {

constexpr std::string_view kMark = "X-Poplar-Bench: ";
constexpr std::string_view kEnd = "\r\n.\r\n";
constexpr std::size_t kMarkWithin = 16'384;  ///< a mark further from the beginning is not one

/// The inverse of the normal distribution, by bisection: exact enough to spread sizes.
double normal_quantile(double p) {
    double low = -8, high = 8;
    for (int i = 0; i < 60; ++i) {
        double middle = (low + high) / 2;
        (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
    }
    return low;
}

void append_text(std::string& to, std::size_t until, std::mt19937_64& random) {
    static constexpr std::array<std::string_view, 16> kWords = {
        "mail",  "the",     "and",  "of",   "a",      "deliver", "queue",   "message",
        "river", "council", "with", "from", "Monday", "please",  "invoice", "attached"};
    std::size_t line = 0;
    while (to.size() + 2 < until) {
        if (line == 0 && random() % 40 == 0) {
            to += "..";  // a line that began with "."
            line = 1;
        }
        std::string_view word = kWords[random() % kWords.size()];
        to += word;
        to += ' ';
        line += word.size() + 1;
        if (line > 68) {
            to += "\r\n";
            line = 0;
        }
    }
    to += "\r\n";
}

void append_base64(std::string& to, std::size_t until, std::mt19937_64& random) {
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (to.size() + 78 < until) {
        for (int i = 0; i < 76;) {
            auto bits = random();
            for (int k = 0; k < 10 && i < 76; ++k, ++i, bits >>= 6) to += kDigits[bits & 63];
        }
        to += "\r\n";
    }
}

}  // namespace

std::string make_message(std::size_t octets, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::string rest = fmt::format(
        "From: Sender {0} <sender{0}@elsewhere.example>\r\nTo: <someone@example.test>\r\nSubject: Message {0} of the "
        "load\r\nDate: Mon, 01 Jan 2024 12:00:00 +0000\r\nMessage-ID: <{0}.{1}@elsewhere.example>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n",
        seed, octets);
    constexpr std::size_t kMarkLine = 37;
    std::size_t body_end = std::max(octets, rest.size() + kMarkLine + 16) - kMarkLine;
    // Large mail is an attachment behind a little text.
    if (body_end > 20'000) {
        append_text(rest, 4000, random);
        append_base64(rest, body_end, random);
    }
    append_text(rest, body_end, random);
    return fmt::format("{}{:010} {:08x}\r\n", kMark, rest.size(), crc32c(rest)) + rest;
}

MessagePool::MessagePool(Sizes sizes) {
    std::vector<std::size_t> all;
    if (sizes.fixed != 0) {
        all.assign(sizes.fixed > 500'000 ? 4 : 64, sizes.fixed);
    } else {
        // Evenly spaced quantiles, so that a short run has the same mix as a long one, in an order without pattern.
        constexpr int kCount = 1024;
        for (int i = 0; i < kCount; ++i) {
            double size = Sizes::kMedian * std::exp(Sizes::kSigma * normal_quantile((i + 0.5) / kCount));
            all.push_back(std::min(Sizes::kLargest, static_cast<std::size_t>(size)));
        }
        std::mt19937_64 random(1);
        for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random() % i]);
    }
    for (std::size_t size : all) messages_.push_back(make_message(size, messages_.size() + 1) + ".\r\n");
}

void MessageReader::begin() { *this = {}; }

std::size_t MessageReader::take(std::string_view octets) {
    std::size_t taken = 0;
    if (state_ == State::searching_mark) {
        auto mark = octets.find(kMark);
        if (mark != octets.npos && mark < kMarkWithin && (mark == 0 || octets[mark - 1] == '\n')) {
            auto line = octets.substr(mark + kMark.size());
            if (line.size() < 21) return 0;  // the mark's line is not all here yet
            auto number = [](std::string_view text, auto& value, int base) {
                return std::from_chars(text.data(), text.data() + text.size(), value, base).ptr ==
                       text.data() + text.size();
            };
            bool read = number(line.substr(0, 10), left_, 10) && number(line.substr(11, 8), wanted_crc_, 16);
            verdict_ = Verdict::bad;
            state_ = read ? State::marked : State::unmarked;
            taken = mark + kMark.size() + 21;
        } else if (octets.size() < kMarkWithin && octets.find(kEnd) == octets.npos && !octets.starts_with(".\r\n")) {
            return 0;
        } else {
            state_ = State::unmarked;
        }
    }
    if (state_ == State::marked) taken += take_marked(octets.substr(taken));
    if (state_ == State::unmarked) taken += take_unmarked(octets.substr(taken));
    octets_ += taken;
    return taken;
}

std::size_t MessageReader::take_marked(std::string_view octets) {
    if (left_ > octets.size()) {
        // No message has an end inside it, so this one came back shorter than it was.
        if (octets.ends_with(kEnd)) {
            state_ = State::ended;
            return octets.size();
        }
        octets.remove_suffix(std::min(octets.size(), kEnd.size() - 1));  // what may be the beginning of an end
    }
    auto body = octets.substr(0, std::min<std::uint64_t>(left_, octets.size()));
    crc_ = crc32c(body, crc_);
    left_ -= body.size();
    if (left_ > 0) return body.size();
    auto rest = octets.substr(body.size());
    if (rest.size() < 3) return body.size();
    if (rest.starts_with(".\r\n")) {
        verdict_ = crc_ == wanted_crc_ ? Verdict::good : Verdict::bad;
        state_ = State::ended;
        return body.size() + 3;
    }
    state_ = State::unmarked;  // it came back longer: its end is looked for, and it stays bad
    return body.size();
}

std::size_t MessageReader::take_unmarked(std::string_view octets) {
    if (octets_ == 0 && octets.starts_with(".\r\n")) {  // an empty message
        state_ = State::ended;
        return 3;
    }
    if (auto end = octets.find(kEnd); end != octets.npos) {
        state_ = State::ended;
        return end + kEnd.size();
    }
    return octets.size() < kEnd.size() ? 0 : octets.size() - (kEnd.size() - 1);
}

}  // namespace poplar::bench
