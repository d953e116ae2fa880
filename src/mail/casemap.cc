// ASCII goes by a table. Other characters of the basic plane go by tables of 256 that are made when first asked for,
// because asking libunistring for each costs more than all else that is done to a text.
#include "mail/casemap.h"

#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>

#include "base/ascii.h"

namespace poplar::mail {

namespace {

constexpr std::uint32_t kPageSize = 256, kPages = 256;

std::string map_character(std::uint32_t code) {
    std::array<std::uint8_t, 6> octets;
    const int size = u8_uctomb(octets.data(), uc_totitle(code), octets.size());
    if (size <= 0) return {};
    std::string_view title(reinterpret_cast<const char*>(octets.data()), static_cast<std::size_t>(size));
    if (size == 1) return std::string(title);
    std::size_t length = 0;
    const std::unique_ptr<std::uint8_t, decltype(&std::free)> decomposed(
        u8_normalize(UNINORM_NFKD, octets.data(), title.size(), nullptr, &length), &std::free);
    if (!decomposed) return std::string(title);
    return std::string(reinterpret_cast<const char*>(decomposed.get()), length);
}

struct Page {
    std::string octets;
    std::array<std::uint16_t, kPageSize + 1> begins{};
    explicit Page(std::uint32_t first) {
        for (std::uint32_t i = 0; i < kPageSize; ++i) {
            octets += map_character(first + i);
            begins[i + 1] = static_cast<std::uint16_t>(octets.size());
        }
    }
    std::string_view at(std::uint32_t i) const {
        return std::string_view(octets).substr(begins[i], begins[i + 1] - begins[i]);
    }
};

/// Pages live as long as the program.
const Page& page_of(std::uint32_t code) {
    static std::array<std::atomic<const Page*>, kPages> pages{};
    auto& place = pages[code / kPageSize];
    if (const auto* page = place.load(std::memory_order_acquire)) return *page;
    auto made = std::make_unique<const Page>(code / kPageSize * kPageSize);
    const Page* expected = nullptr;
    if (place.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) return *made.release();
    return *expected;
}

}  // namespace

std::string_view casemapped_character(std::uint32_t code, std::string& scratch) {
    if (code < kPageSize * kPages) return page_of(code).at(code % kPageSize);
    scratch = map_character(code);
    return scratch;
}

void append_casemapped(std::string_view text, std::string& out) {
    std::string scratch;
    while (!text.empty()) {
        std::size_t size = 0;
        while (size < text.size() && static_cast<unsigned char>(text[size]) < 0x80) ++size;
        const auto before = out.size();
        out.resize(before + size);
        for (std::size_t i = 0; i < size; ++i) out[before + i] = ascii::upper(text[i]);
        text.remove_prefix(size);
        while (!text.empty() && static_cast<unsigned char>(text.front()) >= 0x80) {
            ucs4_t code = 0;
            const auto* octets = reinterpret_cast<const std::uint8_t*>(text.data());
            const int length = u8_mbtoucr(&code, octets, text.size());
            if (length > 0) {
                out += casemapped_character(code, scratch);
                text.remove_prefix(static_cast<std::size_t>(length));
            } else {
                out += text.front();
                text.remove_prefix(1);
            }
        }
    }
}

std::string casemapped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    append_casemapped(text, out);
    return out;
}

}  // namespace poplar::mail
