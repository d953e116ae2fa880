#include "base/random.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace poplar {

namespace {

constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

void ask_kernel(char* to, std::size_t size) {
    while (size > 0) {
        ssize_t got = getrandom(to, std::min<std::size_t>(size, 256), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) std::abort();
        to += got;
        size -= static_cast<std::size_t>(got);
    }
}

// A session needs a few octets of its own: the kernel is asked for those of many at once.
struct Store {
    std::array<char, 256> octets;
    std::size_t left = 0;
};
thread_local Store t_store;

}  // namespace

void random_bytes(void* out, std::size_t size) {
    auto* to = static_cast<char*>(out);
    auto& store = t_store;
    if (size > store.octets.size() / 4) return ask_kernel(to, size);
    if (store.left < size) {
        ask_kernel(store.octets.data(), store.octets.size());
        store.left = store.octets.size();
    }
    store.left -= size;
    auto* from = store.octets.data() + store.left;
    std::memcpy(to, from, size);
    explicit_bzero(from, size);  // nobody reads what may be a secret twice
}

std::uint64_t random_u64() {
    std::uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}

std::string random_text(std::size_t length) {
    std::string text(length, '\0');
    random_bytes(text.data(), length);
    for (char& c : text) c = kAlphabet[static_cast<unsigned char>(c) & 31];
    return text;
}

std::string base32_text(std::uint64_t value) {
    std::string text;
    do text.push_back(kAlphabet[value & 31]);
    while ((value >>= 5) != 0);
    std::ranges::reverse(text);
    return text;
}

std::string base32_sum(std::string_view a, std::string_view b) {
    // A character outside of the alphabet counts as some digit: the sum is a text of the alphabet whatever is added.
    auto digit = [](char c) { return std::min(kAlphabet.find(c), kAlphabet.size()); };
    std::string sum(a);
    for (std::size_t i = 0; i < sum.size() && i < b.size(); ++i) sum[i] = kAlphabet[(digit(a[i]) + digit(b[i])) & 31];
    return sum;
}

std::optional<std::uint64_t> parse_base32(std::string_view text) {
    std::uint64_t value = 0;
    for (char c : text) {
        const auto digit = kAlphabet.find(c);
        if (digit == std::string_view::npos || value >> 59 != 0) return std::nullopt;
        value = value << 5 | digit;
    }
    if (text.empty() || (text.front() == '0' && text.size() > 1)) return std::nullopt;
    return value;
}

}  // namespace poplar
