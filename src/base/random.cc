#include "base/random.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace poplar {

namespace {
constexpr char kAlphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
}

void random_bytes(void* out, std::size_t size) {
    auto* to = static_cast<char*>(out);
    while (size > 0) {
        ssize_t got = getrandom(to, std::min<std::size_t>(size, 256), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) std::abort();
        to += got;
        size -= static_cast<std::size_t>(got);
    }
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

}  // namespace poplar
