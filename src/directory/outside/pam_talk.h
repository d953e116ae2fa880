#pragma once
// The packets that the server and its PAM process send each other. Pure.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::directory::outside {

inline constexpr std::size_t kPamPacket = 8192;  ///< octets, at most

struct PamQuestion {
    std::uint32_t number = 0;  ///< comes back with the answer
    std::uint32_t millis = 0;  ///< for the answer
    std::string service = {}, user = {}, peer = {};
    std::string password = {};  ///< "": only whether the user is there
    bool operator==(const PamQuestion&) const = default;
};

struct PamAnswer {
    /// `unusable`: the modules answer, but nothing that says something about this user.
    enum class Verdict : std::uint8_t { right = 1, wrong = 2, there = 3, gone = 4, failed = 5, unusable = 6 };
    std::uint32_t number = 0;
    Verdict verdict = Verdict::failed;
    std::string why = {};  ///< of one that failed or is unusable
    bool operator==(const PamAnswer&) const = default;
};

std::string encode(const PamQuestion& question);
std::string encode(const PamAnswer& answer);
// Errors: invalid.
Result<PamQuestion> decode_pam_question(std::string_view packet);
Result<PamAnswer> decode_pam_answer(std::string_view packet);

}  // namespace poplar::directory::outside
