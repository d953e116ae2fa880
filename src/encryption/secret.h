#pragma once
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace poplar::encryption {

/// 32 octets that nobody else may see: wiped when they are dropped or moved from.
class Secret {
public:
    static constexpr std::size_t kSize = 32;
    Secret() = default;  ///< zeros
    static Secret random();
    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret();
    Secret copy() const;

    unsigned char* data() { return octets_.data(); }
    const unsigned char* data() const { return octets_.data(); }
    std::string_view view() const { return {reinterpret_cast<const char*>(octets_.data()), kSize}; }

private:
    std::array<unsigned char, kSize> octets_{};
};

/// A key for one purpose, made of something secret that nobody can guess (at least 100 random bits). `purpose` is text
/// of ours.
Secret derive(std::string_view secret, std::string_view purpose);

/// Text that is wiped when it is dropped: a password on its way.
class SecretText {
public:
    SecretText() = default;
    explicit SecretText(std::string text) : text_(std::move(text)) {}
    SecretText(SecretText&& other) noexcept;
    SecretText& operator=(SecretText&& other) noexcept;
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;
    ~SecretText();
    std::string_view view() const { return text_; }
    bool empty() const { return text_.empty(); }

private:
    std::string text_;
};

}  // namespace poplar::encryption
