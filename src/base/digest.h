#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace poplar {

/// SHA-256 of octets that come in pieces.
class Digest {
public:
    Digest();
    ~Digest();
    Digest(const Digest&) = delete;
    Digest& operator=(const Digest&) = delete;
    void add(std::string_view bytes);
    void add_zeros(std::uint64_t count);
    std::string finish();  ///< hexadecimal digits; once

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar
